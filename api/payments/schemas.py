"""Payments as programs report and read them."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.fields import AmountMinor, Body, Currency, JsonObject, Key, Moment, PositiveMinor, Text, Word
from domain.order_number import order_number
from models.payment import Payment, Refund

MAX_BATCH: Final = 500
RECEIVED: Final = "received"


class PaymentSent(Body):
    """Money that came in. Without `kind` it is what the plan expects next; without `paid_at` it came just now.

    `amount_minor` is what it settles of the order. `fee_minor` of it never reached us: a courier who collects on
    delivery, for one, passes on what is left.
    """

    payment_id: Key
    method: Word
    amount_minor: PositiveMinor
    currency: Currency
    kind: Literal["full", "deposit", "balance"] | None = None
    fee_minor: AmountMinor = 0
    paid_at: Moment | None = None

    @model_validator(mode="after")
    def fee_is_part_of_it(self) -> Self:
        if self.fee_minor > self.amount_minor:
            raise PydanticCustomError("fee_above_amount", "The fee is more than the payment")
        return self

    @property
    def meaning(self) -> dict[str, Any]:
        """What two equal reports share, whichever way they name the order."""
        return self.model_dump(mode="json", include=set(PaymentSent.model_fields), exclude_defaults=True)


class AddressedPayment(PaymentSent):
    """A payment that says itself which order it is for: by our number, or as the channel calls it."""

    order_no: Key | None = None
    channel: Key | None = None
    external_id: Text | None = None

    @model_validator(mode="after")
    def names_one_order(self) -> Self:
        named = [self.order_no is not None, self.channel is not None, self.external_id is not None]
        if named not in ([True, False, False], [False, True, True]):
            raise PydanticCustomError("order_unnamed", "Name the order by order_no, or by channel and external_id")
        return self

    @property
    def number(self) -> str:
        """The order's number, whether or not the order has come."""
        return self.order_no or order_number(self.channel or "", self.external_id or "")


class PaymentBatch(Body):
    """Up to 500 payments, each taken or refused by itself. They may come before their orders.

    An item is what `POST /v1/orders/{order_no}/payments` takes, with `order_no`, or `channel` and `external_id`.
    """

    payments: Annotated[list[JsonObject], Field(min_length=1, max_length=MAX_BATCH)]


class PaymentTaken(BaseModel):
    """The payment is on record and on its way to its order."""

    order_no: str
    payment_id: str
    state: str
    links: dict[str, str]

    @classmethod
    def of(cls, order_no: str, payment_id: str) -> Self:
        own = f"/v1/orders/{order_no}/payments/{payment_id}"
        links = {"self": own, "order": f"/v1/orders/{order_no}"}
        return cls(order_no=order_no, payment_id=payment_id, state=RECEIVED, links=links)


class PaymentView(BaseModel):
    """A payment. `state`: received, then applied; unposted, late or unapplied where something stands against it."""

    payment_id: str
    method: str
    category: str | None
    kind: str | None
    amount_minor: int
    fee_minor: int
    currency: str
    state: str
    paid_at: Moment | None
    recorded_at: Moment | None

    @classmethod
    def of(cls, row: Payment) -> Self:
        return cls.model_validate(row, from_attributes=True)

    @classmethod
    def waiting(cls, sent: PaymentSent) -> Self:
        """A payment that lies in the inbox and is not applied yet."""
        said = sent.model_dump(include=set(PaymentSent.model_fields))
        return cls(**said, category=None, state=RECEIVED, recorded_at=None)


class PaymentList(BaseModel):
    """All payments of one order; there is no further page."""

    data: list[PaymentView]
    next_cursor: str | None


class RefundView(BaseModel):
    """Money that goes back, or has gone back, to who paid it; `credited_to` an order that it pays for instead."""

    refund_id: str
    payment_id: str
    cause: str
    amount_minor: int
    currency: str
    state: str
    credited_to: str | None
    requested_at: Moment
    settled_at: Moment | None

    @classmethod
    def of(cls, row: Refund) -> Self:
        return cls.model_validate(row, from_attributes=True)
