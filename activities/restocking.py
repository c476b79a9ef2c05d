"""Taking returned goods in: back into stock at the cost they left at, their price on its way back."""

from collections.abc import Mapping, Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.exchange_drafts import ask_of
from activities.granting import Grant, draft, grant
from activities.return_messages import Receipt
from domain.exchanging import EXCHANGE, replacement_number
from domain.order import GIVEN_AWAY
from domain.posting.entry import some
from domain.posting.roles import Role
from domain.posting.stock import goods_restocked, goods_returned_damaged
from domain.pricing import share_of_line
from domain.returning import Announced, Inspected, MoreThanAnnounced, ReturnState, received_of
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order, OrderLine
from models.returning import Return, ReturnLine, ReturnReceipt
from store import events, journal, orders, returning, stock
from store.events import Event
from store.journal import PostingContext
from store.stock import ReturnedUnits


async def take_in(session: AsyncSession, order: Order, row: Return, receipt: Receipt, message: InboxMessage) -> str:
    """Afterwards the receipt has had its effect, once; returns what became of it.

    The order's row must be locked, and revenue of what was delivered in the books.
    """
    if await returning.receipt(session, row.return_no, receipt.receipt_id) is not None:
        return "repeated"
    if row.state != ReturnState.APPROVED:
        return "too_late"
    announced = {line.line_id: line for line in await returning.lines_of(session, row.return_no)}
    found = [Inspected(one.line_id, one.resellable, one.damaged, one.refused) for one in receipt.lines]
    try:
        complete = received_of(
            [Announced(one.line_id, one.quantity, one.received) for one in announced.values()], found
        )
    except MoreThanAnnounced as refused:
        return refused.code
    _note(session, row, receipt, found, message)
    _count(announced, found)
    document_no = f"{row.return_no}/{receipt.receipt_id}"
    # The price first: both read the lines as they were before the goods came back.
    await _give_back(session, order, row, document_no, found, message)
    await _restock(session, order, document_no, receipt.warehouse, found)
    ends = complete or receipt.last
    if ends:
        row.state, row.closed_at = ReturnState.CLOSED.value, now()
    await events.record(session, order, _told(row, receipt, found, message))
    return "applied"


def _note(
    session: AsyncSession, row: Return, receipt: Receipt, found: Sequence[Inspected], message: InboxMessage
) -> None:
    session.add(
        ReturnReceipt(
            return_no=row.return_no,
            receipt_id=receipt.receipt_id,
            warehouse=receipt.warehouse,
            lines=[
                {"line_id": one.line_id, "resellable": one.resellable, "damaged": one.damaged, "refused": one.refused}
                for one in found
            ],
            received_by=message.actor,
        )
    )


def _count(announced: Mapping[str, ReturnLine], found: Sequence[Inspected]) -> None:
    for one in found:
        line = announced[one.line_id]
        line.received += one.received
        line.resellable += one.resellable
        line.damaged += one.damaged


async def _give_back(
    session: AsyncSession,
    order: Order,
    row: Return,
    document_no: str,
    found: Sequence[Inspected],
    message: InboxMessage,
) -> None:
    """The price of accepted units goes back, but for units that were refunded without their coming back.

    That of an exchange is kept for what goes out instead.
    """
    lines = {line.line_id: line for line in await orders.lines(session, order.order_no)}
    units = {one.line_id: min(one.accepted, _kept(lines[one.line_id])) for one in found}
    units = {line_id: quantity for line_id, quantity in units.items() if quantity > 0}
    if not units:
        return
    ask = ask_of(units)
    kept_for = replacement_number(order.channel, row.return_no) if row.kind == EXCHANGE else None
    wanted = Grant(document_no, ask, message.actor, row.reason, row.return_no, message.message_id, kept_for)
    await grant(session, order, wanted, await draft(session, order, ask), "return")


def _kept(line: OrderLine) -> int:
    return line.delivered - line.refunded


async def _restock(
    session: AsyncSession, order: Order, document_no: str, warehouse: str, found: Sequence[Inspected]
) -> None:
    """What can be sold again is on hand at the cost it left at; the cost of what is damaged waits to be settled."""
    lines = {line.line_id: line for line in await orders.lines(session, order.order_no)}
    arrived = await returning.arrived(session, order.order_no)
    back: list[ReturnedUnits] = []
    damaged = 0
    for one in found:
        if one.accepted:
            line, whole = lines[one.line_id], arrived[one.line_id]
            cost = share_of_line(whole.cost_minor, whole.units, line.returned, one.resellable)
            damaged += share_of_line(whole.cost_minor, whole.units, line.returned + one.resellable, one.damaged)
            if one.resellable:
                back.append(ReturnedUnits(one.line_id, line.sku, one.resellable, cost))
            line.returned += one.accepted
    if back:
        await stock.take_back(session, document_no, warehouse, back)
    bearer = Role.SAMPLE_EXPENSE if order.type in GIVEN_AWAY and order.total_minor == 0 else Role.COST_OF_SALES
    entries = some(
        goods_restocked(sum(one.value_minor for one in back), bearer), goods_returned_damaged(damaged, bearer)
    )
    context = PostingContext.of_cost(order, now())
    await journal.post(session, context, entries, f"returned/{order.order_no}/{document_no}")


def _told(row: Return, receipt: Receipt, found: Sequence[Inspected], message: InboxMessage) -> Event:
    told = {
        "return_no": row.return_no,
        "receipt_id": receipt.receipt_id,
        "warehouse": receipt.warehouse,
        "resellable": {one.line_id: one.resellable for one in found if one.resellable},
        "damaged": {one.line_id: one.damaged for one in found if one.damaged},
        "refused": {one.line_id: one.refused for one in found if one.refused},
        "state": row.state,
    }
    return Event("return.received", told, actor=message.actor, source=message.source, message_id=message.message_id)
