"""Parcels of an order: booked with a carrier, taken back while that is possible, followed until they arrive.

The carrier is never called inside a transaction: what is wanted is recorded first, then asked for under a key that
stays the same however often it is asked, then what came of it is recorded.
"""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.consignments import LabelRequest, label_key, labels_to_ask
from activities.failures import translated
from activities.posting import sale_of
from activities.scans import follow, stray
from activities.step import Fact, Step, StepResult
from activities.undelivered import UNDELIVERED, give_up, take_back
from domain.order import Lifecycle, has_ended, moved
from domain.shipping import FAILED, VOIDABLE, ParcelStatus
from integrations.carrier.port import AlreadyCollected, Booking, Carrier, CarrierRefused
from models.columns import now
from models.order import Order
from models.shipping import Shipment
from runtime.database import Sessions
from runtime.sessions import before_asking_others
from store import changing, events, holds, inbox, orders, shipping, stock
from store.events import Event
from store.holds import Reason


class ShippingActivities:
    """What is asked of the carrier, and what it reports."""

    def __init__(self, sessions: Sessions, carrier: Carrier) -> None:
        self._sessions = sessions
        self._carrier = carrier

    @activity.defn
    async def book_shipments(self, step: Step) -> StepResult:
        """Effect: every unit promised to the order lies in a parcel that the carrier will fetch; or the order is held,
            called off or over, and has no more parcels than before.
        Key: one label per shipment number; after a refusal, per shipment number and count of refusals.
        Fails: carrier_unavailable and its kin (retryable); lifecycle_move_refused (final).
        """
        with translated():
            result, labels = await self._pack(step)
            for label in labels:
                result = await self._book(step, label)
                if result.held is not None or result.outcome != "applied":
                    break
            return result

    @activity.defn
    async def cancel_shipments(self, step: Step) -> StepResult:
        """Effect: no parcel of the order will be fetched, what it brought back is in stock again, and what it has
            lost is given up; or it has one still: the outcome is too_late, and partly_voided when another was voided,
            whose goods then lie in no parcel.
        Key: the label's key; voiding what was voided, or never booked, changes nothing. That of take_back_parcels; the
            status of a parcel that was lost.
        Fails: carrier_unavailable and its kin (retryable); account_mapping_missing (final).
        """
        with translated():
            async with self._sessions() as session:
                packed = await shipping.parcels(session, step.order_no)
                refusals = await shipping.refusals(session, step.order_no)
                result = StepResult(await orders.standing(session, step.order_no))
            living = [one.shipment for one in packed if not one.is_empty]
            leaving = [shipment for shipment in living if shipment.status not in FAILED]
            if any(shipment.status not in VOIDABLE for shipment in leaving):
                return await self._too_late(step.order_no)
            for shipment in leaving:
                result = await self._void(step, shipment.shipment_no, label_key(shipment.shipment_no, refusals))
                if result.outcome != "applied":
                    return await self._too_late(step.order_no)
            return result if leaving == living else await self._take_back(step, calling_off=True)

    async def _too_late(self, order_no: str) -> StepResult:
        async with self._sessions() as session:
            packed = await shipping.parcels(session, order_no)
            # Whichever try has voided it.
            voided = any(one.shipment.status == ParcelStatus.VOIDED for one in packed)
            standing = await orders.standing(session, order_no)
            return StepResult(standing, outcome="partly_voided" if voided else "too_late")

    @activity.defn
    async def take_back_parcels(self, step: Step) -> StepResult:
        """Effect: the units of every parcel that the carrier brought back are in stock again, at the cost they left at.
        Key: the event, the movements and the posting of the parcel: `taken_back/...`, `return/<shipment_no>/<line_id>`.
        Fails: account_mapping_missing (final).
        """
        with translated():
            return await self._take_back(step)

    async def _take_back(self, step: Step, *, calling_off: bool = False) -> StepResult:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            failed = await shipping.failed(session, step.order_no)
            is_over = await shipping.all_came_back(session, step.order_no) or calling_off
            for parcel in failed:
                if parcel.shipment.status == ParcelStatus.RETURNED:
                    await take_back(session, order, parcel, step.node)
                elif calling_off:
                    await give_up(session, order, parcel, step.node)
            if is_over:
                reason = "nothing of it is under way any more"
                await holds.resolve(session, order, UNDELIVERED, "returned", by="orderflow", reason=reason)
            standing = await orders.standing(session, step.order_no)
            await stock.wake(session)
            return StepResult(standing)

    @activity.defn
    async def apply_scan(self, fact: Fact) -> StepResult:
        """Effect: the parcel is at least as far as the carrier says; units, their cost and the order's lines follow.
        Key: (shipment, the carrier's event id); a report that changes nothing any more is kept all the same.
        Fails: scan_unreadable, stock_not_reserved, account_mapping_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                if message is None or message.kind != "parcel.scanned":
                    await events.record_forged(session, order, fact.inbox_id)
                    return StepResult(await orders.standing(session, fact.order_no), outcome="ignored")
                outcome = await follow(session, order, message, fact.inbox_id)
                standing = await orders.standing(session, fact.order_no)
                orders.note_progress(order, standing)
                inbox.mark_applied(message, outcome)
                return StepResult(standing, outcome=outcome)

    async def _pack(self, step: Step) -> tuple[StepResult, list[LabelRequest]]:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            if order.cancel_requested_at is not None or has_ended(order.lifecycle):
                return StepResult(await orders.standing(session, step.order_no), outcome="cancelling"), []
            # Asked again only once somebody has settled what was wrong, or why a person wants it to stay.
            held = await holds.first_open(session, step.order_no, ("manual", "carrier_refused"))
            held = held or await _awaits_balance(session, order, step.node)
            if held is not None:
                return StepResult(await orders.standing(session, step.order_no), held=held), []
            lines = await orders.lines(session, step.order_no)
            if short := [line for line in lines if line.allocated < line.quantity - line.cancelled]:
                # A promise had run out before the money came: it is asked for once more.
                if not isinstance(await stock.reserve(session, step.order_no), stock.Reserved):
                    ids = {"line_ids": [line.line_id for line in short]}
                    reason = Reason("out_of_stock", "units are not reserved", ids, step.node)
                    await holds.open_hold(session, order, reason)
                    return StepResult(await orders.standing(session, step.order_no), held=reason.code), []
                await holds.resolve(
                    session, order, ("out_of_stock",), "retried", by="orderflow", reason="reserved anew"
                )
                for line in short:
                    await session.refresh(line)
            new = await shipping.pack(session, step.order_no, await stock.reservations(session, step.order_no))
            if order.lifecycle != Lifecycle.FULFILLING:
                order.lifecycle = moved(order.lifecycle, Lifecycle.FULFILLING)
                await events.record(session, order, Event("order.fulfilling", {"parcels": len(new)}, node=step.node))
            labels = await labels_to_ask(session, order, lines, new)
            return StepResult(await orders.standing(session, step.order_no)), labels

    async def _book(self, step: Step, label: LabelRequest) -> StepResult:
        try:
            booking = await self._ask(label)
        except CarrierRefused as refused:
            return await self._note_refusal(step, label, refused.code)
        result = await self._note_booking(step, label, booking)
        if result.outcome != "applied":
            # The order was called off while the carrier was booking: the label it has made must not be used.
            voided = await self._void(step, label.shipment_no, label.key)
            return StepResult(voided.standing, outcome=result.outcome)
        return result

    async def _ask(self, label: LabelRequest) -> Booking:
        """The label with this key: looked up first where an earlier try may have made it and lost the answer."""
        await before_asking_others()
        booking = await self._carrier.find(label.key) if label.asked_before else None
        return booking or await self._carrier.book(label.consignment, label.key)

    async def _note_booking(self, step: Step, label: LabelRequest, booking: Booking) -> StepResult:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            shipment = await _shipment(session, label.shipment_no)
            unwanted = order.cancel_requested_at is not None or shipment.status == ParcelStatus.VOIDED
            if not unwanted and shipment.booked_at is None:
                # The first report may have come before the carrier's answer: then the parcel is further already.
                if shipment.status == ParcelStatus.CREATED:
                    await shipping.move(session, shipment, ParcelStatus.BOOKED, now())
                shipment.booked_at, shipment.label_url = now(), booking.label_url
                shipment.carrier, shipment.tracking_no = booking.carrier, booking.tracking_no
                await events.record(
                    session, order, Event("shipment.booked", shipping.told_of(shipment), node=step.node)
                )
            standing = await orders.standing(session, step.order_no)
            return StepResult(standing, outcome="cancelling" if unwanted else "applied")

    async def _note_refusal(self, step: Step, label: LabelRequest, code: str) -> StepResult:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            shipment = await _shipment(session, label.shipment_no)
            if order.cancel_requested_at is not None or shipment.status == ParcelStatus.VOIDED:
                return StepResult(await orders.standing(session, step.order_no), outcome="cancelling")
            # One event per key: their number is what the key of the next try is made of.
            if not await events.has_message(session, step.order_no, f"refused/{label.key}"):
                told = {"shipment_no": shipment.shipment_no, "code": code}
                refused = Event("shipment.refused", told, node=step.node, message_id=f"refused/{label.key}")
                await events.record(session, order, refused)
                await holds.open_hold(session, order, Reason("carrier_refused", code, told, step.node))
            return StepResult(await orders.standing(session, step.order_no), held="carrier_refused")

    async def _void(self, step: Step, shipment_no: str, key: str) -> StepResult:
        await before_asking_others()
        try:
            await self._carrier.void(key)
        except AlreadyCollected:
            async with self._sessions() as session:
                return StepResult(await orders.standing(session, step.order_no), outcome="too_late")
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            shipment = await _shipment(session, shipment_no)
            if shipment.status in VOIDABLE:
                await shipping.move(session, shipment, ParcelStatus.VOIDED, now())
                await events.record(
                    session, order, Event("shipment.voided", shipping.told_of(shipment), node=step.node)
                )
            left = shipment.status != ParcelStatus.VOIDED
            if left:
                # The carrier had agreed to leave it and fetched it before we had that on record.
                told = {"shipment_no": shipment_no, "status": shipment.status}
                await holds.open_hold(session, order, stray(told, step.node))
            standing = await orders.standing(session, step.order_no)
            return StepResult(standing, outcome="too_late" if left else "applied")


async def _awaits_balance(session: AsyncSession, order: Order, node: str) -> str | None:
    """The hold of an order that had been paid before a change made it dearer, as long as the balance has not come."""
    if not await changing.asked_for_more(session, order.order_no):
        return None
    position = (await sale_of(session, order)).position
    if position.is_settled:
        return None
    missing = position.totals.total_minor - position.settled_minor
    told = {"due_minor": missing, "currency": order.currency}
    await holds.open_hold(session, order, Reason("change_unpaid", "the change is not paid", told, node))
    return "change_unpaid"


async def _shipment(session: AsyncSession, shipment_no: str) -> Shipment:
    return await session.get_one(Shipment, shipment_no)
