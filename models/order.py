"""The order: what was agreed, how far it has come, why it stands still, and what happened to it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import Document, Rate, TextList, minor, moment, written_at


class Order(SQLModel, table=True):
    """A customer's agreement. `lifecycle` is set by the workflow; every other status is computed."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("channel", "external_id", name="order_of_channel"),
        UniqueConstraint("voucher_no", name="order_voucher"),
        Index("orders_newest", "received_at", "order_no"),
        Index("orders_by_channel", "channel", "received_at", "order_no"),
        Index("orders_by_customer", "customer_id", "received_at"),
        Index("orders_by_external_id", "external_id"),
        Index("orders_of_group", "group_id", postgresql_where=text("group_id IS NOT NULL")),
        Index("orders_open", "order_no", postgresql_where=text("closed_at IS NULL")),
        CheckConstraint("total_minor >= 0", name="order_total_not_negative"),
        CheckConstraint("refunded_minor + forfeited_minor <= paid_minor", name="order_refunded_within_paid"),
        CheckConstraint("reduced_minor >= 0 AND reduced_minor <= total_minor", name="order_reduced_within_total"),
        Index("orders_on_credit", "customer_id", postgresql_where=text("payment_terms = 'on_credit'")),
    )

    order_no: str = Field(primary_key=True)
    voucher_no: str
    channel: str
    external_id: str
    source: str
    placed_by: str
    type: str
    entity_id: str = Field(foreign_key="legal_entities.entity_id")
    currency: str
    functional_currency: str
    fx_rate: Decimal | None = Field(default=None, sa_type=Rate)
    # Whether the key that placed it may set prices; otherwise the catalogue must agree.
    priced_by_client: bool = False

    customer_id: str | None = None
    customer_level: str = "standard"
    contact: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    ship_to: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    salesperson: str | None = None
    store: str | None = None
    group_id: str | None = None
    # When it was paid and counts for its group.
    group_joined_at: datetime | None = moment()
    # What has come of the things outside that its kind waits for.
    came: list[str] = Field(default_factory=list, sa_type=TextList)
    customs: dict[str, Any] | None = Field(default=None, sa_type=Document)
    discounts: list[dict[str, Any]] = Field(default_factory=list, sa_type=Document)

    payment_method: str
    payment_terms: str
    deposit_minor: int | None = Field(default=None, sa_type=BigInteger)
    balance_opens_at: datetime | None = moment()
    balance_closes_at: datetime | None = moment()
    # Whether a deposit goes back to a customer who does not pay the balance or calls the order off.
    deposit_refundable: bool = False
    # Set when the customer has lost the deposit; `forfeited_minor` once it is ours in the books.
    forfeit_deposit: bool = False
    # On credit: days from the delivery to the day on which the money is due; within, granted or above
    # the customer's credit.
    payment_days: int | None = None
    payment_due_on: date | None = None
    credit_state: str | None = None

    list_minor: int = minor()
    seller_discount_minor: int = minor()
    platform_discount_minor: int = minor()
    shipping_minor: int = minor()
    total_minor: int = minor()
    transaction_minor: int = minor()
    net_minor: int = minor()
    tax_minor: int = minor()

    paid_minor: int = minor()
    refunded_minor: int = minor()
    written_off_minor: int = minor()
    # What granted refunds took off the total.
    reduced_minor: int = minor()
    forfeited_minor: int = minor()

    flow_key: str
    flow_version: int
    lifecycle: str = "received"
    waiting_for: str | None = None
    deadline_at: datetime | None = moment()
    cancel_requested_at: datetime | None = moment()
    cancel_reason: str | None = None
    placed_at: datetime = written_at()
    received_at: datetime = written_at()
    closed_at: datetime | None = moment()
    last_event_seq: int = 0


