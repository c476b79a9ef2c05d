"""Whatever is signalled past our door has no effect and is on record, for every kind of fact and of asking."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities
from activities.changing import ChangeActivities, ChangeInput
from activities.lane import HoldOrderInput, LaneActivities
from activities.orders import CancelInput, OrderActivities, ResolveInput
from activities.payments import PaymentActivities
from activities.refunding import RefundActivities
from activities.returning import ReturnActivities, ReturnFact
from activities.shipping import ShippingActivities
from activities.step import Fact
from activities.trade import TradeActivities
from integrations.carrier.simulated import SimulatedCarrier
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.inbox import InboxMessage
from runtime.database import Sessions
from store import inbox
from tests.conftest import Database
from tests.factories.books import open_books
from tests.factories.orders import place
from tests.factories.payments import order_row, report, story
from workflows.order.contract import SIGNALS
from workflows.order.steps import FACTS
from workflows.returns.contract import RETURN_SIGNALS

Hear = Callable[[int], Awaitable[Any]]
_NOBODY = 999_999


def hearers(sessions: Sessions) -> dict[str, Hear]:
    """What acts on each kind of message, by the kind under which our door would have let it in."""
    orders, lane = OrderActivities(sessions), LaneActivities(sessions)
    returns = ReturnActivities(sessions, 1)
    payments = PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)
    shipping, changes = ShippingActivities(sessions, SimulatedCarrier(Memory())), ChangeActivities(sessions, None, 1)
    run = ActivityEnvironment().run
    return {
        "payment.settled": lambda row: run(payments.apply_payment, Fact("SO-1", row)),
        "parcel.scanned": lambda row: run(shipping.apply_scan, Fact("SO-1", row)),
        "stock.replenished": lambda row: run(orders.acknowledge, Fact("SO-1", row)),
        "order.adjusted": lambda row: run(orders.acknowledge, Fact("SO-1", row)),
        "approval.decided": lambda row: run(ApprovalActivities(sessions).apply_decision, Fact("SO-1", row)),
        "hold.decided": lambda row: run(lane.settle_hold, Fact("SO-1", row)),
        "customs.reported": lambda row: run(TradeActivities(sessions).apply_arrival, Fact("SO-1", row)),
        "group.completed": lambda row: run(TradeActivities(sessions).apply_arrival, Fact("SO-1", row)),
        "return.received": lambda row: run(returns.receive_return, ReturnFact("SO-1", "RT-1", row)),
        "refund.requested": lambda row: run(RefundActivities(sessions).grant_refund, Fact("SO-1", row)),
        "hold.requested": lambda row: run(lane.hold_order, HoldOrderInput("SO-1", "pay", "mallory", row)),
        "change.requested": lambda row: run(changes.change_order, ChangeInput("SO-1", "pay", row, 0)),
    }


KINDS = [
    *("payment.settled", "parcel.scanned", "stock.replenished", "order.adjusted", "approval.decided", "hold.decided"),
    *(
        "customs.reported",
        "group.completed",
        "return.received",
        "refund.requested",
        "hold.requested",
        "change.requested",
    ),
]


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    await place(database.sessions, lifecycle="accepted")
    await place(database.sessions, "SO-2", lifecycle="accepted")
    return database.sessions


async def untouched(sessions: Sessions, inbox_id: int) -> bool:
    async with sessions() as session:
        message = (await session.exec(select(InboxMessage).where(InboxMessage.inbox_id == inbox_id))).one()
    return message.applied_at is None


def test_every_signal_there_is_has_its_forgery(sessions: Sessions) -> None:
    assert {*SIGNALS, *FACTS, *RETURN_SIGNALS} <= {*KINDS} == {*hearers(sessions)}


@pytest.mark.parametrize("kind", KINDS)
async def test_signal_that_names_no_row_is_on_record_once_and_changes_nothing(sessions: Sessions, kind: str) -> None:
    before = await order_row(sessions)
    for _again in range(2):
        await hearers(sessions)[kind](_NOBODY)
    after = await order_row(sessions)
    assert await story(sessions) == ["signal.ignored"]
    assert before.model_dump(exclude={"last_event_seq"}) == after.model_dump(exclude={"last_event_seq"})


@pytest.mark.parametrize("kind", KINDS)
async def test_signal_that_names_anothers_row_leaves_it_to_whom_it_belongs(sessions: Sessions, kind: str) -> None:
    others = (await report(sessions, 11_300, order_no="SO-2")).inbox_id
    await hearers(sessions)[kind](others)
    assert (await story(sessions), await untouched(sessions, others)) == (["signal.ignored"], True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "payment.settled"])
async def test_signal_that_names_a_row_of_another_kind_does_not_use_it_up(sessions: Sessions, kind: str) -> None:
    money = await report(sessions, 11_300)
    await hearers(sessions)[kind](money.inbox_id)
    assert (await story(sessions), await untouched(sessions, money.inbox_id)) == (["signal.ignored"], True)
    assert (await hearers(sessions)["payment.settled"](money.inbox_id)).outcome == "applied"


async def test_what_is_asked_with_a_row_of_another_kind_gives_no_reason_and_does_not_use_it_up(
    sessions: Sessions,
) -> None:
    money = await report(sessions, 11_300)
    orders = OrderActivities(sessions)
    await orders.resolve_holds(ResolveInput("SO-1", "retry", "mallory", money.inbox_id))
    await orders.begin_cancel(CancelInput("SO-1", "mallory", money.inbox_id))
    async with sessions() as session:
        assert await inbox.reason_in(session, money.inbox_id, "SO-1") is None
    assert ((await order_row(sessions)).cancel_reason, await untouched(sessions, money.inbox_id)) == (None, True)
