"""What we ask of a carrier: take a parcel, say where it is, forget it again."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from integrations.failure import PartyFailure


@dataclass(frozen=True)
class Address:
    """Where a parcel goes; `country` is ISO 3166-1 alpha-2."""

    name: str
    country: str
    region: str
    city: str
    street: str
    postal_code: str = ""
    phone: str = ""


@dataclass(frozen=True)
class ConsignmentLine:
    """Units of one SKU in the parcel."""

    sku: str
    quantity: int
    description: str = ""


@dataclass(frozen=True)
class Consignment:
    """One parcel to be carried; `cod_amount_minor` is what the courier collects at the door, 0 for nothing."""

    shipment_no: str
    order_no: str
    warehouse: str
    ship_to: Address
    lines: tuple[ConsignmentLine, ...]
    cod_amount_minor: int
    currency: str


@dataclass(frozen=True)
class Booking:
    """The carrier's promise to carry a parcel."""

    carrier: str
    tracking_no: str
    label_url: str | None = None


class CarrierStatus(StrEnum):
    """What a carrier can report about a parcel."""

    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    LOST = "lost"
    RETURNED = "returned"


@dataclass(frozen=True)
class CarrierEvent:
    """A fact reported by the carrier; may come twice with the same `event_id`, and in any order."""

    event_id: str
    shipment_no: str
    status: CarrierStatus
    occurred_at: datetime


class CarrierUnavailable(PartyFailure):
    """No answer that can be used. The parcel may have been booked: ask with `find` or book again with the same key."""

    retryable = True


class CarrierRefused(PartyFailure):
    """The carrier will not carry this parcel; `code` says why, e.g. `address_unserviceable`."""


class AlreadyCollected(PartyFailure):
    """The parcel is with the carrier; it comes back only as a return."""

    def __init__(self, code: str = "already_collected", detail: str = "") -> None:
        super().__init__(code, detail)


class Carrier(Protocol):
    """A company that carries parcels."""

    async def book(self, consignment: Consignment, key: str) -> Booking:
        """One label exists for the key, and this is it, however often it is asked for.

        CarrierRefused is final (also `consignment_voided` for a key whose booking was voided), CarrierUnavailable
        leaves open whether the label exists.
        """
        ...

    async def find(self, key: str) -> Booking | None:
        """The living booking made with the key, or None if there is none (never made, or voided)."""
        ...

    async def void(self, key: str) -> None:
        """No parcel will be collected for the key, whether or not it was booked; AlreadyCollected if it was already."""
        ...
