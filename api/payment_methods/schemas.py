"""Payment methods as programs write and read them."""

from typing import Self

from pydantic import BaseModel

from api.fields import Body, Moment, Word
from domain.posting.roles import PaymentCategory
from models.masters import PaymentMethod


class PaymentMethodBody(Body):
    """What kind of payment a method is; that decides the accounts."""

    category: PaymentCategory

    def to_row(self, method: str) -> PaymentMethod:
        return PaymentMethod(method=method, category=self.category.value)


class PaymentMethodLine(PaymentMethodBody):
    """A payment method as a line of CSV."""

    method: Word


class PaymentMethodView(BaseModel):
    """A payment method as on record."""

    method: str
    category: PaymentCategory
    updated_at: Moment

    @classmethod
    def of(cls, row: PaymentMethod) -> Self:
        return cls.model_validate(row, from_attributes=True)
