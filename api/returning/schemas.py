"""Returns as people ask for them, decide them and take them in, and as programs read them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from activities.exchange_drafts import ReturnDraft
from api.fields import MAX_QUANTITY, Body, Key, LongText, Moment, Quantity, Word
from api.orders.schemas import MAX_LINES, AddressSent, Amount, LineId, RateText
from api.paging import ListQuery
from api.shown import money
from domain.access import Principal
from domain.exchanging import EXCHANGE, GoodsWanted
from domain.returning import RETURN_REASONS, Inspected, ReturnState
from models.order import Order
from models.returning import ExchangeLine, Return, ReturnLine
from store.returning import ReturnFilter, ReturnWithLines

RECEIVED: Final = "received"
Units = Annotated[int, Field(strict=True, ge=0, le=MAX_QUANTITY)]
ReceiptId = Annotated[Key, Field(max_length=40)]


def _each_line_once(line_ids: Sequence[str]) -> None:
    if len(set(line_ids)) != len(line_ids):
        raise PydanticCustomError("duplicate_line_id", "A line id occurs twice")


class UnitsAnnounced(Body):
    """Units of a line that are to come back, and why."""

    line_id: LineId
    quantity: Quantity
    reason_code: Word

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if self.reason_code not in RETURN_REASONS:
            raise PydanticCustomError("return_reason_unknown", "Not a reason for a return")
        return self


class UnitsInstead(Body):
    """Units that are to go out instead of a line. Of the line's own SKU they cost what was paid for it.

    Others cost what the catalogue says; another price or tax rate counts from keys that set prices.
    """

    line_id: LineId
    sku: Key
    quantity: Quantity
    unit_price_minor: Amount | None = None
    tax_rate: RateText | None = None

    @property
    def rate(self) -> Decimal | None:
        return None if self.tax_rate is None else Decimal(self.tax_rate)


class ReturnAsked(Body):
    """Delivered units that somebody wants to send back. The same `return_id` of an order has one effect.

    An `exchange` names what goes out `instead`, and where to if not to where the order went.
    """

    return_id: Key
    kind: Literal["refund", "exchange"] = "refund"
    lines: Annotated[list[UnitsAnnounced], Field(min_length=1, max_length=MAX_LINES)]
    instead: Annotated[tuple[UnitsInstead, ...], Field(max_length=MAX_LINES)] = ()
    ship_to: AddressSent | None = None
    reason: LongText | None = None

    @model_validator(mode="after")
    def _names_lines_once(self) -> Self:
        _each_line_once([line.line_id for line in self.lines])
        return self

    @model_validator(mode="after")
    def _names_goods_to_exchange(self) -> Self:
        if self.kind == EXCHANGE and not self.instead:
            raise PydanticCustomError("nothing_instead", "An exchange names what goes out instead")
        if self.kind != EXCHANGE and (self.instead or self.ship_to):
            raise PydanticCustomError("not_an_exchange", "Only an exchange has instead and ship_to")
        return self

    @property
    def units(self) -> dict[str, int]:
        """Units to come back, by line."""
        return {line.line_id: line.quantity for line in self.lines}

    def agreed(self, wanted: Sequence[GoodsWanted]) -> str:
        """What was asked for, at the prices at which it was taken in."""
        said = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(said | {"instead": [_agreed(one) for one in wanted]}, ensure_ascii=False)

    @property
    def meaning(self) -> dict[str, Any]:
        """What two equal requests share."""
        return self.model_dump(mode="json", exclude_defaults=True)


def _agreed(one: GoodsWanted) -> dict[str, Any]:
    return asdict(one) | {"tax_rate": None if one.tax_rate is None else str(one.tax_rate)}


class UnitsFound(Body):
    """How units of a line were found: to be sold again, damaged, or not accepted and not refunded."""

    line_id: LineId
    resellable: Units = 0
    damaged: Units = 0
    refused: Units = 0

    @model_validator(mode="after")
    def _found_something(self) -> Self:
        if self.resellable + self.damaged + self.refused == 0:
            raise PydanticCustomError("nothing_found", "Name at least one unit")
        return self


class ReturnReceived(Body):
    """What came into a warehouse and how it was found. `last`: what has not come by now is not waited for."""

    receipt_id: ReceiptId
    warehouse: Key
    lines: Annotated[list[UnitsFound], Field(min_length=1, max_length=MAX_LINES)]
    last: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _names_lines_once(self) -> Self:
        _each_line_once([line.line_id for line in self.lines])
        return self

    @property
    def found(self) -> list[Inspected]:
        """The lines, in the words of the rules."""
        return [Inspected(one.line_id, one.resellable, one.damaged, one.refused) for one in self.lines]


class ReturnTaken(BaseModel):
    """What was sent is on record and about to have its effect."""

    return_no: str
    order_no: str
    state: str
    links: dict[str, str]

    @classmethod
    def of(cls, order_no: str, return_no: str, state: str = RECEIVED) -> Self:
        links = {
            "self": f"/v1/returns/{return_no}",
            "order": f"/v1/orders/{order_no}",
            "approvals": f"/v1/approvals?order_no={order_no}",
        }
        return cls(return_no=return_no, order_no=order_no, state=state, links=links)


class GoodsBackView(BaseModel):
    """Units that would come back, and what of the customer's money they are worth."""

    line_id: str
    sku: str
    quantity: int
    credit_minor: int | None


