"""The whole system in one process, for thousands of short stories: real API, real workflows, real activities on a real
database and a real Temporal, with parties and activities that fail when told to."""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.service import RPCError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
)

from api.app import create_app
from api.inbox.hand_over import HandOver
from api.orders import cancelling, resolving
from cli.local_stack.temporal import LocalTemporal, TemporalPorts, free_port
from domain.flow.vocabulary import Role
from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.memory import Memory
from integrations.payment.simulated import PaymentBehaviour, SimulatedPaymentProvider
from models.access import Person
from models.masters import LegalEntity
from models.outbox import Destination
from runtime.settings import Settings
from store import flows, inbox
from store.access import Grant
from store.defaults import ENTITY, ensure_defaults
from tests.api.conftest import give_key
from tests.conftest import Database
from tests.fakes.patience import eventually
from tests.faults.bench_flows import bench_flows
from workers import wiring
from workers.local_first import LocalFirst
from workers.main import BUILD_ID, WORKFLOWS, queues
from workers.stray_signals import StraySignals
from workers.sweeper import Sweeper
from workflows import options
from workflows.order.contract import ORDERS_QUEUE, follow_up_workflow_id, order_workflow_id
from workflows.relay import RELAY_QUEUE
from workflows.search_attributes import SEARCH_ATTRIBUTES

SETTLES_WITHIN_S = 60.0
EVERYBODY = "everybody"
# Who decides, besides the one who places all orders and so decides about none of them.
PEOPLE = {"gina": Role.GM, "carl": Role.CEO, "mona": Role.MANAGER, "fina": Role.FINANCE, "sven": Role.SERVICE}
# More than one unit of what stories sell is for people to take back or not.
RETURNED_UNASKED_BELOW_MINOR = 15_000


class Injected(Exception):
    """A failure that nobody has foreseen."""


@dataclass
class Faults(Interceptor):
    """What happens to activities: `share` of their runs fail before or after their effect, last, or happen twice."""

    share: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    happened: Counter[str] = field(default_factory=Counter)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Failing(next, self)

    def draw(self) -> str:
        if self.chance.random() >= self.share:
            return "nothing"
        drawn = self.chance.choice(["before", "after", "slow", "twice"])
        self.happened[drawn] += 1
        return drawn


class _Failing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, faults: Faults) -> None:
        super().__init__(next)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        what = self._faults.draw()
        if what == "before":
            raise Injected(what)
        if what == "slow":
            await asyncio.sleep(0.05)
        result = await self.next.execute_activity(input)
        if what == "twice":
            result = await self.next.execute_activity(input)
        if what == "after":
            raise Injected(what)
        return result


