"""Taking requests for refunds in: worked out first, so that what may not be is refused at once; then committed."""

from activities.granting import draft
from api.inbox.door import API, take
from api.inbox.hand_over import REFUND_REQUESTED, HandOver
from api.orders.seen import Seen
from api.refunding.schemas import GrantedRefundView, RefundAsked, RefundMoney, RefundTaken
from domain.errors import DomainError
from store import inbox, payments, refunding
from store.inbox import Incoming
from workflows.refunding import refund_workflow_id


class RefundNotFound(DomainError):
    """The order has no refund of this id."""

    code = "refund_not_found"


async def preview(seen: Seen, asked: RefundAsked) -> RefundMoney:
    """The refund as it would be now. Raises why it would be refused."""
    return RefundMoney.of(seen.order, asked, await draft(seen.session, seen.order, asked.ask))


async def ask(seen: Seen, asked: RefundAsked, body: str, hand_over: HandOver | None) -> tuple[RefundTaken, bool]:
    """Afterwards the request is committed, and on its way; and whether it had come before.

    Raises why it is refused, nothing being kept of it then; MessageDiffers for other content under the same id.
    """
    order_no, message_id = seen.order_no, refund_workflow_id(seen.order_no, asked.refund_id)
    message = Incoming(API, message_id, REFUND_REQUESTED, order_no, body, asked.meaning, seen.caller.actor)
    if await inbox.find(seen.session, API, message_id) is None:
        await draft(seen.session, seen.order, asked.ask)
    receipt = await take(seen.session, message, hand_over)
    return RefundTaken.of(order_no, asked.refund_id), receipt.repeated


async def of_order(seen: Seen) -> list[GrantedRefundView]:
    """Every refund of the order that was decided, first one first."""
    lines = await refunding.lines_of(seen.session, seen.order_no)
    money = await payments.refunds_of(seen.session, seen.order_no)
    rows = await refunding.of_order(seen.session, seen.order_no)
    return [GrantedRefundView.of(row, lines.get(row.grant_id, []), money) for row in rows]


async def one(seen: Seen, refund_id: str) -> GrantedRefundView:
    """The refund, from the moment it was asked for. Raises RefundNotFound."""
    found = next((view for view in await of_order(seen) if view.refund_id == refund_id), None)
    if found is not None:
        return found
    message = await inbox.find(seen.session, API, refund_workflow_id(seen.order_no, refund_id))
    if message is None:
        raise RefundNotFound(refund_id=refund_id)
    return GrantedRefundView.waiting(RefundAsked.model_validate_json(message.body), seen.order.currency)
