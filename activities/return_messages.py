"""What messages about returns say, as our door let them in."""

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from domain.errors import DomainError
from models.inbox import InboxMessage

_Said = TypeVar("_Said", bound=BaseModel)


class ReturnUnreadable(DomainError):
    """A message about a return that our door let in does not say what such a message has to say."""

    code = "return_unreadable"


class UnitsAnnounced(BaseModel):
    line_id: str
    quantity: Annotated[int, Field(gt=0)]
    reason_code: str


class UnitsInstead(BaseModel):
    """Units that are to go out instead of a line, as they were priced when they were asked for."""

    line_id: str
    sku: str
    quantity: Annotated[int, Field(gt=0)]
    unit_price_minor: Annotated[int, Field(ge=0)] | None = None
    tax_rate: Decimal | None = None
    category: str | None = None


class Announcement(BaseModel):
    """Units that somebody wants to send back, and what they want instead, if not their money."""

    return_id: Annotated[str, Field(min_length=1)]
    kind: Literal["refund", "exchange"] = "refund"
    lines: Annotated[list[UnitsAnnounced], Field(min_length=1)]
    instead: list[UnitsInstead] = []
    ship_to: dict[str, Any] | None = None
    reason: str | None = None


class UnitsFound(BaseModel):
    line_id: str
    resellable: Annotated[int, Field(ge=0)] = 0
    damaged: Annotated[int, Field(ge=0)] = 0
    refused: Annotated[int, Field(ge=0)] = 0


class Receipt(BaseModel):
    """What came into a warehouse, and how it was found; `last`: what has not come by now will not."""

    receipt_id: Annotated[str, Field(min_length=1)]
    warehouse: str
    lines: list[UnitsFound]
    last: bool = True


def read(message: InboxMessage, kind: type[_Said]) -> _Said:
    """What the message says. Raises ReturnUnreadable."""
    try:
        return kind.model_validate_json(message.body)
    except ValidationError:
        raise ReturnUnreadable(inbox_id=message.inbox_id) from None
