"""Placing an order: inbox row, order, lines, price components and voucher number in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.flow.decide import match_flow
from domain.flow.definition import FlowDefinition
from domain.order_number import order_number
from domain.pricing import OrderLineValue, PricedLine, PricedOrder
from models.columns import now
from models.order import Order, OrderLine, OrderSource
from runtime.direct import ask_together
from store import events, facts, inbox, series, whole
from store.defaults import ENTITY
from store.events import Event
from store.inbox import Incoming, Start


class NoLegalEntity(DomainError):
    """Nobody is there to sell: the masters lack the legal entity."""

    code = "no_legal_entity"


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """An order as its channel sent it, validated and priced, not yet ours."""

    channel: str
    external_id: str
    type: str
    currency: str
    lines: tuple[OrderLineValue, ...]
    priced: PricedOrder
    payment_method: str
    payment_terms: str
    placed_at: datetime
    source: str
    actor: str
    priced_by_client: bool
    customer_id: str | None = None
    contact: dict[str, Any] = field(default_factory=dict)
    ship_to: dict[str, Any] = field(default_factory=dict)
    discounts: tuple[dict[str, Any], ...] = ()
    salesperson: str | None = None
    store: str | None = None
    group_id: str | None = None
    customs: dict[str, Any] | None = None
    deposit_minor: int | None = None
    balance_opens_at: datetime | None = None
    balance_closes_at: datetime | None = None
    deposit_refundable: bool | None = None
    # Of an order that is paid with what another one was paid with: the rate that this money has in the books.
    fx_rate: Decimal | None = None

    @property
    def order_no(self) -> str:
        return order_number(self.channel, self.external_id)


@dataclass(frozen=True, slots=True)
class Placed:
    """The order's number and its inbox row; `repeated`: it had been placed before, with the same content."""

    order_no: str
    inbox_id: int
    repeated: bool
    start: Start | None = None


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the masters say about the order that is being placed."""

    functional_currency: str
    time_zone: str
    deposit_refundable: bool
    rate: Decimal | None
    customer: facts.KnownCustomer


async def place(
    session: AsyncSession, draft: OrderDraft, message: Incoming, flows: Sequence[FlowDefinition], *, leased: bool = True
) -> Placed:
    """Afterwards the order is ours, once: the caller commits, and hands it over unless it is not `leased`.

    Raises MessageDiffers when it came with other content.
    """
    asked = inbox.to_add(message, leased=leased) | _asked(draft)
    added, found = await ask_together(session, [inbox.ADD, _GROUND], asked)
    if not added:
        receipt = await inbox.first_of(session, message)
        return Placed(draft.order_no, receipt.inbox_id, repeated=True)
    inbox_id, ground = added[0]["inbox_id"], _ground(draft, found)
    flow = match_flow(flows, facts.of_draft(draft, ground.customer))
    received_at = now()
    year = received_at.astimezone(ZoneInfo(ground.time_zone)).year
    order, lines = _order(draft, ground, flow), _lines(draft)
    order.received_at, order.last_event_seq = received_at, events.FIRST
    if order.balance_closes_at is not None and order.balance_opens_at is None:
        # Nobody has named a day: the balance may be paid from the first moment on.
        order.balance_opens_at = received_at
    # Last before the inserts: this row lock is what makes voucher numbers gapless, and all orders take turns on it.
    number = await series.take(session, f"voucher/{ENTITY}/{year}")
    order.voucher_no = f"V{year}-{number:08d}"
    await whole.write(session, order, *lines, OrderSource(order_no=order.order_no, inbox_id=inbox_id))
    whole.made(session, order.order_no)
    told = {"total_minor": order.total_minor, "currency": order.currency, "voucher_no": order.voucher_no}
    placed = Event("order.received", told, actor=draft.actor, source=draft.source, message_id=message.message_id)
    await events.record_first(session, order, placed)
    start = Start(flow.key, flow.version, facts.as_placed(order, lines, ground.customer))
    return Placed(order.order_no, inbox_id, repeated=False, start=start)


_GROUND = """
SELECT e.functional_currency, e.time_zone, e.deposit_refundable, c.level, c.blacklisted,
       (SELECT count(*) FROM orders o WHERE o.customer_id = %(customer_id)s) AS order_count,
       (SELECT rate FROM fx_rates r WHERE r.entity_id = e.entity_id AND r.currency = %(currency)s
            AND r.valid_from <= %(today)s ORDER BY r.valid_from DESC LIMIT 1) AS rate
