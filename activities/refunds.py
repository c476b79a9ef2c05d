"""Sending money of an order back: approved in the books first, then asked of the provider, then recorded as paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.deposits import keep_deposit
from activities.posting import has_open_position, post_unposted, sale_of
from domain.order import Lifecycle, has_ended
from domain.posting.entry import some
from domain.posting.roles import PaymentCategory
from domain.posting.sale import compensation_absorbed, refund_approved, refund_paid
from integrations.payment.port import RefundRequest, RefundResult, RefundStatus
from models.columns import now
from models.order import Order, OrderHold
from models.payment import Payment, Refund
from store import deposits, events, holds, inbox, journal, payments
from store.events import Event
from store.holds import Reason
from store.journal import PostingContext

_CAUSE = "cancel"
SURPLUS = "surplus"
"""Why money goes back that an order has no use for."""
GRANTED = "grant/"
"""What the cause of every refund begins with that was granted by itself, and is paid out beside its order."""
# The next try comes by Temporal's clock, its moment was set by ours.
_CLOCKS_DIFFER = timedelta(minutes=1)
_REQUESTED, _SUCCEEDED, _REFUSED = "requested", "succeeded", "refused"


@dataclass(frozen=True)
class Asked:
    """What to ask of the provider, and the key under which he does it once."""

    key: str
    request: RefundRequest


async def approve(session: AsyncSession, order: Order, node: str) -> tuple[list[Asked], str | None]:
    """Afterwards every payment of an order that is not to be has its refund, and the sale is out of the books.

    A deposit that the customer has lost stays, and is ours. Returns what is to be asked of the provider, and why the
    order is held if it is. A completed order keeps its money.
    """
    if order.lifecycle == Lifecycle.COMPLETED:
        return [], None
    held = await post_unposted(session, order, node)
    if held is not None:
        return [], held
    await keep_deposit(session, order)
    added = await _add_refunds(session, order)
    await _take_out_of_books(session, order, added)
    for refund, _payment in added:
        await note_requested(session, order, refund, node)
    return await to_ask(session, order), None


async def _add_refunds(session: AsyncSession, order: Order) -> list[tuple[Refund, Payment]]:
    left = await payments.left_of(session, order.order_no)
    return await new_refunds(session, order, deposits.less_kept(left, order.forfeited_minor), _CAUSE)


async def new_refunds(
    session: AsyncSession, order: Order, amounts: Sequence[tuple[Payment, int]], cause: str
) -> list[tuple[Refund, Payment]]:
    """Refunds of these amounts of payments, numbered on from those the order has; not yet on record."""
    known = len(await payments.refunds_of(session, order.order_no))
    return [
        (new_refund(f"{order.order_no}-R{number}", payment, minor, cause), payment)
        for number, (payment, minor) in enumerate(amounts, start=known + 1)
    ]


def new_refund(refund_id: str, payment: Payment, minor: int, cause: str) -> Refund:
    """A refund of this much of a payment, not yet on record."""
    return Refund(
        refund_id=refund_id,
        order_no=payment.order_no,
        payment_id=payment.payment_id,
        cause=cause,
        amount_minor=minor,
        currency=payment.currency,
    )


async def note_requested(session: AsyncSession, order: Order, refund: Refund, node: str | None) -> None:
    """Afterwards the order's story tells that the money is to go back."""
    await events.record(session, order, Event("refund.requested", _told(refund), node=node))


async def note_credited(session: AsyncSession, order: Order, refund: Refund) -> None:
    """Afterwards the money counts as given back: it pays for another order's goods, whose books it goes into."""
    refund.state, refund.settled_at = _SUCCEEDED, now()
    order.refunded_minor += refund.amount_minor
    told = _told(refund) | {"credited_to": refund.credited_to}
    await events.record(session, order, Event("refund.credited", told, node="return"))


async def _take_out_of_books(session: AsyncSession, order: Order, added: Sequence[tuple[Refund, Payment]]) -> None:
    """Applied money becomes payable, refund by refund; what then still stands of the sale goes as well.

    Late money is payable already, and money set aside is in no books.
    """
    sale = await sale_of(session, order)
    position = sale.position
    for refund, payment in added:
        session.add(refund)
        if payment.state == payments.APPLIED:
            after = position.refunded(refund.amount_minor)
            entries = some(refund_approved(position, after))
            context = PostingContext.of(order, refund.requested_at)
            await journal.post(session, context, entries, f"refund_approved/{order.order_no}/{refund.refund_id}")
            position = after
    # What is left of the settled money then went back as compensation before: it counts towards this, too.
    absorbed = compensation_absorbed(position.settled_minor)
    rest = some(refund_approved(position, position.cancelled()), absorbed)
    if rest and not sale.undone and await has_open_position(session, order):
        await journal.post(session, PostingContext.of(order, now()), rest, payments.undone_key(order.order_no))
    order.written_off_minor = 0


