"""Taking in what is said about returns: what cannot be is refused at once, the rest is committed and on its way."""

from activities.exchange_drafts import check_offered, draft
from api.inbox.door import API, take
from api.inbox.hand_over import RETURN_RECEIVED, RETURN_REQUESTED, HandOver
from api.orders.seen import Seen
from api.returning.exchanges import goods_wanted
from api.returning.schemas import ReturnAsked, ReturnPreview, ReturnReceived, ReturnTaken
from api.returning.seen import SeenReturn
from domain.exchanging import EXCHANGE, GoodsWanted
from domain.refunding import UnknownLine
from domain.returning import Announced, ReturnNotOpen, ReturnState, check_returnable, received_of, return_number
from models.masters import Warehouse
from store import inbox, orders, returning
from store.inbox import Incoming
from store.stock import UnknownWarehouse
from workflows.returns.contract import return_workflow_id


async def ask(seen: Seen, asked: ReturnAsked, body: str, hand_over: HandOver | None) -> tuple[ReturnTaken, bool]:
    """Afterwards the wish is committed; and whether it had come before.

    Raises NotReturnable, UnknownLine, ExchangeNotOffered, and Refused for what cannot go out instead.
    """
    order_no, return_no = seen.order_no, return_number(seen.order_no, asked.return_id)
    message_id = return_workflow_id(return_no)
    if await inbox.find(seen.session, API, message_id) is None:
        wanted = await _check(seen, asked)
        if asked.kind == EXCHANGE:
            # Another price than today's is not what was agreed; the words of the request are all still in it.
            body = asked.agreed(wanted)
            await draft(seen.session, seen.order, asked.units, wanted)
    message = Incoming(API, message_id, RETURN_REQUESTED, order_no, body, asked.meaning, seen.caller.actor)
    receipt = await take(seen.session, message, hand_over)
    return ReturnTaken.of(order_no, return_no), receipt.repeated


async def preview(seen: Seen, asked: ReturnAsked) -> ReturnPreview:
    """What the return would come to now. Raises why it would be refused."""
    wanted = await _check(seen, asked)
    worked_out = await draft(seen.session, seen.order, asked.units, wanted)
    return ReturnPreview.of(asked, seen.order, worked_out, seen.caller)


async def _check(seen: Seen, asked: ReturnAsked) -> list[GoodsWanted]:
    known = {line.line_id for line in await orders.lines(seen.session, seen.order_no)}
    if unknown := sorted({line.line_id for line in asked.lines} - known):
        raise UnknownLine(line_id=unknown[0])
    check_returnable(asked.units, await returning.returnable(seen.session, seen.order_no))
    if asked.kind != EXCHANGE:
        return []
    await check_offered(seen.session, seen.order)
    return await goods_wanted(seen, asked)


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
