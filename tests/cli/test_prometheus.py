"""A real Prometheus with our rules scrapes a real API process, and says when that is gone."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli.local_stack.temporal import free_port
from tests.conftest import Database, Temporal
from tests.fakes.live_stack import settings_of
from tests.fakes.patience import eventually
from tests.fakes.prometheus import RULES
from tests.fakes.running_stack import ROOT


@contextmanager
def _process(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **quiet)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


async def test_prometheus_takes_our_figures_and_misses_an_api_that_is_gone(
    database: Database, temporal: Temporal, tmp_path: Path
) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("prometheus is not here: `apt-get install prometheus` has it")
    ours, theirs = free_port(), free_port()
    config: dict[str, Any] = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES)]
    config["scrape_configs"] = [config["scrape_configs"][0]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{ours}"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    environment = settings_of(database_url=database.url, api_port=str(ours)) | {"TEMPORAL_ADDRESS": temporal.address}
    watch = [prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]

    async def ask(query: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{theirs}") as asking:
            answer = await asking.get("/api/v1/query", params={"query": query})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return found

    async def is_ready() -> bool:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{theirs}") as asking:
                return (await asking.get("/-/ready")).is_success
        except httpx.TransportError:
            return False

    gone = 'ALERTS{alertname="ApiGone"}'
    with _process(*watch, f"--web.listen-address=127.0.0.1:{theirs}"):
        await eventually(is_ready, bool)
        with _process(sys.executable, "-P", "-m", "cli.main", "api", **environment):
            up = await eventually(lambda: ask('orderflow_part_up{part="database"} == 1'), bool)
            assert up[0]["metric"]["job"] == "orderflow-api"
            await eventually(lambda: ask(gone), lambda found: found == [])
        await eventually(lambda: ask(gone), bool)
