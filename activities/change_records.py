"""What follows from a change of an order: money that goes back, holds that are answered by it, and its record."""

import json

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import refunds
from activities.change_drafts import ChangeWanted, Draft
from domain.changing import Fate
from domain.posting.roles import Role
from models.changing import OrderChange
from models.inbox import InboxMessage
from models.order import Order
from models.refunding import GrantedRefund
from store import events, holds, inbox
from store.events import Event
from store.inbox import Incoming

REFUND_REASON = "order_changed"


def refund_id_of(change_id: str) -> str:
    """The refund that pays out what a change gives back."""
    return f"change-{change_id}"


async def give_back(
    session: AsyncSession, order: Order, message: InboxMessage, wanted: ChangeWanted, worked_out: Draft
) -> None:
    """Afterwards the surplus is granted as a refund, and the inbox has what makes its workflow pay it out."""
    back = worked_out.back
    if not back.due_minor:
        return
    grant_id = refund_id_of(wanted.change_id)
    granted = GrantedRefund(
        order_no=order.order_no,
        grant_id=grant_id,
        kind="change",
        reason_code=REFUND_REASON,
        reason=wanted.reason,
        currency=order.currency,
        payout_minor=worked_out.refund_minor,
        absorbed_minor=back.absorbed_minor,
        granted_by=message.actor,
    )
    session.add(granted)
    await session.flush()
    amounts = [(one.payment, one.minor) for one in worked_out.payouts]
    for refund, _payment in await refunds.new_refunds(session, order, amounts, f"{refunds.GRANTED}{grant_id}"):
        session.add(refund)
        await refunds.note_requested(session, order, refund, None)
    if worked_out.refund_minor:
        said = {
            "refund_id": grant_id,
            "goodwill": {"amount_minor": worked_out.refund_minor},
            "reason_code": REFUND_REASON,
        }
        message_id = f"refund/{order.order_no}/{grant_id}"
        body = json.dumps(said)
        request = Incoming("api", message_id, "refund.requested", order.order_no, body, said, message.actor)
        await inbox.add(session, request, leased=False)


async def settle_holds(session: AsyncSession, order: Order, worked_out: Draft) -> None:
    """Afterwards the order is not held for money that is neither missing nor too much any more, nor for a no to what it
    was about before.
    """
    answered = ["approval_rejected"] if worked_out.relevant else []
    if worked_out.ship_to is not None:
        # Where it would not go it need not go any more: the carrier is asked anew.
        answered.append("carrier_refused")
    if worked_out.after.is_settled:
        answered += ["payment_short", "change_unpaid"]
    if not worked_out.after.balances()[Role.OVERPAYMENT]:
        answered.append("payment_over")
    if answered:
        await holds.resolve(session, order, tuple(answered), "changed", by="orderflow", reason="the order was changed")


async def record(
    session: AsyncSession, order: Order, message: InboxMessage, wanted: ChangeWanted, worked_out: Draft
) -> None:
    """Afterwards the change is on record and told, and its message is applied."""
    before = {line.value.line_id: line.wanted for line in worked_out.was}
    after = {line.value.line_id: line.wanted for line in worked_out.lines if line.fate is not Fate.REMOVED}
    totals = worked_out.before.totals.total_minor, worked_out.after.totals.total_minor
    row = OrderChange(
        order_no=order.order_no,
        change_id=wanted.change_id,
        version=order.last_event_seq,
        reason=wanted.reason,
        before={"units": before, "total_minor": totals[0]},
        after={"units": after, "total_minor": totals[1]},
        address_changed=worked_out.ship_to is not None,
        relevant=worked_out.relevant,
        currency=order.currency,
        delta_minor=worked_out.delta_minor,
        refund_minor=worked_out.refund_minor,
        balance_minor=worked_out.balance_minor,
        changed_by=message.actor,
    )
    session.add(row)
    told = {
        "change_id": wanted.change_id,
        "delta_minor": row.delta_minor,
        "refund_minor": row.refund_minor,
        "balance_minor": row.balance_minor,
        "currency": order.currency,
        "address_changed": row.address_changed,
    }
    changed = Event(
        "order.changed",
        told,
        actor=message.actor,
        source=message.source,
        message_id=message.message_id,
        reason=wanted.reason,
        before={"units": before},
        after={"units": after},
    )
    await events.record(session, order, changed)
    # A change that was refused before and went through when it was asked again is applied all the same.
    message.applied_at = None
    inbox.mark_applied(message, "applied")