FROM legal_entities e LEFT JOIN customers c ON c.customer_id = %(customer_id)s
WHERE e.entity_id = %(entity_id)s
"""


def _asked(draft: OrderDraft) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    return {"entity_id": ENTITY, "customer_id": draft.customer_id, "currency": draft.currency, "today": today}


def _ground(draft: OrderDraft, found: Sequence[dict[str, Any]]) -> _Ground:
    if not found:
        raise NoLegalEntity(entity_id=ENTITY)
    (row,) = found
    functional = row["functional_currency"]
    rate = Decimal(1) if functional == draft.currency else row["rate"]
    customer = facts.KnownCustomer(row["level"] or "standard", row["order_count"], bool(row["blacklisted"]))
    return _Ground(functional, row["time_zone"], row["deposit_refundable"], rate, customer)


def _order(draft: OrderDraft, ground: _Ground, flow: FlowDefinition) -> Order:
    priced = draft.priced
    return Order(
        order_no=draft.order_no,
        voucher_no="",
        channel=draft.channel,
        external_id=draft.external_id,
        source=draft.source,
        placed_by=draft.actor,
        type=draft.type,
        entity_id=ENTITY,
        currency=draft.currency,
        functional_currency=ground.functional_currency,
        fx_rate=draft.fx_rate or ground.rate,
        priced_by_client=draft.priced_by_client,
        customer_id=draft.customer_id,
        customer_level=ground.customer.level,
        contact=draft.contact,
        ship_to=draft.ship_to,
        salesperson=draft.salesperson,
        store=draft.store,
        group_id=draft.group_id,
        customs=draft.customs,
        discounts=list(draft.discounts),
        payment_method=draft.payment_method,
        payment_terms=draft.payment_terms,
        deposit_minor=draft.deposit_minor,
        balance_opens_at=draft.balance_opens_at,
        balance_closes_at=draft.balance_closes_at,
        deposit_refundable=_deposit_refundable(draft, ground),
        list_minor=priced.list_minor,
        seller_discount_minor=priced.seller_discount_minor,
        platform_discount_minor=priced.platform_discount_minor,
        shipping_minor=priced.shipping_minor,
        total_minor=priced.total_minor,
        transaction_minor=priced.transaction_minor,
        net_minor=priced.net_minor,
        tax_minor=priced.tax_minor,
        flow_key=flow.key,
        flow_version=flow.version,
        placed_at=draft.placed_at,
    )


def _deposit_refundable(draft: OrderDraft, ground: _Ground) -> bool:
    """The order's own word counts from those who set its prices; for all others the entity's policy holds."""
    said = draft.deposit_refundable if draft.priced_by_client else None
    return ground.deposit_refundable if said is None else said


def _lines(draft: OrderDraft) -> list[OrderLine]:
    pairs = zip(draft.lines, draft.priced.lines, strict=True)
    return [line_of(draft.order_no, at, said, priced) for at, (said, priced) in enumerate(pairs, start=1)]


def line_of(order_no: str, position: int, said: OrderLineValue, priced: PricedLine) -> OrderLine:
    """The row of an order's line, of which nothing has happened yet."""
    return OrderLine(
        order_no=order_no,
        line_id=said.line_id,
        position=position,
        sku=said.sku,
        quantity=said.quantity,
        unit_price_minor=said.unit_price_minor,
        tax_rate=said.tax_rate,
        category=said.category,
        gift_of=said.gift_of,
        store=said.store,
        sold_as=said.sold_as.value,
        **price_of(priced),
    )


def price_of(priced: PricedLine) -> dict[str, int]:
    """The columns of an order's line that say its price."""
    return {
        "list_minor": priced.list_minor,
        "seller_discount_minor": priced.seller_discount_minor,
        "platform_discount_minor": priced.platform_discount_minor,
        "shipping_minor": priced.shipping_minor,
        "payable_minor": priced.payable_minor,
        "gross_minor": priced.transaction_minor,
        "net_minor": priced.net_minor,
        "tax_minor": priced.tax_minor,
    }
