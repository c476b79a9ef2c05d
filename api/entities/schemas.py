"""Legal entities, their accounts and their rates as programs write and read them."""

from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement
from sqlmodel import col

from api import fields
from api.fields import AmountMinor, Body, Currency, ExchangeRate, Flag, Key, Moment, Text, TimeZone
from api.paging import ListQuery
from domain.posting.roles import Role as AccountRole
from models.masters import AccountMapping, FxRate, LegalEntity


def _in_range(day: date) -> date:
    if not date(1970, 1, 1) <= day <= date(2199, 12, 31):
        raise PydanticCustomError("date_out_of_range", "The date must lie between 1970 and 2199")
    return day


Day = Annotated[fields.Day, AfterValidator(_in_range)]
AccountCode = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class EntityBody(Body):
    """A legal entity without its id: the currency of its books, and the zone in which its days begin and end.

    Returns worth less than `return_approved_below_minor` (in that currency) and asked for within `return_window_days`
    of the delivery need nobody's decision; their goods are waited for `return_goods_days`.
    `deposit_refundable`: whether a deposit goes back when the balance is not paid, for orders that do not say it.
    """

    name: Text
    functional_currency: Currency
    time_zone: TimeZone
    tax_number: Text | None = None
    return_window_days: Annotated[int, Field(strict=True, ge=0, le=3650)] = 7
    return_approved_below_minor: AmountMinor = 50_000
    return_goods_days: Annotated[int, Field(strict=True, ge=1, le=365)] = 14
    deposit_refundable: Flag = False

    def to_row(self, entity_id: str) -> LegalEntity:
        return LegalEntity(**{"entity_id": entity_id, **self.model_dump()})


class EntityLine(EntityBody):
    """A legal entity as a line of CSV."""

    entity_id: Key


class EntityView(BaseModel):
    """A legal entity as on record."""

    entity_id: str
    name: str
    functional_currency: str
    time_zone: str
    tax_number: str | None
    return_window_days: int
    return_approved_below_minor: int
    return_goods_days: int
    deposit_refundable: bool
    updated_at: Moment

    @classmethod
    def of(cls, row: LegalEntity) -> Self:
        return cls.model_validate(row, from_attributes=True)


class AccountBody(Body):
    """Which account plays a role from a date on."""

    account: AccountCode
    name: Text
    valid_from: Day

    def to_row(self, entity_id: str, role: AccountRole) -> AccountMapping:
        return AccountMapping(
            entity_id=entity_id, role=role.value, valid_from=self.valid_from, account=self.account, name=self.name
        )


class AccountLine(AccountBody):
    """An account mapping as a line of CSV."""

    role: AccountRole


class AccountView(BaseModel):
    """Which account plays a role, and from when on."""

    role: str
    valid_from: date
    account: str
    name: str

    @classmethod
    def of(cls, row: AccountMapping) -> Self:
        return cls.model_validate(row, from_attributes=True)


class RateBody(Body):
    """Units of the functional currency for one unit of the currency, from a date on."""

    rate: ExchangeRate
    valid_from: Day

    def to_row(self, entity_id: str, currency: str) -> FxRate:
        return FxRate(entity_id=entity_id, currency=currency, valid_from=self.valid_from, rate=self.rate)


class RateLine(RateBody):
    """A rate as a line of CSV."""

    currency: Currency


class RateView(BaseModel):
    """A rate and the date it holds from."""

    currency: str
    valid_from: date
    rate: ExchangeRate

    @classmethod
    def of(cls, row: FxRate) -> Self:
        return cls.model_validate(row, from_attributes=True)


class RateQuery(ListQuery):
    """Filters of the list of rates."""

    currency: Currency | None = None

    def of_entity(self, entity_id: str) -> list[ColumnElement[bool]]:
        conditions = [col(FxRate.entity_id) == entity_id]
        return conditions if self.currency is None else [*conditions, col(FxRate.currency) == self.currency]


class AccountQuery(ListQuery):
    """Filters of the list of accounts."""

    role: AccountRole | None = None

    def of_entity(self, entity_id: str) -> list[ColumnElement[bool]]:
        conditions = [col(AccountMapping.entity_id) == entity_id]
        return conditions if self.role is None else [*conditions, col(AccountMapping.role) == self.role.value]
