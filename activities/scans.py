"""A carrier's report, applied to the parcel it is about: whatever order reports come in, the end is the same."""

from dataclasses import dataclass
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.undelivered import turned_up
from domain.errors import DomainError
from domain.posting.entry import some
from domain.posting.stock import goods_handed_over
from domain.shipping import FAILED, ParcelStatus, ScanStatus, progress
from models.inbox import InboxMessage
from models.order import Order
from models.shipping import CarrierScan, Shipment
from store import events, holds, journal, shipping, stock
from store.events import Event
from store.holds import Reason
from store.journal import PostingContext


class ScanUnreadable(DomainError):
    """A carrier's report that our door let in does not say what a report has to say."""

    code = "scan_unreadable"


class _Scan(BaseModel):
    event_id: str
    shipment_no: str
    status: ScanStatus
    occurred_at: AwareDatetime


@dataclass(frozen=True)
class _Report:
    """A report that is being applied: whose, the message it came in, what it says, and of which parcel."""

    order: Order
    message: InboxMessage
    scan: _Scan
    shipment: Shipment

    def event(self, kind: str) -> Event:
        told = shipping.told_of(self.shipment) | {"occurred_at": self.scan.occurred_at.isoformat()}
        message = self.message
        return Event(kind, told, actor=message.actor, source=message.source, message_id=message.message_id)


async def follow(session: AsyncSession, order: Order, message: InboxMessage, inbox_id: int) -> str:
    """Afterwards the report is on record and has had its effect, once; returns what became of it.

    The order's row must be locked. Raises ScanUnreadable, StockNotReserved, AccountMappingMissing.
    """
    scan = _read(message)
    shipment = await shipping.find(session, scan.shipment_no)
    if shipment is None or shipment.order_no != order.order_no:
        await events.record_forged(session, order, inbox_id)
        return "ignored"
    kept = CarrierScan(
        shipment_no=scan.shipment_no,
        scan_id=scan.event_id,
        inbox_id=inbox_id,
        status=scan.status.value,
        occurred_at=scan.occurred_at,
    )
    if not await shipping.add_scan(session, kept):
        return message.outcome or "repeated"
    report = _Report(order, message, scan, shipment)
    if shipment.status == ParcelStatus.GIVEN_UP:
        return await turned_up(session, order, shipment, report.event("shipment.turned_up"), scan.status)
    return await (_note_stray if shipment.status == ParcelStatus.VOIDED else _move_on)(session, report)


async def _move_on(session: AsyncSession, report: _Report) -> str:
    """The parcel moves forward, if this is news; a report of the past may still tell when it was handed over."""
    shipment, scan = report.shipment, report.scan
    ahead = progress(shipment.status, scan.status)
    if ahead is not None and ahead.hands_over:
        await _hand_over(session, report)
    if shipment.handed_over_at is None or scan.occurred_at < shipment.handed_over_at:
        shipment.handed_over_at = scan.occurred_at
    if ahead is None:
        return "late"
    await shipping.move(session, shipment, ahead.status, scan.occurred_at)
    if ahead.status is ParcelStatus.DELIVERED:
        await shipping.count_delivered(session, shipment.order_no, shipment.shipment_no)
    if ahead.status is not ParcelStatus.HANDED_OVER:
        await events.record(session, report.order, report.event(f"shipment.{ahead.status}"))
    if ahead.status is ParcelStatus.DELIVERED:
        await _settle_stray(session, report)
    if ahead.status in FAILED:
        told = {"shipment_no": shipment.shipment_no, "status": ahead.status.value}
        await holds.open_hold(session, report.order, Reason("delivery_failed", f"parcel {ahead.status}", told))
    return "applied"


async def _hand_over(session: AsyncSession, report: _Report) -> None:
    """Units leave stock and their cost goes in transit: whatever the carrier reports first, it has the parcel."""
    order, shipment = report.order, report.shipment
    packed = await shipping.parcel(session, shipment)
    leaving = [stock.LeavingUnits(line.line_id, shipment.warehouse, line.quantity) for line in packed.lines]
    costs = await stock.ship(session, order.order_no, shipment.shipment_no, leaving)
    for line in packed.lines:
        line.cost_minor = costs[line.line_id]
    cost = goods_handed_over(sum(costs.values()))
    context = PostingContext.of_cost(order, report.scan.occurred_at)
    await journal.post(session, context, some(cost), f"handed_over/{order.order_no}/{shipment.shipment_no}")
    await shipping.move(session, shipment, ParcelStatus.HANDED_OVER, report.scan.occurred_at)
    await events.record(session, order, report.event("shipment.handed_over"))


async def _note_stray(session: AsyncSession, report: _Report) -> str:
    """The carrier has fetched what it had agreed to leave: people have to get it back, and are told once."""
    if len(await shipping.scans(session, report.shipment.shipment_no)) > 1:
        return "late"
    told = {"shipment_no": report.shipment.shipment_no, "status": report.scan.status.value}
    await events.record(session, report.order, report.event("shipment.picked_up_after_cancel"))
    await holds.open_hold(session, report.order, stray(told))
    return "applied"


def stray(told: dict[str, Any], node: str | None = None) -> Reason:
    """Why people have to look after a parcel whose label was voided and that the carrier has all the same."""
    return Reason("picked_up_after_cancel", "the carrier has a parcel that was voided", told, node)


async def _settle_stray(session: AsyncSession, report: _Report) -> None:
    """A parcel that had left with a voided label and has arrived all the same needs nobody any more."""
    hold = await holds.find_open(session, report.order.order_no, "picked_up_after_cancel")
    if hold is not None and hold.facts.get("shipment_no") == report.shipment.shipment_no:
        await holds.settle(session, report.order, hold, "delivered", by="orderflow", reason="the parcel has arrived")


def _read(message: InboxMessage) -> _Scan:
    try:
        return _Scan.model_validate_json(message.body)
    except ValidationError:
        raise ScanUnreadable(inbox_id=message.inbox_id) from None
