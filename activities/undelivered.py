"""Parcels that did not arrive, lost or back: their goods go out once more, or their price goes back, and the books know
where their cost is."""

import json
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.granting import Grant, draft, grant
from activities.posting import post_unposted
from activities.revenue import recognise
from domain.posting.entry import some
from domain.posting.stock import goods_found, goods_lost, goods_taken_back
from domain.refunding import RefundAsk, RefundKind
from domain.shipping import ParcelStatus, ScanStatus
from models.columns import now
from models.order import Order, OrderHold
from models.shipping import Shipment
from store import events, holds, inbox, journal, orders, shipping, stock
from store.events import Event
from store.holds import Reason
from store.inbox import Incoming
from store.journal import PostingContext
from store.shipping import Parcel

UNDELIVERED = ("delivery_failed", "delivery_overdue")
"""Why an order is held whose parcels do not arrive."""
_REFUND_REQUESTED = "refund.requested"


@dataclass(frozen=True)
class Decision:
    """What a person wants to be done about goods that did not arrive: `resend` or `refund`; who, and why."""

    choice: str
    actor: str
    reason: str


async def objection(session: AsyncSession, order: Order, choice: str) -> str | None:
    """What speaks against the choice: nothing of the order is lost or back, or nothing else of it would be left."""
    failed = await shipping.failed(session, order.order_no)
    if not failed or order.cancel_requested_at is not None:
        return "choice_not_offered"
    wanted = sum(line.quantity - line.cancelled for line in await orders.lines(session, order.order_no))
    if choice == "refund" and wanted == sum(unit.quantity for parcel in failed for unit in parcel.lines):
        return "nothing_left_to_ship"
    return None


async def settle(session: AsyncSession, order: Order, hold: OrderHold, decision: Decision) -> str:
    """Afterwards every parcel that was lost or came back is given up, and the hold settled; what it held is to be sent
    once more (`resend`), or its price goes back (`refund`). Returns the choice, or why nothing was done.

    The order's row must be locked.
    """
    against = await objection(session, order, decision.choice)
    if against is not None:
        return against
    if decision.choice == "refund" and await post_unposted(session, order) is not None:
        return "not_posted"
    units: dict[str, int] = {}
    for parcel in await shipping.failed(session, order.order_no):
        await give_up(session, order, parcel, hold.node)
        for unit in parcel.lines:
            units[unit.line_id] = units.get(unit.line_id, 0) + unit.quantity
    if decision.choice == "refund":
        await _refund(session, order, hold, decision, units)
    told = {"by": decision.actor, "reason": decision.reason}
    await holds.resolve(session, order, UNDELIVERED, decision.choice, **told)
    await stock.wake(session)
    return decision.choice


async def _refund(
    session: AsyncSession, order: Order, hold: OrderHold, decision: Decision, units: dict[str, int]
) -> None:
    """Afterwards the refund of these units is granted, and whoever pays refunds out is to hear of it."""
    await recognise(session, order, hold.node or "hold")
    grant_id = f"hold-{hold.hold_id}".replace("/", "-")
    ask = RefundAsk(RefundKind.UNITS, "not_delivered", units)
    lines = [{"line_id": line_id, "quantity": quantity} for line_id, quantity in units.items()]
    said = {"refund_id": grant_id, "lines": lines, "reason_code": ask.reason_code, "reason": decision.reason}
    message_id = f"refund/{order.order_no}/{grant_id}"
    body = json.dumps(said, ensure_ascii=False)
    message = Incoming("orderflow", message_id, _REFUND_REQUESTED, order.order_no, body, said, decision.actor)
    await inbox.add(session, message, leased=False)
    wanted = Grant(grant_id, ask, decision.actor, decision.reason, message_id=message_id)
    await grant(session, order, wanted, await draft(session, order, ask), hold.node or "hold")


