"""What is advanced in one go is one transaction, up to the call of a party: all of it has come to stay, or none."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.advance import WAIT, AdvanceActivities, AdvanceInput, AdvanceResult, Ahead
from activities.orders import OrderActivities, WaitInput
from activities.shipping import ShippingActivities
from activities.step import Step, StepResult
from activities.stock import StockActivities
from integrations.carrier.port import Booking, CarrierUnavailable, Consignment
from runtime import connection
from runtime.connection import ROUND_TRIPS, ImpatientConnection
from runtime.database import Sessions
from store import orders
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.shipping import ready_to_ship
from tests.factories.stock import level, stocked


@dataclass
class Watchful:
    """A carrier that looks at what is committed while it is asked."""

    sessions: Sessions
    is_away: bool = False
    seen: list[str] = field(default_factory=list)

    async def book(self, consignment: Consignment, key: str) -> Booking:
        del key
        self.seen += await _kinds(Sessions(**self.sessions.kw), "SO-1", apart=True)
        if self.is_away:
            raise CarrierUnavailable("carrier_unavailable")
        return Booking("TEST", f"T-{consignment.shipment_no}", None)

    async def find(self, key: str) -> Booking | None:
        del key
        return None

    async def void(self, key: str) -> None:
        raise AssertionError(key)


async def _kinds(sessions: Sessions, order_no: str, *, apart: bool = False) -> list[str]:
    """The kinds of the order's committed events; `apart`: by a connection of its own, whatever is going on."""
    query = text("SELECT kind FROM order_events WHERE order_no = :order_no ORDER BY seq")
    if apart:
        async with sessions.kw["bind"].connect() as other:
            return list((await other.execute(query, {"order_no": order_no})).scalars())
    async with sessions() as session:
        return list((await session.execute(query, {"order_no": order_no})).scalars())


def _advancing(sessions: Sessions, **steps: Callable[[Step], Awaitable[StepResult]]) -> AdvanceActivities:
    own, stock = OrderActivities(sessions), StockActivities(sessions, None)
    known = {"order.check": own.check_order, "stock.reserve": stock.reserve_stock}
    named = {name.replace("_", "."): step for name, step in steps.items()}
    return AdvanceActivities(known | named, {}, own.open_wait, own.close_order)


async def _go(advancing: AdvanceActivities, *names: str) -> AdvanceResult:
    ahead = [Ahead(name, Step("SO-1", name)) for name in names]
    ahead.append(Ahead(WAIT, Step("SO-1", "wait"), wait=WaitInput("SO-1", "wait", 1, "payment.full", timedelta(1))))
    done: AdvanceResult = await ActivityEnvironment().run(advancing.advance, AdvanceInput("SO-1", tuple(ahead)))
    return done


@pytest.mark.usefixtures("alone")
async def test_check_reservation_and_wait_take_three_round_trips(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, a connection that was used for the preparations is not asked whether it lives.
    monkeypatch.setattr(connection, "_LATELY_S", 60)
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2)], priced_by_client=True)
    before = ROUND_TRIPS._value.get()
    answer = await _go(_advancing(database.sessions), "order.check", "stock.reserve")
    assert len(answer.done) == 3
    assert ROUND_TRIPS._value.get() - before == 3
    assert await _kinds(database.sessions, "SO-1") == ["order.accepted", "stock.reserved", "order.waiting"]
    async with database.sessions() as session:
        assert await orders.standing(session, "SO-1") == answer.done[-1].standing


@pytest.mark.usefixtures("alone")
async def test_a_row_that_several_steps_change_is_written_once(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2)], priced_by_client=True)
    sent: list[str] = []
    keep_back = ImpatientConnection.keep_back

    def noted(self: ImpatientConnection, query: str, params: Any) -> None:
        sent.append(" ".join(query.split()[:3]))
        keep_back(self, query, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImpatientConnection, "keep_back", noted)
        answer = await _go(_advancing(database.sessions), "order.check", "stock.reserve")
    assert len(answer.done) == 3
    assert sent.count("UPDATE orders SET") == 1


async def test_step_that_fails_takes_those_before_it_back(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2)], priced_by_client=True)

    async def refused(step: Step) -> StepResult:
        async with database.sessions() as session, session.begin():
            await orders.lock(session, step.order_no)
            raise ApplicationError("no", type="no", non_retryable=True)

    answer = await _go(
        _advancing(database.sessions, step_refused=refused), "order.check", "stock.reserve", "step.refused"
    )
    # Nothing has been done, so nothing has been refused either: each is asked for by itself now.
    assert (answer.done, answer.refused, len(answer.tried)) == ((), "", 3)
    assert await _kinds(database.sessions, "SO-1") == []
    assert await level(database.sessions, "SKU-1") == (5, 0, 30_000)


async def test_failure_outside_of_a_transaction_leaves_what_was_done(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2)], priced_by_client=True)

    async def late(step: Step) -> StepResult:
        raise TimeoutError(step.node)

    answer = await _go(_advancing(database.sessions, step_late=late), "order.check", "stock.reserve", "step.late")
    assert (len(answer.done), answer.refused) == (2, "")
    assert await _kinds(database.sessions, "SO-1") == ["order.accepted", "stock.reserved"]


async def test_carrier_is_asked_once_all_before_it_is_committed(database: Database) -> None:
    await ready_to_ship(database.sessions)
    carrier = Watchful(database.sessions)
    shipping = ShippingActivities(database.sessions, carrier)
    answer = await _go(_advancing(database.sessions, shipping_create=shipping.book_shipments), "shipping.create")
    assert len(answer.done) == 2
    assert carrier.seen == await _before(database, "shipment.booked")
    assert "order.fulfilling" in carrier.seen


async def test_carrier_that_is_away_leaves_what_was_done_before_it_was_asked(database: Database) -> None:
    await ready_to_ship(database.sessions)
    carrier = Watchful(database.sessions, is_away=True)
    shipping = ShippingActivities(database.sessions, carrier)
    answer = await _go(_advancing(database.sessions, shipping_create=shipping.book_shipments), "shipping.create")
    assert (answer.done, answer.refused) == ((), "")
    assert await _kinds(database.sessions, "SO-1") == carrier.seen


async def _before(database: Database, kind: str) -> list[str]:
    told = await _kinds(database.sessions, "SO-1")
    return told[: told.index(kind)]