async def to_ask(session: AsyncSession, order: Order, cause: str | None = None) -> list[Asked]:
    """Refunds (of one cause) without an outcome; refused ones once their hold is settled, or its next try is due."""
    refunds = await _of_cause(session, order.order_no, cause)
    states = {_REQUESTED}
    hold = await holds.find_open(session, order.order_no, "refund_failed")
    if hold is None or _is_due(hold):
        states.add(_REFUSED)
    waiting = [refund for refund in refunds if refund.state in states and refund.credited_to is None]
    if not waiting:
        return []
    known = {one.payment_id: one for one in await payments.of_order(session, order.order_no)}
    refusals = await payments.refusals(session, order.order_no)
    asked = []
    for refund in waiting:
        refund.state = _REQUESTED
        # A provider remembers a refusal, so the try after it has a key of its own.
        times = refusals.get(refund.refund_id, 0)
        key = f"{refund.refund_id}/{times}" if times else refund.refund_id
        # A provider can give back only what it has taken: the money behind a credit is another order's payment.
        asked.append(Asked(key, _request(refund, await payments.origin(session, known[refund.payment_id]))))
    return asked


def _is_due(hold: OrderHold) -> bool:
    return hold.next_try_at is not None and hold.next_try_at <= now() + _CLOCKS_DIFFER


def _request(refund: Refund, payment: Payment) -> RefundRequest:
    return RefundRequest(
        order_no=payment.order_no,
        payment_id=payment.payment_id,
        refund_id=refund.refund_id,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        method=payment.method,
    )


async def settle(session: AsyncSession, order: Order, asked: Asked, answer: RefundResult, node: str) -> None:
    """Afterwards the provider's final answer is on record, once: money is gone from the books, or the order is held."""
    refund = await payments.find_refund(session, asked.request.refund_id)
    if refund.state != _REQUESTED:
        return
    refund.provider_ref = answer.provider_ref
    if answer.status is RefundStatus.REFUSED:
        await _note_refusal(session, order, refund, asked, node)
        return
    refund.state, refund.settled_at = _SUCCEEDED, now()
    await _book_out(session, order, refund)
    told = _told(refund) | {"provider_ref": refund.provider_ref, "method": asked.request.method}
    await events.record(session, order, Event("refund.succeeded", told, node=node))
    if refund.cause.startswith(GRANTED) and not has_ended(order.lifecycle):
        # It was paid out beside the order, whose workflow would know it as it was before.
        await inbox.tell_adjusted(session, order.order_no, refund.refund_id)
    everything = await payments.refunds_of(session, order.order_no)
    if all(one.state == _SUCCEEDED for one in everything if one.credited_to is None):
        why = "the provider has given it back"
        await holds.resolve(session, order, ("refund_failed",), "refunded", by="orderflow", reason=why)


async def _book_out(session: AsyncSession, order: Order, refund: Refund) -> None:
    payment = await session.get_one(Payment, (refund.order_no, refund.payment_id))
    if payment.state not in payments.COUNTED:
        return
    order.refunded_minor += refund.amount_minor
    origin = await payments.origin(session, payment)
    entries = some(refund_paid(refund.amount_minor, PaymentCategory(origin.category).debit_role))
    key = f"refund_paid/{order.order_no}/{refund.refund_id}"
    await journal.post(session, PostingContext.of(order, refund.settled_at or now()), entries, key)


async def _note_refusal(session: AsyncSession, order: Order, refund: Refund, asked: Asked, node: str) -> None:
    refund.state = _REFUSED
    # One event per key: their number is what the key of the next try is made of.
    message_id = f"refused/{asked.key}"
    if not await events.has_message(session, order.order_no, message_id):
        refused = Event("refund.refused", _told(refund), node=node, message_id=message_id)
        await events.record(session, order, refused)
    # An order that goes on does not stand still for money that it no longer wants.
    blocking = refund.cause == _CAUSE
    reason = Reason("refund_failed", "the provider refused a refund", _told(refund), node, blocking)
    await holds.open_hold(session, order, reason)


async def hold_of(session: AsyncSession, order_no: str, cause: str | None = None) -> str | None:
    """The hold of a refund (of one cause) that was refused, if there is such a refund."""
    refunds = await _of_cause(session, order_no, cause)
    return "refund_failed" if any(refund.state == _REFUSED for refund in refunds) else None


async def _of_cause(session: AsyncSession, order_no: str, cause: str | None) -> list[Refund]:
    return [one for one in await payments.refunds_of(session, order_no) if cause in (None, one.cause)]


def _told(refund: Refund) -> dict[str, object]:
    return {
        "refund_id": refund.refund_id,
        "payment_id": refund.payment_id,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
    }
