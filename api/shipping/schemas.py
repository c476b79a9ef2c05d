"""Shipments as programs read them, and what carriers report about them."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel

from api.fields import Body, Key, Moment
from api.paging import ListQuery
from domain.shipping import ParcelStatus
from integrations.carrier.port import CarrierEvent, CarrierStatus
from models.shipping import CarrierScan, Shipment, ShipmentLine
from store.listing.shipping import ShipmentFilter


class ScanSent(Body):
    """One fact about a parcel. Facts may come in any order, and more than once under the same `event_id`."""

    event_id: Key
    status: Literal["picked_up", "in_transit", "delivered", "lost", "returned"]
    occurred_at: Moment

    def event(self, shipment_no: str) -> CarrierEvent:
        return CarrierEvent(self.event_id, shipment_no, CarrierStatus(self.status), self.occurred_at)


class AddressedScan(ScanSent):
    """A fact that says itself which parcel it is about."""

    shipment_no: Key


class ScanTaken(BaseModel):
    """The fact is on record and on its way to its order."""

    shipment_no: str
    event_id: str
    state: str
    links: dict[str, str]

    @classmethod
    def of(cls, shipment_no: str, event_id: str) -> Self:
        links = {"shipment": f"/v1/shipments/{shipment_no}"}
        return cls(shipment_no=shipment_no, event_id=event_id, state="received", links=links)


class ShipmentLineView(BaseModel):
    """Units of an order line in a parcel."""

    line_id: str
    sku: str
    quantity: int


class ShipmentView(BaseModel):
    """A parcel and how far it has come."""

    shipment_no: str
    order_no: str
    fulfilment_no: str
    warehouse: str
    status: ParcelStatus
    carrier: str | None
    tracking_no: str | None
    label_url: str | None
    lines: list[ShipmentLineView]
    created_at: Moment
    booked_at: Moment | None
    handed_over_at: Moment | None
    delivered_at: Moment | None
    closed_at: Moment | None
    links: dict[str, str]

    @classmethod
    def of(cls, row: Shipment, lines: Sequence[ShipmentLine]) -> Self:
        return cls.model_validate(_shown(row, lines))


class ScanView(BaseModel):
    """What the carrier reported, and when it reached us."""

    event_id: str
    status: str
    occurred_at: Moment
    recorded_at: Moment


class ShipmentDetail(ShipmentView):
    """A parcel with everything its carrier reported."""

    events: list[ScanView]

    @classmethod
    def told(cls, row: Shipment, lines: Sequence[ShipmentLine], scans: Sequence[CarrierScan]) -> Self:
        events = [{**scan.model_dump(), "event_id": scan.scan_id} for scan in scans]
        return cls.model_validate(_shown(row, lines) | {"events": events})


def _shown(row: Shipment, lines: Sequence[ShipmentLine]) -> dict[str, Any]:
    own = f"/v1/shipments/{row.shipment_no}"
    links = {"self": own, "order": f"/v1/orders/{row.order_no}", "note": f"{own}/note.pdf"}
    return row.model_dump() | {"lines": [line.model_dump() for line in lines], "links": links}


class ShipmentQuery(ListQuery):
    """Filters of the list."""

    order_no: Key | None = None
    warehouse: Key | None = None
    status: ParcelStatus | None = None
    tracking_no: Key | None = None

    def wanted(self) -> ShipmentFilter:
        return ShipmentFilter(**self.model_dump(exclude={"limit", "cursor"}))
