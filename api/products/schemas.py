"""Products as programs write and read them."""

from typing import Self

from pydantic import BaseModel, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement
from sqlmodel import col

from api.fields import AmountMinor, Body, Currency, Flag, Key, Moment, TaxRate, Text
from api.paging import Filters, ListQuery
from models.masters import Product


class ProductBody(Body):
    """A product without its SKU; the price is tax-inclusive."""

    name: Text
    category: Text | None = None
    price_minor: AmountMinor | None = None
    currency: Currency | None = None
    tax_rate: TaxRate | None = None
    active: Flag = True

    @model_validator(mode="after")
    def price_has_currency(self) -> Self:
        if (self.price_minor is None) != (self.currency is None):
            raise PydanticCustomError("price_and_currency", "price_minor and currency go together")
        return self

    def to_row(self, sku: str) -> Product:
        return Product(**{"sku": sku, **self.model_dump()})


class ProductLine(ProductBody):
    """A product as a line of CSV."""

    sku: Key


class ProductView(BaseModel):
    """A product as it is on record."""

    sku: str
    name: str
    category: str | None
    price_minor: int | None
    currency: str | None
    tax_rate: TaxRate | None
    active: bool
    updated_at: Moment

    @classmethod
    def of(cls, row: Product) -> Self:
        return cls.model_validate(row, from_attributes=True)


class ProductFilters(Filters):
    """Filters of list and export."""

    category: Text | None = None
    active: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = {Product.category: self.category, Product.active: self.active}
        return [col(column) == value for column, value in wanted.items() if value is not None]


class ProductQuery(ProductFilters, ListQuery):
    """A page of the list."""
