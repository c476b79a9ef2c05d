"""Masters: what the seller knows before any order comes."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import Rate, minor, written_at


class Product(SQLModel, table=True):
    """A thing that can be sold. Without a price, only keys that may set prices can sell it."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_minor IS NULL OR price_minor >= 0", name="product_price_not_negative"),
        CheckConstraint("tax_rate IS NULL OR (tax_rate >= 0 AND tax_rate < 1)", name="product_tax_rate_range"),
    )

    sku: str = Field(primary_key=True)
    name: str
    category: str | None = None
    price_minor: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = None
    tax_rate: Decimal | None = Field(default=None, sa_type=Rate)
    active: bool = True
    updated_at: datetime = written_at()


class Customer(SQLModel, table=True):
    """A buyer as the seller knows them; level and credit are trusted from here only."""

    __tablename__ = "customers"
    __table_args__ = (
        CheckConstraint("credit_limit_minor >= 0", name="customer_credit_not_negative"),
        CheckConstraint("payment_days BETWEEN 0 AND 365", name="customer_payment_days_range"),
    )

    customer_id: str = Field(primary_key=True)
    name: str | None = None
    level: str = "standard"
    tax_number: str | None = None
    credit_limit_minor: int = Field(default=0, sa_type=BigInteger)
    credit_currency: str | None = None
    payment_days: int = 30
    blacklisted: bool = False
    updated_at: datetime = written_at()


class Warehouse(SQLModel, table=True):
    """A place that keeps stock; a lower priority number is asked first."""

    __tablename__ = "warehouses"

    code: str = Field(primary_key=True)
    name: str
    priority: int = 100
    active: bool = True
    updated_at: datetime = written_at()


class LegalEntity(SQLModel, table=True):
    """Who sells and keeps the books: functional currency, the zone in which a day is a day, and what is taken back."""

    __tablename__ = "legal_entities"
    __table_args__ = (
        CheckConstraint(
            "return_window_days >= 0 AND return_approved_below_minor >= 0 AND return_goods_days > 0",
            name="entity_return_policy",
        ),
    )

    entity_id: str = Field(primary_key=True)
    name: str
    functional_currency: str
    time_zone: str
    tax_number: str | None = None
    # What it takes back without asking anybody: for how many days after the delivery, and below which worth, in its
    # functional currency; and for how many days it then waits for the goods.
    return_window_days: int = 7
    return_approved_below_minor: int = minor(50_000)
    return_goods_days: int = 14
    # Of orders that do not say it themselves: whether a deposit goes back when the balance is not paid.
    deposit_refundable: bool = False
    updated_at: datetime = written_at()


class AccountMapping(SQLModel, table=True):
    """Which account plays a posting role for an entity, from a date on."""

    __tablename__ = "account_mappings"

    entity_id: str = Field(primary_key=True, foreign_key="legal_entities.entity_id")
    role: str = Field(primary_key=True)
    valid_from: date = Field(primary_key=True)
    account: str
    name: str


class FxRate(SQLModel, table=True):
    """Units of the functional currency for one unit of `currency`, from a date on."""

    __tablename__ = "fx_rates"
    __table_args__ = (CheckConstraint("rate > 0", name="fx_rate_positive"),)

    entity_id: str = Field(primary_key=True, foreign_key="legal_entities.entity_id")
    currency: str = Field(primary_key=True)
    valid_from: date = Field(primary_key=True)
    rate: Decimal = Field(sa_type=Rate)


class PaymentMethod(SQLModel, table=True):
    """Which category of payment a method belongs to; the category decides the accounts."""

    __tablename__ = "payment_methods"

    method: str = Field(primary_key=True)
    category: str
    updated_at: datetime = written_at()


class NumberSeries(SQLModel, table=True):
    """The next number of a gapless series; its row lock is what makes the series gapless."""

    __tablename__ = "number_series"

    series: str = Field(primary_key=True)
    next_number: int = Field(default=1, sa_type=BigInteger)
