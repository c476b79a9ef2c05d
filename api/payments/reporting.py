"""Taking payments in: which order they are for, and whether they may be for it."""

from typing import Any

from pydantic import ConfigDict, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from api.batch import Taken
from api.inbox.door import API, PAYMENT_SETTLED, take
from api.inbox.hand_over import HandOver
from api.orders.seen import Seen
from api.payments.schemas import AddressedPayment, PaymentSent, PaymentView
from api.verbatim import text_of, understood
from domain.access import Principal
from domain.errors import DomainError
from domain.money import CurrencyMismatch
from models.order import Order
from store import inbox
from store.inbox import Incoming
from store.orders import OrderNotFound


class PaymentNotFound(DomainError):
    """The order has no payment of this id."""

    code = "payment_not_found"


def payment_message(order_no: str, payment: PaymentSent, body: str, actor: str) -> Incoming:
    """A payment that a caller of the API reports."""
    message_id = f"payment/{order_no}/{payment.payment_id}"
    return Incoming(API, message_id, PAYMENT_SETTLED, order_no, body, payment.meaning, actor)


def check_currency(order: Order, payment: PaymentSent) -> None:
    """Raises CurrencyMismatch for money in another currency than the order's."""
    if payment.currency != order.currency:
        raise CurrencyMismatch(order_no=order.order_no)


async def report_addressed(
    session: AsyncSession, hand_over: HandOver | None, item: dict[str, Any], caller: Principal
) -> Taken:
    """Afterwards the payment is on record. Raises OrderNotFound for an order that exists for others only."""
    payment = understood(AddressedPayment, item)
    order = await session.get(Order, payment.number)
    _check_sight(payment, order, caller)
    if order is not None:
        check_currency(order, payment)
    message = payment_message(payment.number, payment, text_of(item), caller.actor)
    receipt = await take(session, message, hand_over, known=order is not None)
    return payment.number, receipt.repeated


def _check_sight(payment: AddressedPayment, order: Order | None, caller: Principal) -> None:
    channel = order.channel if order is not None else payment.channel
    # An order number that we do not know could be anybody's.
    in_sight = caller.channels is None if channel is None else caller.sees_channel(channel)
    if not in_sight:
        raise OrderNotFound()


async def waiting_payment(seen: Seen, payment_id: str) -> PaymentView | None:
    """A payment that was reported through the API and is not set against the order yet."""
    message_id = f"payment/{seen.order_no}/{payment_id}"
    message = await inbox.find(seen.session, API, message_id)
    if message is None:
        return None
    try:
        return PaymentView.waiting(_PaymentKept.model_validate_json(message.body))
    except ValidationError:
        return None


class _PaymentKept(PaymentSent):
    """A payment as the inbox keeps it: an item of a batch says more."""

    model_config = ConfigDict(extra="ignore")