class GoodsOutView(BaseModel):
    """Units that would go out instead, and what they would cost."""

    instead_of: str
    sku: str
    quantity: int
    payable_minor: int | None
    tax_minor: int | None


class ReturnPreview(BaseModel):
    """What a return would come to if all of it were accepted now; nothing of it has happened.

    `outcome`: `refund_minor` goes back (`refund`), `due_minor` is to be paid before the new goods go out (`pay`), or
    neither (`none`).
    """

    order_no: str
    kind: str
    currency: str
    back: list[GoodsBackView]
    out: list[GoodsOutView]
    credit_minor: int | None
    price_minor: int | None
    due_minor: int | None
    refund_minor: int | None
    outcome: Literal["refund", "pay", "none"]

    @classmethod
    def of(cls, asked: ReturnAsked, order: Order, draft: ReturnDraft, caller: Principal) -> Self:
        return cls(
            order_no=order.order_no,
            kind=asked.kind,
            currency=order.currency,
            back=[
                GoodsBackView(
                    line_id=one.value.line_id,
                    sku=one.value.sku,
                    quantity=one.announced,
                    credit_minor=money(caller, one.credit_minor),
                )
                for one in draft.back
            ],
            out=[
                GoodsOutView(
                    instead_of=one.instead_of,
                    sku=one.value.sku,
                    quantity=one.value.quantity,
                    payable_minor=money(caller, one.price.payable_minor),
                    tax_minor=money(caller, one.price.tax_minor),
                )
                for one in draft.out
            ],
            credit_minor=money(caller, draft.credit_minor),
            price_minor=money(caller, draft.price_minor),
            due_minor=money(caller, draft.due_minor),
            refund_minor=money(caller, draft.refund_minor),
            outcome="refund" if draft.refund_minor else "pay" if draft.due_minor else "none",
        )


class InsteadView(BaseModel):
    """Units that go out instead of a line; without a price they cost what is credited for the line."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int | None

    @classmethod
    def of(cls, row: ExchangeLine, caller: Principal) -> Self:
        return cls.model_validate(row.model_dump() | {"unit_price_minor": money(caller, row.unit_price_minor)})


class ReturnLineView(BaseModel):
    """Units of a line that are to come back, and what was found of those that have."""

    line_id: str
    sku: str
    quantity: int
    reason_code: str
    received: int
    resellable: int
    damaged: int

    @classmethod
    def of(cls, row: ReturnLine) -> Self:
        return cls.model_validate(row, from_attributes=True)


class ReturnView(BaseModel):
    """A return. `state`: received (and nobody has looked at it yet), requested, approved, rejected (`refusal`, where a
    rule said so), expired or closed.

    What goes out `instead` by an exchange is ordered as `replacement_no` once nothing more comes back.
    """

    return_no: str
    order_no: str
    return_id: str
    kind: str
    state: str
    refusal: str | None
    reason: str | None
    currency: str
    worth_minor: int | None
    lines: list[ReturnLineView]
    instead: list[InsteadView]
    replacement_no: str | None
    requested_by: str
    requested_at: Moment
    decided_by: str | None
    decision_reason: str | None
    decided_at: Moment | None
    goods_due_at: Moment | None
    closed_at: Moment | None
    links: dict[str, str]

    @classmethod
    def of(cls, found: ReturnWithLines, caller: Principal) -> Self:
        row: Return = found.row
        links = ReturnTaken.of(row.order_no, row.return_no).links
        if row.replacement_no is not None:
            links |= {"replacement": f"/v1/orders/{row.replacement_no}"}
        shown: dict[str, Any] = {
            "worth_minor": money(caller, row.worth_minor),
            "lines": [ReturnLineView.of(one) for one in found.lines],
            "instead": [InsteadView.of(one, caller) for one in found.instead],
            "links": links,
        }
        return cls.model_validate(row.model_dump() | shown)


class ReturnQuery(ListQuery):
    """Filters of the list."""

    order_no: Key | None = None
    state: ReturnState | None = None

    def wanted(self) -> ReturnFilter:
        return ReturnFilter(self.order_no, self.state.value if self.state else None)
