"""Everything that the page of one order shows, as far as its visitor may see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from api.approvals.schemas import ApprovalItem
from api.holds.deciding import may_settle
from api.orders.parts import parts_of, temporal_link
from api.orders.seen import Seen
from api.orders.story import DecisionView, EventView
from api.orders.views import OrderView, order_view
from api.trade.customs import CustomsView, customs_of
from console.guard import Visitor
from console.orders.picture import Picture, picture_of
from domain.access import Permission
from domain.flow.nodes import Choice, ExceptionNode
from domain.flow.vocabulary import HOLD_REASONS
from models.order import OrderHold
from runtime.keyring import KeyRing
from store import flows
from store.listing import approvals as asked
from store.listing import orders as listing
from store.listing.approvals import ApprovalFilter
from store.listing.sight import order_in_sight

_EVENTS = 1000
_APPROVALS = 50


@dataclass(frozen=True, slots=True)
class Offered:
    """What may be chosen where an order is held: the choices of its flow's lane, and where they may jump to."""

    choices: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderSight:
    """One order with all that hangs on it."""

    order: OrderView
    events: Sequence[EventView]
    decisions: Sequence[DecisionView]
    approvals: Sequence[ApprovalItem]
    picture: Picture
    offered: Offered
    settles: frozenset[str]
    refundable: frozenset[str]
    resendable: frozenset[str]
    last_seq: int
    customs: CustomsView | None


async def sight_of(request: Request, visitor: Visitor, order_no: str) -> OrderSight:
    """The order at one moment. Raises OrderNotFound also for one that exists for others only."""
    caller, state = visitor.caller, request.app.state
    async with state.sessions() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
        row = await order_in_sight(session, order_no, caller)
        parts = await parts_of(session, row)
        events = await listing.events(session, order_no, 0, _EVENTS)
        decisions = await listing.decisions(session, order_no)
        approvals = await _approvals(session, visitor, order_no)
        offered = await _offered(session, row.flow_key, row.flow_version)
        last_seq = row.last_event_seq
        customs = await _customs(Seen(row, caller, session), state.keyring)
    told = [EventView.of(event, caller) for event in events]
    return OrderSight(
        order=order_view(parts, caller, temporal_link(request, state.settings, caller, order_no)),
        events=told,
        decisions=[DecisionView.of(decision, caller) for decision in decisions],
        approvals=approvals,
        picture=picture_of(told),
        offered=offered,
        settles=frozenset(hold.hold_id for hold in parts.holds if _settles(visitor, hold)),
        refundable=frozenset(hold.hold_id for hold in parts.holds if HOLD_REASONS[hold.reason_code].refundable),
        resendable=frozenset(hold.hold_id for hold in parts.holds if HOLD_REASONS[hold.reason_code].resendable),
        last_seq=last_seq,
        customs=customs,
    )


async def _approvals(session: Any, visitor: Visitor, order_no: str) -> list[ApprovalItem]:
    if not visitor.caller.may(Permission.APPROVALS_READ):
        return []
    rows = await asked.page(session, visitor.caller, ApprovalFilter(order_no=order_no), None, _APPROVALS)
    people = await asked.asked(session, [row.approval_id for row in rows])
    return [ApprovalItem.of(row, people[row.approval_id], visitor.caller) for row in rows]


async def _customs(seen: Seen, keys: KeyRing) -> CustomsView | None:
    """How it stands with customs, where they have anything to do with it."""
    if seen.order.type != "cross_border" and not seen.order.customs:
        return None
    return await customs_of(seen, keys)


async def _offered(session: Any, key: str, version: int) -> Offered:
    flow, _hash = await flows.get(session, key, version)
    lanes = [node for node in flow.nodes.values() if isinstance(node, ExceptionNode)]
    named = {choice for lane in lanes for choice in lane.choices} | {Choice.RETRY, Choice.CANCEL}
    targets = sorted({target for lane in lanes for target in lane.targets})
    return Offered(tuple(choice.value for choice in Choice if choice in named), tuple(targets))


def _settles(visitor: Visitor, hold: OrderHold) -> bool:
    return visitor.caller.may(Permission.ORDERS_RESOLVE) and may_settle(visitor.caller, hold)
