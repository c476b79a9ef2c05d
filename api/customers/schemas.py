"""Customers as programs write and read them."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement
from sqlmodel import col

from api.fields import AmountMinor, Body, Currency, Flag, Key, Moment, Text
from api.paging import Filters, ListQuery
from models.masters import Customer


class CustomerBody(Body):
    """A customer without their id. Orders take level, credit and blacklist from here only.

    What is bought on credit is due `payment_days` after its delivery.
    """

    name: Text | None = None
    level: Text = "standard"
    tax_number: Text | None = None
    credit_limit_minor: AmountMinor = 0
    credit_currency: Currency | None = None
    payment_days: Annotated[int, Field(strict=True, ge=0, le=365)] = 30
    blacklisted: Flag = False

    @model_validator(mode="after")
    def credit_has_currency(self) -> Self:
        if self.credit_limit_minor and self.credit_currency is None:
            raise PydanticCustomError("credit_needs_currency", "A credit limit needs credit_currency")
        return self

    def to_row(self, customer_id: str) -> Customer:
        return Customer(**{"customer_id": customer_id, **self.model_dump()})


class CustomerLine(CustomerBody):
    """A customer as a line of CSV."""

    customer_id: Key


class CustomerView(BaseModel):
    """A customer as on record."""

    customer_id: str
    name: str | None
    level: str
    tax_number: str | None
    credit_limit_minor: int
    credit_currency: str | None
    payment_days: int
    blacklisted: bool
    updated_at: Moment

    @classmethod
    def of(cls, row: Customer) -> Self:
        return cls.model_validate(row, from_attributes=True)


class CustomerFilters(Filters):
    """Filters of list and export."""

    level: Text | None = None
    blacklisted: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = {Customer.level: self.level, Customer.blacklisted: self.blacklisted}
        return [col(column) == value for column, value in wanted.items() if value is not None]


class CustomerQuery(CustomerFilters, ListQuery):
    """A page of the list."""
