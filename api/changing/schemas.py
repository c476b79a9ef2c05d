"""Changes of orders as people ask for them, and as they are shown before and after."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from activities.change_drafts import ChangeWanted, Draft
from api.fields import MAX_QUANTITY, Body, Key, LongText, Moment, Quantity, Text
from api.orders.schemas import MAX_LINES, AddressSent, Amount, LineId, RateText
from domain.changing import Fate, LineAfter
from models.changing import OrderChange
from models.order import Order


class UnitsWanted(Body):
    """How many units of a line are wanted from now on; none: the line is taken out."""

    line_id: LineId
    quantity: Annotated[int, Field(strict=True, ge=0, le=MAX_QUANTITY)]


class LineAdded(Body):
    """A line that comes in. Without price and tax the catalogue's are taken; others count from keys that set prices."""

    line_id: LineId
    sku: Key
    quantity: Quantity
    unit_price_minor: Amount | None = None
    tax_rate: RateText | None = None
    category: Text | None = None
    gift_of: LineId | None = None


class ChangeAsked(Body):
    """Other numbers of `lines`, lines to `add`, and where the goods go. The same `change_id` has one effect.

    `version` is the one that the preview showed: on an order that is not as it was then, nothing is done.
    """

    change_id: Annotated[Key, Field(max_length=56)]
    version: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    lines: Annotated[tuple[UnitsWanted, ...], Field(max_length=MAX_LINES)] = ()
    add: Annotated[tuple[LineAdded, ...], Field(max_length=MAX_LINES)] = ()
    ship_to: AddressSent | None = None
    reason: LongText

    @model_validator(mode="after")
    def _asks_something_once(self) -> Self:
        if not (self.lines or self.add or self.ship_to):
            raise PydanticCustomError("nothing_to_change", "Name lines, add or ship_to")
        ids = [line.line_id for line in self.lines] + [line.line_id for line in self.add]
        if len(set(ids)) != len(ids):
            raise PydanticCustomError("duplicate_line_id", "A line id occurs twice")
        return self

    def wanted(self, *, sets_prices: bool) -> dict[str, Any]:
        """The change as it is kept; what the sender saw is not part of what they want."""
        said = self.model_dump(mode="json", exclude={"version"}, exclude_none=True)
        return said | {"sets_prices": sets_prices}


class ChangeQuery(BaseModel):
    """With `preview=true` nothing is done: the answer says what would be."""

    model_config = ConfigDict(extra="forbid")

    preview: bool = False


class ChangedLine(BaseModel):
    """A line as it would be: units still to be sent, and what they come to."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int
    payable_minor: int
    tax_minor: int
    fate: Fate

    @classmethod
    def of(cls, line: LineAfter) -> Self:
        return cls(
            line_id=line.value.line_id,
            sku=line.value.sku,
            quantity=line.wanted,
            unit_price_minor=line.value.unit_price_minor,
            payable_minor=line.price.payable_minor,
            tax_minor=line.price.tax_minor,
            fate=line.fate,
        )


class ChangeTotals(BaseModel):
    """What the order comes to for the customer, refunds taken off, and the VAT in it."""

    total_minor: int
    tax_minor: int


class ChangePreview(BaseModel):
    """The order as the change would make it; nothing of it has happened.

    `outcome`: a surplus of `refund_minor` goes back (`refund`), `due_minor` is to be paid before it ships (`pay`), or
    neither. `asks_anew`: the order goes through its flow from the beginning, and what was approved is void.
    """

    order_no: str
    version: int
    currency: str
    lines: list[ChangedLine]
    ship_to: dict[str, Any]
    before: ChangeTotals
    after: ChangeTotals
    delta_minor: int
    refund_minor: int
    due_minor: int
    outcome: Literal["refund", "pay", "none"]
    asks_anew: bool

    @classmethod
    def of(cls, order: Order, draft: Draft) -> Self:
        before, after = (
            ChangeTotals(total_minor=one.totals.total_minor, tax_minor=one.totals.tax_minor)
            for one in (draft.before, draft.after)
        )
        ship_to: Mapping[str, Any] = draft.ship_to or order.ship_to
        return cls(
            order_no=order.order_no,
            version=order.last_event_seq,
            currency=order.currency,
            lines=[ChangedLine.of(line) for line in draft.lines],
            ship_to=dict(ship_to),
            before=before,
            after=after,
            delta_minor=draft.delta_minor,
            refund_minor=draft.refund_minor,
            due_minor=draft.due_minor,
            outcome="refund" if draft.refund_minor else "pay" if draft.due_minor else "none",
            asks_anew=draft.relevant,
        )


class ChangeView(BaseModel):
    """A change that had effect: units per line and the total before and after, and what followed in money."""

    order_no: str
    change_id: str
    before: dict[str, Any]
    after: dict[str, Any]
    address_changed: bool
    currency: str
    delta_minor: int
    refund_minor: int
    balance_minor: int
    reason: str
    changed_by: str
    changed_at: Moment

    @classmethod
    def of(cls, row: OrderChange) -> Self:
        return cls.model_validate(row.model_dump(exclude={"version", "relevant"}))


class ChangeList(BaseModel):
    """All changes of one order; there is no further page."""

    data: list[ChangeView]
    next_cursor: str | None


def kept(said: Mapping[str, Any]) -> ChangeWanted:
    """The change in the words of those who carry it out."""
    return ChangeWanted.model_validate(said)
