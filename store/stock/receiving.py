"""Goods that come in, under a receipt that counts once. Costs are in the functional currency of who keeps the stock."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from hashlib import sha256

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.costing import Holding
from domain.errors import DomainError
from domain.money import within_bounds
from domain.posting.stock import stock_received
from models.columns import now
from models.masters import LegalEntity
from store import journal
from store.defaults import ENTITY
from store.inbox import MessageDiffers
from store.journal import EntityMissing, PostingContext
from store.stock.waiting import Woken, wake


class UnknownWarehouse(DomainError):
    """No such warehouse."""

    code = "unknown_warehouse"


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """Units of a SKU that came in. Without a unit cost they come at the average of what is there."""

    sku: str
    quantity: int
    unit_cost_minor: int | None = None

    def __post_init__(self) -> None:
        if self.quantity <= 0 or (self.unit_cost_minor is not None and self.unit_cost_minor < 0):
            raise ValueError("a receipt brings at least one unit, at a cost of zero or more")


@dataclass(frozen=True, slots=True)
class GoodsReceipt:
    """What came into one warehouse at one time, under the id that the sender gave it."""

    receipt_id: str
    warehouse: str
    lines: tuple[ReceiptLine, ...]

    @property
    def fingerprint(self) -> str:
        """Equal for equal content, whoever sends it."""
        content = json.dumps([self.warehouse, [asdict(line) for line in self.lines]], separators=(",", ":"))
        return sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReceiptOutcome:
    """`repeated`: the receipt had come before. `woken`: orders that waited for these goods, told in the inbox."""

    repeated: bool
    woken: tuple[Woken, ...] = ()


_OPEN_LEVELS = text("""
WITH catalogued AS (
    INSERT INTO products (sku, name, active, updated_at)
    SELECT sku, sku, true, :at FROM unnest(CAST(:skus AS text[])) AS sku ORDER BY sku
    ON CONFLICT DO NOTHING
)
INSERT INTO stock_levels (sku, warehouse, on_hand, reserved, value_minor)
SELECT sku, :warehouse, 0, 0, 0 FROM unnest(CAST(:skus AS text[])) AS sku ORDER BY sku
ON CONFLICT DO NOTHING
""")

_LOCK_LEVELS = text("""
SELECT sku, on_hand, value_minor FROM stock_levels
WHERE warehouse = :warehouse AND sku = ANY(:skus) ORDER BY sku FOR UPDATE
""")

_MOVE = text("""
WITH line AS (
    SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:quantities AS bigint[]), CAST(:values AS bigint[]))
           WITH ORDINALITY AS w (sku, quantity, value_minor, position)
), raised AS (
    UPDATE stock_levels s SET on_hand = s.on_hand + w.quantity, value_minor = s.value_minor + w.value_minor
    FROM (SELECT sku, sum(quantity) AS quantity, sum(value_minor) AS value_minor FROM line GROUP BY sku) w
    WHERE s.sku = w.sku AND s.warehouse = :warehouse
)
INSERT INTO stock_movements (movement_key, kind, sku, warehouse, quantity, value_minor, document_no, at)
SELECT 'receipt/' || CAST(:receipt_id AS text) || '/' || position, 'receipt', sku, :warehouse, quantity, value_minor,
       :receipt_id, :at
FROM line ORDER BY position
""")


async def receive(session: AsyncSession, receipt: GoodsReceipt, by: str) -> ReceiptOutcome:
    """Afterwards the goods are in stock, once, and orders that waited for them and can now be filled are told.

    SKUs and levels that were not known are made, and the value is posted. Raises UnknownWarehouse; MessageDiffers where
    the receipt's id came before with another content; AmountTooLarge; EntityMissing or AccountMappingMissing.
    """
    if not await _is_new(session, receipt, by):
        return ReceiptOutcome(repeated=True)
    skus = sorted({line.sku for line in receipt.lines})
    where = {"warehouse": receipt.warehouse, "skus": skus}
    await session.execute(_OPEN_LEVELS, where | {"at": now()})
    # Twice: the first waits for the locks, only the second is sure to read what was committed meanwhile.
    await session.execute(_LOCK_LEVELS, where)
    locked = (await session.execute(_LOCK_LEVELS, where)).all()
    values = _values(receipt.lines, {row.sku: Holding(row.on_hand, row.value_minor) for row in locked})
    moved = {
        "warehouse": receipt.warehouse,
        "receipt_id": receipt.receipt_id,
        "skus": [line.sku for line in receipt.lines],
        "quantities": [line.quantity for line in receipt.lines],
        "values": values,
        "at": now(),
    }
    await session.execute(_MOVE, moved)
    await _post(session, receipt, within_bounds(sum(values)))
    return ReceiptOutcome(repeated=False, woken=tuple(await wake(session)))


async def _is_new(session: AsyncSession, receipt: GoodsReceipt, by: str) -> bool:
    known = await session.execute(text("SELECT 1 FROM warehouses WHERE code = :code"), {"code": receipt.warehouse})
    if known.one_or_none() is None:
        raise UnknownWarehouse(warehouse=receipt.warehouse)
    added = await session.execute(
        text("""
        INSERT INTO stock_receipts (receipt_id, warehouse, fingerprint, line_count, received_by, received_at)
        VALUES (:receipt_id, :warehouse, :fingerprint, :line_count, :by, :at) ON CONFLICT DO NOTHING
        RETURNING receipt_id
        """),
        {
            "receipt_id": receipt.receipt_id,
            "warehouse": receipt.warehouse,
            "fingerprint": receipt.fingerprint,
            "line_count": len(receipt.lines),
            "by": by,
            "at": now(),
        },
    )
    if added.one_or_none() is not None:
        return True
    first = await session.execute(
        text("SELECT fingerprint FROM stock_receipts WHERE receipt_id = :receipt_id"),
        {"receipt_id": receipt.receipt_id},
    )
    if first.scalar_one() != receipt.fingerprint:
        raise MessageDiffers(receipt_id=receipt.receipt_id)
    return False


async def _post(session: AsyncSession, receipt: GoodsReceipt, value_minor: int) -> None:
    entry = stock_received(value_minor)
    if entry is None:
        return
    entity = await session.get(LegalEntity, ENTITY)
    if entity is None:
        raise EntityMissing(entity_id=ENTITY)
    currency, key = entity.functional_currency, f"receipt/{receipt.receipt_id}"
    context = PostingContext(ENTITY, key, None, currency, currency, Decimal(1), now())
    await journal.post(session, context, [entry], key)


def _values(lines: Sequence[ReceiptLine], holdings: dict[str, Holding]) -> list[int]:
    """What each line is worth, taken one after the other: a line without a cost comes at the average before it."""
    values = []
    for line in lines:
        before = holdings[line.sku]
        after = before.received(line.quantity, line.unit_cost_minor)
        holdings[line.sku] = after
        values.append(after.value_minor - before.value_minor)
    return values
