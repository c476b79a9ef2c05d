"""The commands that look and prepare, as processes, from a folder that is not the repository."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli.local_stack.postgres import LocalPostgres
from migrations.upgrade import is_at_head
from runtime.database import create_unpooled_engine
from tests.conftest import Database, Temporal
from tests.fakes.running_stack import free_port_base

NOWHERE = "postgresql://someone:hunter2@127.0.0.1:1/nowhere"


def test_doctor_finds_a_fresh_machine_healthy(tmp_path: Path) -> None:
    status, findings = _doctor(tmp_path)
    assert status == 0
    assert {"Python", "PostgreSQL", "Temporal", "Locale", "User", "Disk", "Ports", "Settings"} <= set(findings)
    assert all(finding["ok"] for finding in findings.values())
    assert list(tmp_path.iterdir()) == []


def test_doctor_finds_servers_that_are_ready(tmp_path: Path, database: Database, temporal: Temporal) -> None:
    status, findings = _doctor(tmp_path, ORDERFLOW_DATABASE_URL=database.url, TEMPORAL_ADDRESS=temporal.address)
    assert status == 0
    assert findings["Database"]["found"].endswith("at the newest schema")
    assert findings["Temporal server"]["found"] == f"{temporal.address} serves default"


def test_doctor_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    wrong = {"ORDERFLOW_DATABASE_URL": NOWHERE, "TEMPORAL_ADDRESS": "127.0.0.1:1", "ORDERFLOW_COLOUR": "red"}
    status, findings = _doctor(tmp_path, **wrong)
    assert status == 1
    assert {subject for subject, finding in findings.items() if not finding["ok"]} == {
        "Variables",
        "Database",
        "Temporal server",
    }
    assert findings["Variables"]["found"] == "ORDERFLOW_COLOUR: unknown"
    assert findings["Database"]["remedy"] == "start it, or correct ORDERFLOW_DATABASE_URL"
    assert "hunter2" not in json.dumps(findings)


def test_doctor_says_when_the_schema_is_behind(tmp_path: Path, postgres: LocalPostgres, temporal: Temporal) -> None:
    url = postgres.url("postgres")
    status, findings = _doctor(tmp_path, ORDERFLOW_DATABASE_URL=url, TEMPORAL_ADDRESS=temporal.address)
    assert status == 1
    assert findings["Database"]["remedy"] == "run `orderflow migrate`"


async def test_migrate_makes_the_database_and_may_run_again(tmp_path: Path, postgres: LocalPostgres) -> None:
    url = postgres.url(f"made_by_migrate_{os.getpid()}")
    for _ in range(2):
        done = _orderflow("migrate", folder=tmp_path, ORDERFLOW_DATABASE_URL=url)
        assert (done.returncode, done.stdout) == (0, "The database is at the newest schema.\n")
    engine = create_unpooled_engine(url)
    assert await is_at_head(engine)
    await engine.dispose()


def test_commands_without_a_database_say_how_to_get_one(tmp_path: Path) -> None:
    for command in ("migrate", "api", "worker"):
        done = _orderflow(command, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            "orderflow: no database: set ORDERFLOW_DATABASE_URL, "
            "or start the local stack on .orderflow with `orderflow dev`\n"
        )


def test_unreachable_database_ends_migrate_without_telling_the_password(tmp_path: Path) -> None:
    done = _orderflow("migrate", folder=tmp_path, ORDERFLOW_DATABASE_URL=NOWHERE)
    assert done.returncode == 1
    assert done.stderr.startswith("orderflow: the database is not reachable: ")
    assert "hunter2" not in done.stderr


def test_local_stack_is_refused_in_production(tmp_path: Path) -> None:
    done = _orderflow("dev", folder=tmp_path, ORDERFLOW_ENV="prod")
    assert done.returncode == 1
    assert "ORDERFLOW_DATABASE_URL must be set when env=prod" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_config_show_masks_secrets(tmp_path: Path) -> None:
    done = _orderflow("config", "show", folder=tmp_path, ORDERFLOW_DATABASE_URL=NOWHERE, ORDERFLOW_API_PORT="9000")
    told = json.loads(done.stdout)
    assert (told["database_url"], told["api_port"]) == ("**********", 9000)
    assert "hunter2" not in done.stdout


def _doctor(folder: Path, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = _orderflow("doctor", "--json", "--port-base", str(free_port_base()), folder=folder, **env)
    told = json.loads(done.stdout)
    assert told["ok"] == (done.returncode == 0)
    return done.returncode, {finding["subject"]: finding for finding in told["findings"]}


def _orderflow(*arguments: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "cli.main", *arguments],
        cwd=folder,
        env=inherited | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
