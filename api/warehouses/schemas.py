"""Warehouses as programs write and read them."""

from typing import Annotated, Self

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement
from sqlmodel import col

from api.fields import Body, Flag, Key, Moment, Text
from api.paging import Filters, ListQuery
from models.masters import Warehouse


class WarehouseBody(Body):
    """A warehouse without its code; a lower priority number is asked for stock first."""

    name: Text
    priority: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 100
    active: Flag = True

    def to_row(self, code: str) -> Warehouse:
        return Warehouse(**{"code": code, **self.model_dump()})


class WarehouseLine(WarehouseBody):
    """A warehouse as a line of CSV."""

    code: Key


class WarehouseView(BaseModel):
    """A warehouse as on record."""

    code: str
    name: str
    priority: int
    active: bool
    updated_at: Moment

    @classmethod
    def of(cls, row: Warehouse) -> Self:
        return cls.model_validate(row, from_attributes=True)


class WarehouseFilters(Filters):
    """Filters of list and export."""

    active: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        return [] if self.active is None else [col(Warehouse.active) == self.active]


class WarehouseQuery(WarehouseFilters, ListQuery):
    """A page of the list."""
