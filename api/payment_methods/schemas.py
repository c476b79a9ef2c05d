"""Payment methods as programs write and read them."""

from typing import Literal, Self

from pydantic import BaseModel

from api.fields import Body, Moment, Word
from domain.posting.roles import PaymentCategory
from models.masters import PaymentMethod

MethodCategory = Literal[
    PaymentCategory.ONLINE,
    PaymentCategory.OFFLINE_TRANSFER,
    PaymentCategory.ON_CREDIT,
    PaymentCategory.CASH_ON_DELIVERY,
    PaymentCategory.COLLECTED_FOR_OTHERS,
    PaymentCategory.STORED_VALUE,
]
"""Every category but that of credits, which are made by exchanges and by nothing else."""


class PaymentMethodBody(Body):
    """What kind of payment a method is; that decides the accounts."""

    category: MethodCategory

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
