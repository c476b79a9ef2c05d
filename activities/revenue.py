"""Revenue: posted by itself for what was delivered, parcel by parcel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import translated
from activities.posting import Sale, open_claim, post_unposted, sale_of
from activities.step import Step, StepResult
from domain.money import net_of_gross
from domain.order import GIVEN_AWAY
from domain.posting.entry import Entry, some
from domain.posting.position import ControlShare
from domain.posting.progress import together
from domain.posting.roles import Role
from domain.posting.sale import control_passed
from domain.posting.stock import cost_recognised, gift_delivered, sample_sent
from models.columns import now
from models.masters import Product
from models.order import Order, OrderLine
from models.shipping import Shipment, ShipmentLine
from runtime.database import Sessions
from store import credit, entities, events, journal, orders, rates, revenue, shipping
from store.events import Event
from store.journal import PostingContext, RateMissing

_PROFIT_AND_LOSS = (
    "revenue_recognised",
    "vat_point_reached",
    "commission_earned",
    "cost_recognised",
    "gift_delivered",
    "sample_sent",
)


@dataclass(frozen=True)
class _Delivery:
    """A parcel that arrived, as its revenue is being recognised."""

    order: Order
    shipment: Shipment
    units: Sequence[ShipmentLine]
    catalogue: Mapping[str, Product]


class RevenueActivities:
    """What passing of control does to the books."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def recognise_revenue(self, step: Step) -> StepResult:
        """Effect: every delivered unit has its revenue, VAT point and cost in the books, dated by its delivery.
        Key: `revenue/<order_no>/<shipment_no>` and `cost/...`; the event of the shipment's revenue.
        Fails: account_mapping_missing, fx_rate_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                held = await post_unposted(session, order, step.node)
                if held is None:
                    await recognise(session, order, step.node)
                return StepResult(await orders.standing(session, step.order_no), held=held)

    @activity.defn
    async def reverse_revenue(self, step: Step) -> StepResult:
        """Effect: every entry of the order that touched profit or loss has its mirror; no unit counts as recognised.
        Key: the entry that is reversed.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                reversed_entries = await journal.reverse(session, order.order_no, _PROFIT_AND_LOSS, now())
                if reversed_entries:
                    for line in await orders.lines(session, order.order_no):
                        line.recognised = 0
                    told = {"entries": reversed_entries}
                    await events.record(session, order, Event("revenue.reversed", told, node=step.node))
                return StepResult(await orders.standing(session, step.order_no))


async def recognise(session: AsyncSession, order: Order, node: str) -> None:
    """Afterwards every delivered unit has its revenue, VAT point and cost in the books. The order's row must be locked.

    Raises RateMissing, AccountMappingMissing.
    """
    due = await revenue.due(session, order.order_no)
    if not due:
        return
    if not await rates.take_rate(session, order):
        raise RateMissing(order_no=order.order_no)
    sale = await sale_of(session, order)
    await open_claim(session, order, sale)
    packed = {one.shipment.shipment_no: one.lines for one in await shipping.parcels(session, order.order_no)}
    catalogue = await _catalogue(session, order, sale)
    for at, shipment in enumerate(due):
        # Each parcel moves the sale on, so the next one starts from where this one has left it.
        sale = sale if at == 0 else await sale_of(session, order)
        await _recognise_parcel(
            session, _Delivery(order, shipment, packed[shipment.shipment_no], catalogue), sale, node
        )


async def _recognise_parcel(session: AsyncSession, delivery: _Delivery, sale: Sale, node: str) -> None:
    order, shipment = delivery.order, delivery.shipment
    by_id = {line.line_id: line for line in sale.lines}
    share = together(
        [sale.progress[unit.line_id].passing(unit.quantity) for unit in delivery.units if unit.line_id in sale.progress]
    )
    costs = _costs(delivery, by_id)
    at = shipment.delivered_at or now()
    number = f"{order.order_no}/{shipment.shipment_no}"
    await journal.post(session, PostingContext.of(order, at), control_passed(sale.position, share), f"revenue/{number}")
    await journal.post(session, PostingContext.of_cost(order, at), costs, f"cost/{number}")
    for unit in delivery.units:
        by_id[unit.line_id].recognised += unit.quantity
    if order.payment_terms == credit.TERMS:
        await _note_due(session, order, at)
    await events.record(session, order, _told(delivery, share, node))


async def _note_due(session: AsyncSession, order: Order, delivered_at: datetime) -> None:
    """What is bought on credit is due so many days after the last of it was delivered, where the entity is."""
    zone = ZoneInfo(await entities.time_zone(session, order.entity_id))
    due_on = delivered_at.astimezone(zone).date() + timedelta(days=order.payment_days or 0)
    order.payment_due_on = max(due_on, order.payment_due_on or due_on)


def _told(delivery: _Delivery, share: ControlShare, node: str) -> Event:
    told = {
        "shipment_no": delivery.shipment.shipment_no,
        "net_minor": share.net_minor,
        "tax_minor": share.tax_minor,
        "currency": delivery.order.currency,
        "cost_minor": sum(unit.cost_minor for unit in delivery.units),
        "cost_currency": delivery.order.functional_currency,
    }
    message_id = revenue.message_id(delivery.shipment.shipment_no)
    return Event(revenue.RECOGNISED, told, node=node, message_id=message_id)


def _comes_with_a_sale(line: OrderLine, by_id: Mapping[str, OrderLine]) -> bool:
    """Whether somebody pays for the line that it is a gift to: that price covers it, whatever the order is called."""
    return line.gift_of is not None and by_id[line.gift_of].gross_minor > 0


def _costs(delivery: _Delivery, by_id: Mapping[str, OrderLine]) -> tuple[Entry, ...]:
    sold, gifts, samples, deemed_vat = 0, 0, 0, 0
    for unit in delivery.units:
        line = by_id[unit.line_id]
        if delivery.order.type in GIVEN_AWAY and line.gross_minor == 0 and not _comes_with_a_sale(line, by_id):
            samples += unit.cost_minor
            deemed_vat += _deemed_vat(delivery, line, unit.quantity)
        elif line.gift_of is not None:
            gifts += unit.cost_minor
        else:
            sold += unit.cost_minor
    return some(cost_recognised(sold), gift_delivered(gifts), sample_sent(samples, deemed_vat, Role.GOODS_IN_TRANSIT))


def _deemed_vat(delivery: _Delivery, line: OrderLine, units: int) -> int:
    """VAT in what the units would have cost, functional minor units: by the order's price, or else the catalogue's.

    The order's counts from keys that may set prices: any other could make the VAT what it likes.
    """
    order, product = delivery.order, delivery.catalogue.get(line.sku)
    listed = line.unit_price_minor if order.priced_by_client else 0
    if not listed and product is not None and product.currency in (None, order.currency):
        listed = product.price_minor or 0
    gross = PostingContext.of(order, order.received_at).conversion.base_of(listed * units)
    return gross - net_of_gross(gross, line.tax_rate)


async def _catalogue(session: AsyncSession, order: Order, sale: Sale) -> dict[str, Product]:
    """The products whose price tells what a sample is worth; other orders need none."""
    if order.type not in GIVEN_AWAY:
        return {}
    query = select(Product).where(col(Product.sku).in_({line.sku for line in sale.lines}))
    return {product.sku: product for product in await session.exec(query)}
