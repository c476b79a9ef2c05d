"""Taking in what is said about returns: what cannot be is refused at once, the rest is committed and on its way."""

from api.inbox.door import API, take
from api.inbox.hand_over import RETURN_RECEIVED, RETURN_REQUESTED, HandOver
from api.orders.seen import Seen
from api.returning.schemas import ReturnAsked, ReturnReceived, ReturnTaken
from api.returning.seen import SeenReturn
from domain.refunding import UnknownLine
from domain.returning import Announced, ReturnNotOpen, ReturnState, check_returnable, received_of, return_number
from models.masters import Warehouse
from store import inbox, orders, returning
from store.inbox import Incoming
from store.stock import UnknownWarehouse
from workflows.returns.contract import return_workflow_id


async def ask(seen: Seen, asked: ReturnAsked, body: str, hand_over: HandOver | None) -> tuple[ReturnTaken, bool]:
    """Afterwards the wish is committed; and whether it had come before. Raises NotReturnable, UnknownLine."""
    order_no, return_no = seen.order_no, return_number(seen.order_no, asked.return_id)
    message_id = return_workflow_id(return_no)
    if await inbox.find(seen.session, API, message_id) is None:
        await _check(seen, asked)
    message = Incoming(API, message_id, RETURN_REQUESTED, order_no, body, asked.meaning, seen.caller.actor)
    receipt = await take(seen.session, message, hand_over)
    return ReturnTaken.of(order_no, return_no), receipt.repeated


async def _check(seen: Seen, asked: ReturnAsked) -> None:
    known = {line.line_id for line in await orders.lines(seen.session, seen.order_no)}
    if unknown := sorted({line.line_id for line in asked.lines} - known):
        raise UnknownLine(line_id=unknown[0])
    wanted = {line.line_id: line.quantity for line in asked.lines}
    check_returnable(wanted, await returning.returnable(seen.session, seen.order_no))


async def take_in(
    seen: SeenReturn, sent: ReturnReceived, body: str, hand_over: HandOver | None
) -> tuple[ReturnTaken, bool]:
    """Afterwards the receipt is committed; and whether it had come before.

    Raises ReturnNotOpen, MoreThanAnnounced, UnknownWarehouse.
    """
    row, actor = seen.row, seen.caller.actor
    message_id = f"{return_workflow_id(row.return_no)}/receipt/{sent.receipt_id}"
    if await inbox.find(seen.session, API, message_id) is None:
        if row.state != ReturnState.APPROVED:
            raise ReturnNotOpen(return_no=row.return_no, state=row.state)
        if await seen.session.get(Warehouse, sent.warehouse) is None:
            raise UnknownWarehouse(warehouse=sent.warehouse)
        received_of([Announced(one.line_id, one.quantity, one.received) for one in seen.found.lines], sent.found)
    message = Incoming(API, message_id, RETURN_RECEIVED, row.order_no, body, sent.model_dump(mode="json"), actor)
    receipt = await take(seen.session, message, hand_over)
    return ReturnTaken.of(row.order_no, row.return_no), receipt.repeated
