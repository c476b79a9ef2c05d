"""Fulfilment orders (work of one warehouse), shipments (parcels with a carrier) and what carriers report."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import minor, moment, written_at


class FulfilmentOrder(SQLModel, table=True):
    """What one warehouse has to send for an order; its units are the order's reservations there."""

    __tablename__ = "fulfilment_orders"
    __table_args__ = (UniqueConstraint("order_no", "warehouse", name="fulfilment_once_per_warehouse"),)

    fulfilment_no: str = Field(primary_key=True)
    order_no: str = Field(foreign_key="orders.order_no", index=True)
    warehouse: str
    # open -> shipped | cancelled
    state: str = "open"
    created_at: datetime = written_at()


class Shipment(SQLModel, table=True):
    """A parcel with a carrier. `status` only moves forward, whatever order the scans come in."""

    __tablename__ = "shipments"
    __table_args__ = (
        Index(
            "shipments_travelling",
            "handed_over_at",
            postgresql_where=text("status IN ('handed_over', 'in_transit')"),
        ),
    )

    shipment_no: str = Field(primary_key=True)
    fulfilment_no: str = Field(foreign_key="fulfilment_orders.fulfilment_no", index=True)
    order_no: str = Field(foreign_key="orders.order_no", index=True)
    warehouse: str
    # created -> booked -> handed_over -> in_transit -> delivered | lost | returned; created, booked -> voided;
    # lost, returned -> given_up
    status: str = "created"
    carrier: str | None = None
    tracking_no: str | None = None
    label_url: str | None = None
    created_at: datetime = written_at()
    booked_at: datetime | None = moment()
    handed_over_at: datetime | None = moment()
    delivered_at: datetime | None = moment()
    closed_at: datetime | None = moment()


class ShipmentLine(SQLModel, table=True):
    """Units of an order line in a parcel; the cost is known once they leave the warehouse."""

    __tablename__ = "shipment_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="shipment_line_quantity_positive"),)

    shipment_no: str = Field(primary_key=True, foreign_key="shipments.shipment_no")
    line_id: str = Field(primary_key=True)
    order_no: str = Field(index=True)
    sku: str
    quantity: int
    cost_minor: int = minor()


class CarrierScan(SQLModel, table=True):
    """One fact a carrier reported about a parcel; kept even when it changes nothing any more."""

    __tablename__ = "carrier_scans"

    shipment_no: str = Field(primary_key=True, foreign_key="shipments.shipment_no")
    scan_id: str = Field(primary_key=True)
    inbox_id: int = Field(foreign_key="inbox_messages.inbox_id", sa_type=BigInteger)
    status: str
    occurred_at: datetime = written_at()
    recorded_at: datetime = written_at()