@dataclass
class Bench:
    """The system, and the means to make parts of it fail."""

    database: Database
    client: Client
    http: httpx.AsyncClient
    faults: Faults
    carrier: SimulatedCarrier
    provider: SimulatedPaymentProvider
    folder: Path
    tokens: dict[str, str]
    make_workers: Callable[[], list[Worker]]
    at_work: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    told: list[str] = field(default_factory=list)

    async def deploy(self, change: Callable[[], None] = lambda: None) -> None:
        """Afterwards workers of the code as `change` has made it are at work; those from before had ended by then."""
        await self.at_work.aclose()
        change()
        for worker in self.make_workers():
            await self.at_work.enter_async_context(worker)

    async def ask(self, method: str, path: str, by: str = EVERYBODY, **request: Any) -> httpx.Response:
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {self.tokens[by]}"}, **request)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.sessions() as session:
            return [tuple(row) for row in await session.execute(text(query), values)]

    def heal(self) -> None:
        """Afterwards nothing fails any more."""
        self.faults.share = 0.0
        self.carrier.behaviour = CarrierBehaviour(pick_up_after_seconds=1e9)
        self.provider.behaviour = PaymentBehaviour()

    async def settle(self, order_nos: list[str]) -> None:
        """Everything that was told has been heard, and nobody is doing anything about these orders."""

        async def at_work() -> list[str]:
            busy = [one for one in await asyncio.gather(*map(self._is_busy, await self.workflows(order_nos))) if one]
            return await self._pending(order_nos) + busy

        quiet = 0
        while quiet < 2:
            await eventually(at_work, lambda busy: busy == [], SETTLES_WITHIN_S)
            quiet += 1

    async def _pending(self, order_nos: list[str]) -> list[str]:
        """The kinds of messages that Temporal still has to get."""
        left = await self.rows(
            "SELECT kind FROM inbox_messages WHERE handed_over_at IS NULL AND order_no = ANY(:nos)", nos=order_nos
        )
        return [row[0] for row in left]

    async def workflows(self, order_nos: list[str]) -> list[str]:
        """The ids of all workflows that these orders have, or may have."""
        own = [name(order_no) for order_no in order_nos for name in (order_workflow_id, follow_up_workflow_id)]
        beside = await self.rows(
            "SELECT message_id FROM inbox_messages WHERE kind IN ('refund.requested', 'return.requested')"
            " AND order_no = ANY(:nos)",
            nos=order_nos,
        )
        return own + [row[0] for row in beside]

    async def lose(self, order_nos: list[str]) -> None:
        """Temporal has lost all that runs for these orders, and they were recovered, as `orderflow recover` does it.

        Steps that run at that moment go on, and may have their effect beside those of the workflows that are started.
        """
        # What is just being handed over would count as handed over afterwards, to a workflow that is gone: in a minute
        # the watch would find that, which is not here.
        await eventually(lambda: self._pending(order_nos), lambda left: left == [], SETTLES_WITHIN_S)
        for workflow_id in await self.workflows(order_nos):
            with contextlib.suppress(RPCError):
                await self.client.get_workflow_handle(workflow_id).terminate("lost")
        async with self.database.sessions() as session, session.begin():
            for order_no in order_nos:
                await inbox.forget_hand_over(session, order_no)

    async def _is_busy(self, workflow_id: str) -> str:
        try:
            described = await self.client.get_workflow_handle(workflow_id).describe()
        except Exception:  # noqa: BLE001 - none of this name
            return ""
        raw = described.raw_description
        at_work = raw.HasField("pending_workflow_task") or bool(raw.pending_activities)
        return workflow_id if at_work else ""


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits before the next try waits a moment only. What is tried, and how often, stays as it is."""
    soon, later = timedelta(milliseconds=5), timedelta(milliseconds=50)
    monkeypatch.setattr(
        options, "LOCAL_STEP_RETRY", RetryPolicy(soon, 2, later, options.LOCAL_STEP_RETRY.maximum_attempts)
    )
    for name in ("DATABASE_STEP_RETRY", "PARTY_CALL_RETRY"):
        monkeypatch.setattr(options, name, RetryPolicy(initial_interval=soon, maximum_interval=later))
    for name in ("PARTY_GIVES_UP", "REFUND_GIVES_UP"):
        monkeypatch.setattr(options, name, timedelta(seconds=2))
    monkeypatch.setattr(options, "UNDO_PAUSE", timedelta(seconds=2))
    monkeypatch.setattr(options, "_PAUSES", ())
    monkeypatch.setattr(options, "LANE_PAUSE", timedelta(seconds=1))
    for module in (cancelling, resolving):
        monkeypatch.setattr(module, "_WAIT", timedelta(seconds=0.3))


@contextlib.asynccontextmanager
async def bench(database: Database, folder: Path) -> AsyncIterator[Bench]:
    """The system at work until the block ends."""
    server = LocalTemporal(TemporalPorts(free_port()), SEARCH_ATTRIBUTES, folder / "temporal.log")
    await asyncio.to_thread(server.start)
    async with contextlib.AsyncExitStack() as running:
        running.callback(server.stop)
        client = await server.client()
        tokens = await _prepare(database)
        settings = Settings(simulator_dir=folder)
        app = create_app(settings, engine=database.engine, temporal=client)
        await running.enter_async_context(app.router.lifespan_context(app))
        memories = {name: Memory(folder / f"{name}.sqlite") for name in ("carrier", "einvoice", "payment")}
        carrier = SimulatedCarrier(memories["carrier"])
        provider = SimulatedPaymentProvider(memories["payment"])
        parties = {
            "_carrier": carrier,
            "_einvoice_provider": SimulatedEInvoiceProvider(memories["einvoice"]),
            "_payment_provider": provider,
        }
        faults = Faults()
        with pytest.MonkeyPatch.context() as patched:
            hurry(patched)
            # Failures are what we ask for here; telling of each would take longer than the rest.
            patched.setattr(logging.getLogger("temporalio.activity"), "level", logging.CRITICAL)
            for name, party in parties.items():
                patched.setattr(wiring, name, lambda *_, party=party: party)
            able = wiring.wire(settings, database.engine, database.sessions, _nobody)
            await running.enter_async_context(_sweeping(database, client))
            http = await running.enter_async_context(_calling(app))
            made = Bench(
                database,
                client,
                http,
                faults,
                carrier,
                provider,
                folder,
                tokens,
                lambda: _workers(client, able, faults),
            )
            running.push_async_callback(made.at_work.aclose)
            made.heal()
            await made.deploy()
            yield made


def _calling(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://bench", timeout=60
    )


async def _prepare(database: Database) -> dict[str, str]:
    """The tokens of somebody who may do everything, and of those who decide."""
    async with database.sessions() as session, session.begin():
        await ensure_defaults(session)
        await flows.publish(session, bench_flows())
        session.add(Destination(name="shop", url="http://127.0.0.1:1", secret="whsec_" + "a" * 32))
        entity = await session.get_one(LegalEntity, ENTITY)
        entity.return_approved_below_minor = RETURNED_UNASKED_BELOW_MINOR
    everything = Grant(scopes={"orders:priced"})
    tokens = {EVERYBODY: await give_key(database, EVERYBODY, [role.value for role in Role], everything)}
    tokens |= {name: await give_key(database, name, [role.value]) for name, role in PEOPLE.items()}
    async with database.sessions() as session, session.begin():
        for name in PEOPLE:
            if name != "carl":
                (await session.get_one(Person, name)).superior_id = "carl"
    return tokens


def _workers(client: Client, able: wiring.Capabilities, faults: Faults) -> list[Worker]:
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS if queue == ORDERS_QUEUE else (),
            activities=activities,
            build_id=BUILD_ID,
            # In the sandbox the workflow would load its options anew, the long pauses with them.
            workflow_runner=LocalFirst(UnsandboxedWorkflowRunner()),
            interceptors=[faults, StraySignals()],
        )
        for queue, activities in queues(able).items()
        if queue != RELAY_QUEUE
    ]


@contextlib.asynccontextmanager
async def _sweeping(database: Database, client: Client) -> AsyncIterator[None]:
    stop = asyncio.Event()
    sweeper = Sweeper(database.sessions, client, HandOver(database.sessions, client), 0.5)
    task = asyncio.create_task(sweeper.run(stop))
    yield
    stop.set()
    await task


async def _nobody(_event: object) -> None:
    """The carrier of the bench reports nothing by itself."""
