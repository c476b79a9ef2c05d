"""Workers of two versions beside each other: one word moves waiting orders over, another word moves them back."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client

from activities.checks import CheckActivities, CheckInput
from api.app import create_app
from cli.local_stack.temporal import LocalTemporal, TemporalPorts, free_port, temporal_binary
from domain.flow.vocabulary import Role
from flows import builtin_flows
from runtime.settings import Settings
from store import flows
from store.access import Grant
from store.defaults import ensure_defaults
from tests.api.conftest import give_key
from tests.conftest import Database
from tests.fakes.figures import tell
from tests.fakes.live_stack import settings_of
from tests.fakes.patience import eventually
from tests.fakes.running_stack import ROOT
from tests.faults.waiting_orders import pay_all, to_the_end, waiting
from workflows.order.contract import order_workflow_id
from workflows.search_attributes import SEARCH_ATTRIBUTES

ORDERS = 100 if os.environ.get("ORDERFLOW_FULL_FAULTS") == "1" else 20
NAME = "orderflow"


@dataclass
class Deployment:
    """The API, a Temporal, and worker processes of whatever version a test starts."""

    database: Database
    client: Client
    address: str
    http: httpx.AsyncClient
    folder: Path
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await self.http.request(method, path, **request)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.sessions() as session:
            return [tuple(row) for row in await session.execute(text(query), values)]

    async def start(self, build_id: str) -> None:
        """A worker process of this version is ready, and known to Temporal."""
        ready = self.folder / f"{build_id}.ready"
        ready.unlink(missing_ok=True)
        settings = settings_of(
            database_url=self.database.url,
            worker_deployment=NAME,
            worker_build_id=build_id,
            ready_file=str(ready),
            simulator_dir=str(self.folder),
            sweep_interval_s="0.5",
        )
        environment = settings | {"TEMPORAL_ADDRESS": self.address}
        self.workers[build_id] = _worker(environment, self.folder / f"{build_id}.log")
        await eventually(lambda: asyncio.to_thread(ready.exists), bool)

    async def stop(self, build_id: str) -> None:
        """The worker process has finished what it had begun, and ended well."""
        worker = self.workers.pop(build_id)
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0

    async def make_current(self, build_id: str) -> None:
        """As the runbook says it."""
        command = [str(temporal_binary()), "worker", "deployment", "set-current-version", "--address", self.address]
        command += ["--deployment-name", NAME, "--build-id", build_id, "--yes"]

        async def said() -> str:
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
            return "" if done.returncode == 0 else done.stderr

        # A version is known once one of its workers has asked for tasks.
        await eventually(said, lambda refused: refused == "")
        # Said, it is on its way to the task queues; what they hand out before it is there is the old version's.
        await eventually(self._told_everywhere, bool)

    async def _told_everywhere(self) -> bool:
        asked = DescribeWorkerDeploymentRequest(namespace=self.client.namespace, deployment_name=NAME)
        found = await self.client.workflow_service.describe_worker_deployment(asked)
        known = found.worker_deployment_info.routing_config_update_state
        return known == RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED

    async def worked_on_by(self, build_id: str, order_nos: list[str]) -> None:
        """The last step of every one of the orders was this version's."""

        async def versions() -> Counter[str]:
            handles = [self.client.get_workflow_handle(order_workflow_id(one)) for one in order_nos]
            described = await asyncio.gather(*(handle.describe() for handle in handles))
            info = [one.raw_description.workflow_execution_info.versioning_info for one in described]
            return Counter(one.deployment_version.build_id for one in info)

        await eventually(versions, lambda found: found == {build_id: len(order_nos)})


def _worker(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "cli.main", "worker"]
    with log.open("ab") as said:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)


@pytest.fixture
async def deployment(database: Database, open_dir: Path) -> AsyncIterator[Deployment]:
    folder = open_dir / f"versions-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    server = LocalTemporal(TemporalPorts(free_port()), SEARCH_ATTRIBUTES, folder / "temporal.log")
    await asyncio.to_thread(server.start)
    async with AsyncExitStack() as running:
        running.callback(server.stop)
        client = await server.client()
        async with database.sessions() as session, session.begin():
            await ensure_defaults(session)
            await flows.publish(session, builtin_flows())
        token = await give_key(database, "all", [role.value for role in Role], Grant(scopes={"orders:priced"}))
        app = create_app(Settings(), engine=database.engine, temporal=client)
        await running.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = httpx.AsyncClient(
            transport=transport, base_url="http://versions", headers={"Authorization": f"Bearer {token}"}
        )
        made = Deployment(database, client, server.address, await running.enter_async_context(http), folder)
        yield made
        for worker in made.workers.values():
            worker.kill()
            worker.wait()


@pytest.mark.timeout(900)
async def test_waiting_orders_move_to_the_next_version_and_back_and_none_is_lost(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    await deployment.start("v1")
    await deployment.make_current("v1")
    old = await waiting(deployment, ORDERS)
    first, second, third = old[::3], old[1::3], old[2::3]
    await deployment.worked_on_by("v1", old)

    await deployment.start("v2")
    await pay_all(deployment, first[:2])
    await to_the_end(deployment, first[:2])
    # What is not current gets nothing.
    await deployment.worked_on_by("v1", first[:2])

    await deployment.make_current("v2")
    await pay_all(deployment, first[2:])
    await to_the_end(deployment, first[2:])
    await deployment.worked_on_by("v2", first[2:])
    # While the old workers end, money comes in.
    await asyncio.gather(deployment.stop("v1"), pay_all(deployment, second))
    await to_the_end(deployment, second)
    new = await waiting(deployment, 4)

    # And back: the old release takes over what the new one began.
    await deployment.start("v1")
    await deployment.make_current("v1")
    await asyncio.gather(deployment.stop("v2"), pay_all(deployment, [*third, *new]))
    await to_the_end(deployment, [*third, *new])
    await deployment.worked_on_by("v1", [*third, *new])

    found = await CheckActivities(deployment.database.sessions).run(CheckInput("after", "command"))
    assert {name: count for name, count in found.found.items() if count} == {}
    told = await deployment.rows("SELECT count(*) FROM order_events WHERE kind = 'revenue.recognised'")
    assert told == [(ORDERS + 4,)]
    tell(capsys, f"{ORDERS} orders waited while version 2 took over and version 1 took them back: all ended, once")
