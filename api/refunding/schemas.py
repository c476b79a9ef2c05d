"""Refunds as people ask for them, and as programs read them."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from activities.granting import Draft
from api.fields import Body, Key, LongText, Moment, PositiveMinor, Quantity, Word
from api.orders.schemas import MAX_LINES, LineId
from domain.refunding import RefundAsk, RefundKind
from models.order import Order
from models.payment import Refund
from models.refunding import GrantedRefund, GrantedRefundLine

RECEIVED: Final = "received"


class UnitsBack(Body):
    """Units of a line whose price goes back; those that were not sent yet go first, and will never be sent."""

    line_id: LineId
    quantity: Quantity


class ShippingBack(Body):
    """An amount of the shipping fee; left out, all that is left of it."""

    amount_minor: PositiveMinor | None = None


class GoodwillBack(Body):
    """An amount that is not for units: off the price, or at our own expense where the reason says so."""

    amount_minor: PositiveMinor


class RefundAsked(Body):
    """One of `lines`, `shipping` and `goodwill`, and why. The same `refund_id` has one effect."""

    refund_id: Key
    lines: Annotated[list[UnitsBack], Field(min_length=1, max_length=MAX_LINES)] | None = None
    shipping: ShippingBack | None = None
    goodwill: GoodwillBack | None = None
    reason_code: Word
    reason: LongText | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if sum(part is not None for part in (self.lines, self.shipping, self.goodwill)) != 1:
            raise PydanticCustomError("refund_unclear", "Name one of lines, shipping and goodwill")
        lines = [line.line_id for line in self.lines or ()]
        if len(set(lines)) != len(lines):
            raise PydanticCustomError("duplicate_line_id", "A line id occurs twice")
        return self

    @property
    def ask(self) -> RefundAsk:
        """What is wanted, in the words of the rules."""
        if self.lines is not None:
            units = {line.line_id: line.quantity for line in self.lines}
            return RefundAsk(RefundKind.UNITS, self.reason_code, units)
        if self.shipping is not None:
            return RefundAsk(RefundKind.SHIPPING, self.reason_code, minor=self.shipping.amount_minor)
        minor = self.goodwill.amount_minor if self.goodwill else None
        return RefundAsk(RefundKind.GOODWILL, self.reason_code, minor=minor)

    @property
    def meaning(self) -> dict[str, Any]:
        """What two equal requests share."""
        return self.model_dump(mode="json", exclude_defaults=True)


class RefundQuery(BaseModel):
    """With `preview=true` nothing is done: the answer says what would be."""

    model_config = ConfigDict(extra="forbid")

    preview: bool = False


class LineBack(BaseModel):
    """What a refund takes of one line: its share of each price component. `unshipped` units will never be sent."""

    line_id: str
    unshipped: int
    delivered: int
    gross_minor: int
    net_minor: int
    tax_minor: int
    platform_minor: int
    shipping_minor: int
    payable_minor: int

    @classmethod
    def of(cls, row: GrantedRefundLine) -> Self:
        derived = {"net_minor": row.gross_minor - row.tax_minor, "payable_minor": row.gross_minor - row.platform_minor}
        return cls.model_validate(row.model_dump() | derived)


class PaidBack(BaseModel):
    """Money that would go back, or goes back, for one payment."""

    payment_id: str
    amount_minor: int
    state: str


class RefundMoney(BaseModel):
    """What a refund would come to now; nothing of it has happened.

    The price falls by `reduction_minor` for the customer. Of that `payout_minor` is paid back; the rest is owed no
    more, or was paid as compensation before (`absorbed_minor`). `compensation_minor` is paid at our own expense.
    """

    order_no: str
    kind: str
    currency: str
    lines: list[LineBack]
    reduction_minor: int
    payout_minor: int
    absorbed_minor: int
    compensation_minor: int
    payouts: list[PaidBack]

    @classmethod
    def of(cls, order: Order, asked: RefundAsked, draft: Draft) -> Self:
        return cls(
            order_no=order.order_no,
            kind=asked.ask.kind.value,
            currency=order.currency,
            lines=[LineBack.model_validate(one, from_attributes=True) for one in draft.taken],
            reduction_minor=sum(one.payable_minor for one in draft.taken),
            payout_minor=draft.payout_minor,
            absorbed_minor=draft.back.absorbed_minor,
            compensation_minor=draft.compensation_minor,
            payouts=[
                PaidBack(payment_id=one.payment.payment_id, amount_minor=one.minor, state="none")
                for one in draft.payouts
            ],
        )


class RefundTaken(BaseModel):
    """The request is on record and about to be decided."""

    order_no: str
    refund_id: str
    state: str
    links: dict[str, str]

    @classmethod
    def of(cls, order_no: str, refund_id: str) -> Self:
        own = f"/v1/orders/{order_no}/refunds/{refund_id}"
        links = {"self": own, "order": f"/v1/orders/{order_no}"}
        return cls(order_no=order_no, refund_id=refund_id, state=RECEIVED, links=links)


class GrantedRefundView(BaseModel):
    """A refund. `state`: received, then granted or refused (`refusal` says why); paid once the money has gone back.

    `credited_to`: the replacement that it pays for instead, where it belongs to an exchange.
    """

    refund_id: str
    state: str
    refusal: str | None
    kind: str | None
    reason_code: str
    reason: str | None
    return_no: str | None
    currency: str
    reduction_minor: int
    payout_minor: int
    absorbed_minor: int
    compensation_minor: int
    lines: list[LineBack]
    payouts: list[PaidBack]
    credited_to: str | None
    granted_by: str | None
    granted_at: Moment | None

    @classmethod
    def of(cls, row: GrantedRefund, lines: Sequence[GrantedRefundLine], money: Iterable[Refund]) -> Self:
        # What an exchange did not need of it went on as a refund of its own.
        refunds = [one for one in money if one.cause.removeprefix("rest/") == f"grant/{row.grant_id}"]
        payouts = [PaidBack.model_validate(one, from_attributes=True) for one in refunds]
        settled = row.state == "granted" and all(one.state == "succeeded" for one in payouts)
        shown: dict[str, Any] = {
            "refund_id": row.grant_id,
            "state": "paid" if settled else row.state,
            "lines": [LineBack.of(line) for line in lines],
            "payouts": payouts,
            "credited_to": next((one.credited_to for one in refunds if one.credited_to), None),
        }
        return cls.model_validate(row.model_dump() | shown)

    @classmethod
    def waiting(cls, asked: RefundAsked, currency: str) -> Self:
        """A request that lies in the inbox and is not decided yet."""
        return cls(
            refund_id=asked.refund_id,
            state=RECEIVED,
            refusal=None,
            kind=asked.ask.kind.value,
            reason_code=asked.reason_code,
            reason=asked.reason,
            return_no=None,
            currency=currency,
            reduction_minor=0,
            payout_minor=0,
            absorbed_minor=0,
            compensation_minor=0,
            lines=[],
            payouts=[],
            credited_to=None,
            granted_by=None,
            granted_at=None,
        )


class GrantedRefundList(BaseModel):
    """All refunds of one order; there is no further page."""

    data: list[GrantedRefundView]
    next_cursor: str | None
