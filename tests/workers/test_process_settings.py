"""What a worker process makes of its settings before it works: figures of its own, a version, traces."""

import sys

import httpx
import pytest
from temporalio.common import VersioningBehavior

from cli.local_stack.temporal import free_port
from runtime.settings import Settings, UnusableSettings
from runtime.tracing import interceptors, start_tracing
from runtime.version import identity, release
from workers.main import deployment_of, own_runtime


async def test_figures_of_the_sdk_are_told_where_the_settings_say() -> None:
    assert own_runtime(Settings()) is None
    address = f"127.0.0.1:{free_port()}"
    kept = own_runtime(Settings(worker_metrics_address=address))
    assert kept is not None
    async with httpx.AsyncClient() as scraper:
        assert (await scraper.get(f"http://{address}/metrics")).status_code == 200


@pytest.mark.parametrize("address", ["nowhere", "localhost:9464", "127.0.0.1:99999"])
def test_address_that_cannot_be_is_named(address: str) -> None:
    with pytest.raises(UnusableSettings, match="ORDERFLOW_WORKER_METRICS_ADDRESS"):
        own_runtime(Settings(worker_metrics_address=address))


def test_releases_are_told_apart_only_if_wanted() -> None:
    assert deployment_of(Settings()) is None
    config = deployment_of(Settings(worker_deployment="orderflow"))
    assert config is not None
    assert (config.version.deployment_name, config.version.build_id) == ("orderflow", release())
    assert config.use_worker_versioning
    assert config.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE
    own = deployment_of(Settings(worker_deployment="orderflow", worker_build_id="b-17"))
    assert own is not None
    assert own.version.build_id == "b-17"


def test_traces_without_the_extra_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert interceptors(Settings()) == []
    with pytest.raises(UnusableSettings, match=r"orderflow\[otel\]"):
        start_tracing(Settings(otlp_endpoint="http://127.0.0.1:4318/v1/traces"), "test")


def test_process_says_which_release_it_is() -> None:
    assert identity("orderflow-worker").startswith(f"orderflow-worker/{release()}@")
