"""Movements of stock in lists."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from models.stock import StockMovement


@dataclass(frozen=True, slots=True)
class MovementFilter:
    """Which movements a list shows; None: whatever they are."""

    sku: str | None = None
    warehouse: str | None = None
    kind: str | None = None
    document_no: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {
            StockMovement.sku: self.sku,
            StockMovement.warehouse: self.warehouse,
            StockMovement.kind: self.kind,
            StockMovement.document_no: self.document_no,
        }
        return [col(column) == value for column, value in equal.items() if value is not None]


async def movements(
    session: AsyncSession, caller: Principal, wanted: MovementFilter, before: int | None, limit: int
) -> Sequence[StockMovement]:
    """Up to `limit + 1` movements in warehouses that the caller sees, newest first, those numbered below `before`."""
    number = col(StockMovement.movement_id)
    query = select(StockMovement).where(*wanted.conditions()).order_by(number.desc()).limit(limit + 1)
    if caller.warehouses is not None:
        query = query.where(col(StockMovement.warehouse).in_(caller.warehouses))
    if before is not None:
        query = query.where(number < before)
    return (await session.exec(query)).all()