async def give_up(session: AsyncSession, order: Order, parcel: Parcel, node: str | None) -> None:
    """Afterwards the units of a parcel that was lost or came back lie in no parcel any more: what came back is in
    stock, and the cost of what was lost waits for somebody to settle the loss. Once: the parcel is another one then.
    """
    shipment, came_back = parcel.shipment, parcel.shipment.status == ParcelStatus.RETURNED
    if came_back:
        await take_back(session, order, parcel, node)
    else:
        await _post_loss(session, order, parcel)
    by_id = {line.line_id: line for line in await orders.lines(session, order.order_no)}
    for unit in parcel.lines:
        line = by_id[unit.line_id]
        line.shipped, line.allocated = line.shipped - unit.quantity, line.allocated - unit.quantity
        line.returned -= unit.quantity if came_back else 0
    told = shipping.told_of(shipment) | {"was": shipment.status, "cost_minor": _cost(parcel)}
    await shipping.move(session, shipment, ParcelStatus.GIVEN_UP, shipment.closed_at or now())
    message_id = None if came_back else _lost(shipment)
    await events.record(session, order, Event("shipment.given_up", told, node=node, message_id=message_id))


async def _post_loss(session: AsyncSession, order: Order, parcel: Parcel) -> None:
    lost = some(goods_lost(_cost(parcel)))
    key = f"lost/{order.order_no}/{parcel.shipment.shipment_no}"
    await journal.post(session, PostingContext.of_cost(order, now()), lost, key)


async def take_back(session: AsyncSession, order: Order, parcel: Parcel, node: str | None) -> None:
    """Afterwards the units of a parcel that came back undelivered are in stock and their cost with them, once."""
    shipment = parcel.shipment
    message_id = f"taken_back/{shipment.shipment_no}"
    if await events.has_message(session, order.order_no, message_id):
        return
    await _restock(session, parcel)
    by_id = {line.line_id: line for line in await orders.lines(session, order.order_no)}
    for one in parcel.lines:
        by_id[one.line_id].returned += one.quantity
    cost = some(goods_taken_back(_cost(parcel)))
    context = PostingContext.of_cost(order, shipment.closed_at or now())
    await journal.post(session, context, cost, f"taken_back/{order.order_no}/{shipment.shipment_no}")
    told = Event("shipment.taken_back", shipping.told_of(shipment), node=node, message_id=message_id)
    await events.record(session, order, told)


async def turned_up(session: AsyncSession, order: Order, shipment: Shipment, event: Event, status: ScanStatus) -> str:
    """Afterwards goods that had been given up as lost are in stock, if they came back, once; if they have arrived after
    all, people know of it. What had come back before it was given up is no news.
    """
    if not await events.has_message(session, order.order_no, _lost(shipment)):
        return "late"
    if status is ScanStatus.RETURNED and not await events.has_message(session, order.order_no, _found(shipment)):
        parcel = await shipping.parcel(session, shipment)
        await _restock(session, parcel)
        key = f"found/{order.order_no}/{shipment.shipment_no}"
        found = some(goods_found(_cost(parcel)))
        await journal.post(session, PostingContext.of_cost(order, now()), found, key)
        told = event.data | {"cost_minor": _cost(parcel)}
        await events.record(session, order, Event("shipment.found", told, message_id=_found(shipment)))
        await stock.wake(session)
    elif status is ScanStatus.DELIVERED:
        await events.record(session, order, event)
        facts = {"shipment_no": shipment.shipment_no}
        reason = Reason("parcel_turned_up", "a parcel that was given up has arrived", facts, blocking=False)
        await holds.open_hold(session, order, reason)
    else:
        return "late"
    return "applied"


async def _restock(session: AsyncSession, parcel: Parcel) -> None:
    units = [stock.ReturnedUnits(one.line_id, one.sku, one.quantity, one.cost_minor) for one in parcel.lines]
    await stock.take_back(session, parcel.shipment.shipment_no, parcel.shipment.warehouse, units)


def _cost(parcel: Parcel) -> int:
    return sum(unit.cost_minor for unit in parcel.lines)


def _lost(shipment: Shipment) -> str:
    return f"lost/{shipment.shipment_no}"


def _found(shipment: Shipment) -> str:
    return f"found/{shipment.shipment_no}"
