"""Stock as programs read it, and goods that come in."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, Field

from api.fields import AmountMinor, Body, Key, Moment, Quantity, Text, Word
from api.paging import ListQuery
from api.shown import money
from domain.access import Principal
from models.stock import StockLevel, StockMovement
from store.listing.stock import MovementFilter
from store.stock import GoodsReceipt, ReceiptLine

MAX_LINES: Final = 5000


class ReceiptLineSent(Body):
    """Units of a SKU that came in; without a cost they come at the average of what is there."""

    sku: Key
    quantity: Quantity
    unit_cost_minor: Annotated[AmountMinor, Field(le=1_000_000_000_000)] | None = None


class ReceiptSent(Body):
    """Goods that came into one warehouse, under an id that counts once. SKUs that are new are made."""

    receipt_id: Key
    warehouse: Key
    lines: Annotated[list[ReceiptLineSent], Field(min_length=1, max_length=MAX_LINES)]

    def receipt(self) -> GoodsReceipt:
        lines = tuple(ReceiptLine(line.sku, line.quantity, line.unit_cost_minor) for line in self.lines)
        return GoodsReceipt(self.receipt_id, self.warehouse, lines)


class ReceiptTaken(BaseModel):
    """The goods are in stock, and orders that waited for them have been told."""

    receipt_id: str
    warehouse: str
    lines: int
    units: int
    links: dict[str, str]

    @classmethod
    def of(cls, sent: ReceiptSent) -> Self:
        return cls(
            receipt_id=sent.receipt_id,
            warehouse=sent.warehouse,
            lines=len(sent.lines),
            units=sum(line.quantity for line in sent.lines),
            links={"movements": movements_of(sent.receipt_id)},
        )


def movements_of(receipt_id: str) -> str:
    """Where the movements of a receipt are listed; a key needs no escaping in an address but for its `+`."""
    return f"/v1/stock/movements?document_no={receipt_id.replace('+', '%2B')}"


class LevelView(BaseModel):
    """Units of one SKU in one warehouse: `available` is what can still be promised."""

    sku: str
    warehouse: str
    on_hand: int
    reserved: int
    available: int

    @classmethod
    def of(cls, row: StockLevel) -> Self:
        return cls.model_validate(row.model_dump() | {"available": row.on_hand - row.reserved})


class MovementView(BaseModel):
    """One change of a level; positive units came in. `value_minor` is in the functional currency."""

    movement_id: int
    kind: str
    sku: str
    warehouse: str
    quantity: int
    value_minor: int | None
    document_no: str
    at: Moment

    @classmethod
    def of(cls, row: StockMovement, caller: Principal) -> Self:
        return cls.model_validate(row.model_dump() | {"value_minor": money(caller, row.value_minor)})


class LevelQuery(ListQuery):
    """Filters of the list."""

    sku: Key | None = None
    warehouse: Key | None = None


class MovementQuery(ListQuery):
    """Filters of the list. `document_no`: the receipt or the shipment that moved the goods."""

    sku: Key | None = None
    warehouse: Key | None = None
    kind: Word | None = None
    document_no: Text | None = None

    def wanted(self) -> MovementFilter:
        return MovementFilter(**self.model_dump(exclude={"limit", "cursor"}))
