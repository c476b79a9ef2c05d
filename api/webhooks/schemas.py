"""Webhook destinations and deliveries as programs write and read them."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from api.fields import Body, Flag, Moment
from api.paging import ListQuery
from integrations.webhook_signature import SecretInvalid, check_secret
from models.outbox import Destination, OutboxMessage


def _secret(secret: str) -> str:
    try:
        check_secret(secret)
    except SecretInvalid:
        raise PydanticCustomError("webhook_secret_invalid", "whsec_ and 24 to 64 bytes in base64") from None
    return secret


EventPrefix = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_.]*$", examples=["order."])]


class DestinationBody(Body):
    """A destination without its name. No event types: all of them. Without a secret, the one it has is kept."""

    url: Annotated[str, Field(min_length=1, max_length=2000, examples=["https://shop.example/hooks"])]
    event_types: Annotated[list[EventPrefix], Field(max_length=50)] = Field(default_factory=list)
    enabled: Flag = True
    secret: Annotated[str | None, Field(max_length=200), AfterValidator(lambda one: one and _secret(one))] = None

    def to_row(self, name: str, secret: str) -> Destination:
        return Destination(
            name=name, url=self.url, secret=secret, event_types=list(self.event_types), enabled=self.enabled
        )


class DestinationView(BaseModel):
    """A destination as on record; the secret is never shown again."""

    name: str
    url: str
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None
    updated_at: Moment

    @classmethod
    def of(cls, row: Destination) -> Self:
        return cls.model_validate(row, from_attributes=True)


class DestinationPut(BaseModel):
    """The destination, and its secret if it was made just now."""

    destination: DestinationView
    secret: str | None


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"


class DeliveryQuery(ListQuery):
    """A page of the list of deliveries."""

    state: DeliveryState | None = None


class DeliveryView(BaseModel):
    """One message for the destination and how its delivery stands."""

    outbox_id: int
    message_id: str
    order_no: str
    event_type: str
    state: DeliveryState
    attempts: int
    last_error: str | None
    occurred_at: Moment
    next_attempt_at: Moment | None
    delivered_at: Moment | None

    @classmethod
    def of(cls, row: OutboxMessage) -> Self:
        return cls.model_validate(row, from_attributes=True)