class OrderLine(SQLModel, table=True):
    """One SKU at one price, its stored price components and how far its units have come."""

    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="line_quantity_positive"),
        CheckConstraint(
            "cancelled >= 0 AND allocated >= 0 AND allocated <= quantity - cancelled", name="line_allocated"
        ),
        CheckConstraint("shipped >= 0 AND shipped <= allocated", name="line_shipped"),
        CheckConstraint("delivered >= 0 AND delivered <= shipped", name="line_delivered"),
        CheckConstraint("recognised >= 0 AND recognised <= delivered", name="line_recognised"),
        CheckConstraint("invoiced >= 0 AND invoiced <= quantity", name="line_invoiced"),
        CheckConstraint("returned >= 0 AND returned <= shipped", name="line_returned"),
        CheckConstraint("refunded >= 0 AND refunded <= delivered", name="line_refunded"),
        CheckConstraint(
            "refunded_tax_minor >= 0 AND refunded_tax_minor <= tax_minor AND refunded_platform_minor >= 0 "
            "AND refunded_platform_minor <= platform_discount_minor AND refunded_shipping_minor >= 0 "
            "AND refunded_shipping_minor <= shipping_minor AND refunded_gross_minor >= 0 "
            "AND refunded_gross_minor <= gross_minor",
            name="line_refunded_within_price",
        ),
        Index("order_lines_by_sku", "sku"),
        # What arrived and is not in the books yet: next to nothing at any time, however many lines there are.
        Index(
            "order_lines_unrecognised",
            "order_no",
            postgresql_where=text("delivered > recognised AND returned = 0"),
        ),
    )

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    line_id: str = Field(primary_key=True)
    position: int
    sku: str
    quantity: int
    unit_price_minor: int = minor()
    tax_rate: Decimal = Field(sa_type=Rate)
    category: str | None = None
    gift_of: str | None = None
    store: str | None = None
    sold_as: str = "principal"

    list_minor: int = minor()
    seller_discount_minor: int = minor()
    platform_discount_minor: int = minor()
    shipping_minor: int = minor()
    payable_minor: int = minor()
    gross_minor: int = minor()
    net_minor: int = minor()
    tax_minor: int = minor()

    cancelled: int = 0
    allocated: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0
    invoiced: int = 0
    recognised: int = 0
    # Units that arrived and whose price went back, whether or not they came back; those never sent are `cancelled`.
    refunded: int = 0
    # What granted refunds took of the line's price so far.
    refunded_gross_minor: int = minor()
    refunded_tax_minor: int = minor()
    refunded_platform_minor: int = minor()
    refunded_shipping_minor: int = minor()


class OrderSource(SQLModel, table=True):
    """Link between an order and the verbatim source record (an inbox row) it was made from; n:m."""

    __tablename__ = "order_sources"

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    inbox_id: int = Field(primary_key=True, foreign_key="inbox_messages.inbox_id", sa_type=BigInteger)


class OrderEvent(SQLModel, table=True):
    """One append-only line of an order's story, written in the transaction of the change it tells.

    The lines of an order are a chain: `hash` is over everything here but the words of the reason, which enter by their
    `reason_seal`, and over the hash of the line before (`prev_hash`).
    """

    __tablename__ = "order_events"
    __table_args__ = (UniqueConstraint("order_no", "seq", name="order_event_seq"),)

    event_id: int | None = Field(
        default=None, sa_column=Column("event_id", BigInteger, Identity(always=True), primary_key=True)
    )
    order_no: str = Field(foreign_key="orders.order_no")
    seq: int
    kind: str
    actor: str
    on_behalf_of: str | None = None
    # Who told of it, and the door by which the order itself had come in.
    source: str
    intake: str
    message_id: str | None = None
    node: str | None = None
    flow_key: str
    flow_version: int
    # `after`: how the order stood then, zeros and nothings left out. `before`: of what changed, how it had stood.
    before: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    after: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    data: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    reason: str | None = None
    reason_salt: bytes | None = None
    reason_seal: bytes | None = None
    at: datetime = written_at()
    prev_hash: bytes
    hash: bytes


class OrderHold(SQLModel, table=True):
    """A reasoned block on an order with an owner and a deadline."""

    __tablename__ = "order_holds"
    __table_args__ = (
        Index(
            "order_hold_open_once",
            "order_no",
            "reason_code",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("order_holds_open", "reason_code", "opened_at", postgresql_where=text("resolved_at IS NULL")),
    )

    hold_id: str = Field(primary_key=True)
    order_no: str = Field(foreign_key="orders.order_no", index=True)
    reason_code: str
    detail: str
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    owner_role: str
    node: str | None = None
    blocking: bool = True
    attempts: int = 1
    opened_at: datetime = written_at()
    due_at: datetime | None = moment()
    # How often the hold has gone up since nobody settled it in time, to whom last, and when it goes up next.
    level: int = 0
    escalated_to: str | None = None
    escalated_at: datetime | None = moment()
    escalates_at: datetime | None = moment()
    # For what is tried again without anybody's click.
    next_try_at: datetime | None = moment()
    resolved_at: datetime | None = moment()
    resolution: str | None = None
    resolved_by: str | None = None
    resolution_reason: str | None = None


class OrderDecision(SQLModel, table=True):
    """Why an order took a branch: the case, the expression and the facts it was decided on."""

    __tablename__ = "order_decisions"

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    node: str = Field(primary_key=True)
    visit: int = Field(primary_key=True)
    flow_key: str
    flow_version: int
    chosen: str
    expression: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    at: datetime = written_at()
