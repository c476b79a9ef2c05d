"""`docker-compose.yml` as far as a parser can judge it: no engine runs here."""

import re
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from cli.main import app
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"temporal-schema", "temporal-namespace", "migrate"}


def test_the_services_are_those_of_a_whole_deployment() -> None:
    assert set(SERVICES) == {"postgres", "temporal", "temporal-ui", "worker", "api", "prometheus"} | JOBS


def test_every_server_is_watched_and_every_job_ends() -> None:
    watched = {name for name, service in SERVICES.items() if "healthcheck" in service}
    assert watched == set(SERVICES) - JOBS
    assert {SERVICES[name]["restart"] for name in watched} == {"unless-stopped"}
    assert {SERVICES[name]["restart"] for name in JOBS} == {"no", "on-failure:10"}


def test_services_wait_for_servers_to_be_healthy_and_for_jobs_to_end() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait["condition"] == ("service_completed_successfully" if name in JOBS else "service_healthy")
            assert name in SERVICES


def test_no_secret_is_written_down_and_a_missing_one_is_named() -> None:
    secrets = {
        key: value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|PWD|SECRET|TOKEN", key)
    }
    assert len(secrets) >= 5
    for key, value in secrets.items():
        assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), key
    assert not re.search(r"://[^/@\s]+:[^/@\s]+@", (ROOT / "docker-compose.yml").read_text())


def test_our_services_run_commands_that_exist_with_settings_that_exist() -> None:
    ours = {name: service for name, service in SERVICES.items() if service.get("build") == "."}
    assert set(ours) == {"migrate", "worker", "api"}
    commands = {command.name for command in app.registered_commands}
    known = {f"ORDERFLOW_{field.upper()}" for field in Settings.model_fields}
    for name, service in ours.items():
        program, command = service["command"]
        assert (program, command) == ("orderflow", name)
        assert command in commands
        assert {key for key in service["environment"] if key.startswith("ORDERFLOW_")} <= known
    assert get_command(app).name == "orderflow"


def test_the_image_takes_every_package_and_runs_as_an_ordinary_user() -> None:
    packages = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    copied = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(re.findall(r'"(\w+)"', packages.group(1))) == copied - {"pyproject.toml", "uv.lock", "README.md"}
    assert "\nUSER orderflow\n" in (ROOT / "Dockerfile").read_text()
