"""Returns as people ask for them, decide them and take them in, and as programs read them."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.fields import MAX_QUANTITY, Body, Key, LongText, Moment, Quantity, Word
from api.orders.schemas import MAX_LINES, LineId
from api.paging import ListQuery
from api.shown import money
from domain.access import Principal
from domain.returning import RETURN_REASONS, Inspected, ReturnState
from models.returning import Return, ReturnLine
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


class ReturnAsked(Body):
    """Delivered units that somebody wants to send back. The same `return_id` of an order has one effect."""

    return_id: Key
    kind: Literal["refund"] = "refund"
    lines: Annotated[list[UnitsAnnounced], Field(min_length=1, max_length=MAX_LINES)]
    reason: LongText | None = None

    @model_validator(mode="after")
    def _names_lines_once(self) -> Self:
        _each_line_once([line.line_id for line in self.lines])
        return self

    @property
    def meaning(self) -> dict[str, Any]:
        """What two equal requests share."""
        return self.model_dump(mode="json", exclude_defaults=True)


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
        shown: dict[str, Any] = {"worth_minor": money(caller, row.worth_minor), "links": links}
        return cls.model_validate(row.model_dump() | shown | {"lines": [ReturnLineView.of(one) for one in found.lines]})


class ReturnQuery(ListQuery):
    """Filters of the list."""

    order_no: Key | None = None
    state: ReturnState | None = None

    def wanted(self) -> ReturnFilter:
        return ReturnFilter(self.order_no, self.state.value if self.state else None)
