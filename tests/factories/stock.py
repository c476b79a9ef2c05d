"""Stock for tests, brought in by receipts as any other stock is."""

from collections.abc import Sequence

from runtime.database import Sessions
from store import stock
from store.stock import GoodsReceipt, ReceiptLine, ReceiptOutcome
from tests.factories.orders import add_masters


async def stocked(sessions: Sessions, receipt_id: str = "R-1", warehouse: str = "main", **units: int) -> ReceiptOutcome:
    """Afterwards the warehouse has so many more units of the SKUs named, spelled with `_` for `-`, at 60.00 each."""
    lines = [ReceiptLine(sku.replace("_", "-"), quantity, 6_000) for sku, quantity in units.items()]
    return await receive(sessions, lines, receipt_id, warehouse)


async def receive(
    sessions: Sessions, lines: Sequence[ReceiptLine], receipt_id: str = "R-1", warehouse: str = "main"
) -> ReceiptOutcome:
    """A receipt in a transaction of its own; the warehouse is made where it is new."""
    async with sessions() as session, session.begin():
        await add_masters(session, warehouse)
        return await stock.receive(session, GoodsReceipt(receipt_id, warehouse, tuple(lines)), by="keeper")


async def level(sessions: Sessions, sku: str = "SKU-1", warehouse: str = "main") -> tuple[int, int, int]:
    """Units on hand, units reserved, and the value in minor units; zeroes where the warehouse never had the SKU."""
    async with sessions() as session:
        found = await stock.levels(session, sku=sku, warehouses=[warehouse])
    return (found[0].on_hand, found[0].reserved, found[0].value_minor) if found else (0, 0, 0)


async def is_sound(sessions: Sessions) -> bool:
    """Whether levels, movements, promises and order lines agree."""
    async with sessions() as session:
        return await stock.differences(session) == []
