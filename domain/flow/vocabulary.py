"""The closed registries that a flow may name: actions, events, facts, roles, notices, hold reasons, core steps.

Adding a name is one row here plus the code that performs it. A flow that names anything else is refused when saved.

How undoing works
    An action registers its compensation *before* it runs, so an action whose answer was lost is undone as well; every
    compensation is therefore harmless when nothing was done. The node may name its compensation, and it is then the one
    listed here; left out, the one listed here is registered all the same. A wait for a payment registers
    ``payment.refund`` before it waits: whatever money has come in by then, a part of it included, goes back.
    A ``compensate`` node runs everything registered so far in reverse order and forgets it. The choice ``cancel`` of an
    ``exception`` node, and a person's cancellation of the order, do the same and end the order as cancelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

FactValue = bool | int | str | datetime | list[str] | tuple[str, ...]
"""What a fact may be. A moment may also be given as RFC 3339 text, which is how it survives JSON."""

Facts = Mapping[str, FactValue]


class Role(StrEnum):
    """What a person is entitled to; also the owners of holds and the readers of notices."""

    ADMIN = "admin"
    CHANNEL = "channel"
    SALES = "sales"
    MANAGER = "manager"
    GM = "gm"
    CEO = "ceo"
    WAREHOUSE = "warehouse"
    SERVICE = "service"
    FINANCE = "finance"
    OPERATIONS = "operations"


ROLES: frozenset[str] = frozenset(Role)

QUEUES: Mapping[str, Role] = {"ops": Role.OPERATIONS, **{role.value: role for role in Role}}
"""Work list in which the holds of an exception lane appear, and the role that works through it."""

AUDIENCES: frozenset[str] = ROLES | {"customer", "salesperson"}

NOTICES: frozenset[str] = frozenset(
    {
        "order.accepted",
        "order.payment_due",
        "order.balance_due",
        "order.paid",
        "order.shipped",
        "order.delivered",
        "order.completed",
        "order.cancelled",
        "order.expired",
        "order.delayed",
    }
)
"""What a ``notify`` node may tell."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing an action node can do.

    ``place``: ``local`` steps write our own database only, ``external`` ones call an outside party.
    ``money``: a second run on the same order would charge, invoice or post twice.
    ``compensation``: the action that undoes this one; None where there is nothing to undo.
    """

    place: Literal["local", "external"]
    core: bool = False
    money: bool = False
    compensation: str | None = None


ACTIONS: Mapping[str, Action] = {
    "order.check": Action("local"),
    # Takes the order's part of what the customer may owe us, or finds that it does not fit: `order.above_credit`.
    "credit.check": Action("local"),
    # What customs ask for is there, for the order and for each of its lines; otherwise the order is held.
    "customs.check": Action("local"),
    # The order counts for its group from now on; once the group has its number, all orders of it are told.
    "group.join": Action("local"),
    "stock.reserve": Action("local", core=True, compensation="stock.release"),
    "shipping.create": Action("external", core=True, compensation="shipping.cancel"),
    # Undelivered parcels that the carrier has brought back are in stock again.
    "shipping.take_back": Action("local"),
    # The customer's deposit is ours; what else was paid goes back by the undoing that follows.
    "payment.forfeit": Action("local", money=True),
    # Also what stands in its place for goods that are given away: a sample is an expense, with the VAT on it.
    "revenue.recognise": Action("local", core=True, money=True, compensation="revenue.reverse"),
    "invoice.issue": Action("external", core=True, money=True, compensation="invoice.credit"),
}

COMPENSATIONS: Mapping[str, Action] = {
    "stock.release": Action("local"),
    "shipping.cancel": Action("external"),
    "payment.refund": Action("external", money=True),
    "revenue.reverse": Action("local", money=True),
    "invoice.credit": Action("external", money=True),
}
"""Run by undoing only, never as a step of their own."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something outside that a wait node can wait for."""

    money: bool = False
    compensation: str | None = None


EVENTS: Mapping[str, Event] = {
    # Met as soon as everything is paid that the order's terms want before shipment: the whole sum for prepaid orders,
    # nothing for on_credit, cash_on_delivery and none. So it stands for the payment of every kind of terms.
    "payment.full": Event(money=True, compensation="payment.refund"),
    "payment.deposit": Event(money=True, compensation="payment.refund"),
    "payment.balance": Event(money=True, compensation="payment.refund"),
    "shipment.handed_over": Event(),
    "shipment.delivered": Event(),
    "stock.replenished": Event(),
    # Customs have accepted all three documents: order, payment and logistics.
    "customs.cleared": Event(),
    # As many orders of the group are paid as it needs; the wait ends with the group's own time at the latest.
    "group.complete": Event(),
}


def compensation_of(step: str) -> str | None:
    """The compensation that the step (action or awaited event) registers before it begins; None when it needs none."""
    known = ACTIONS.get(step) or EVENTS.get(step)
    return known.compensation if known else None


def takes_money(step: str) -> bool:
    """Whether doing the step twice on one order would take, invoice or post money twice."""
    known = ACTIONS.get(step) or EVENTS.get(step)
    return known is not None and known.money


@dataclass(frozen=True, slots=True)
class CoreStep:
    """A step without which no order may complete. Any one of ``steps`` (actions or awaited events) performs it."""

    name: str
    steps: frozenset[str]
    after: str | None = None  # the core step that has to be done before this one starts


CORE_STEPS: tuple[CoreStep, ...] = (
    CoreStep("reservation", frozenset({"stock.reserve"})),
    CoreStep("payment", frozenset({"payment.full", "payment.balance"})),
    CoreStep("shipment", frozenset({"shipping.create"}), after="reservation"),
    CoreStep("delivery", frozenset({"shipment.delivered"}), after="shipment"),
    CoreStep("revenue", frozenset({"revenue.recognise"}), after="delivery"),
    CoreStep("invoice", frozenset({"invoice.issue"})),
)


class FactKind(StrEnum):
    INT = "int"
    TEXT = "text"
    BOOL = "bool"
    TEXTS = "texts"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Fact:
    """A name that conditions may read. ``absent`` is its value for an order that has none; None: it must be given.

    ``settable``: a flow itself may say it, for its own conditions further on; everything else comes from the records.
    """

    kind: FactKind
    absent: bool | str | tuple[str, ...] | None = None
    settable: bool = False


FACTS: Mapping[str, Fact] = {
    "order.type": Fact(FactKind.TEXT),
    "order.channel": Fact(FactKind.TEXT),
    "order.source": Fact(FactKind.TEXT),
    "order.total_minor": Fact(FactKind.INT),
    "order.currency": Fact(FactKind.TEXT),
    "order.item_count": Fact(FactKind.INT),
    "order.categories": Fact(FactKind.TEXTS),
    "order.skus": Fact(FactKind.TEXTS),
    "order.has_gift": Fact(FactKind.BOOL),
    "order.country": Fact(FactKind.TEXT),
    "order.placed_at": Fact(FactKind.MOMENT),
    "order.balance_opens_at": Fact(FactKind.MOMENT),
    "order.balance_closes_at": Fact(FactKind.MOMENT),
    "order.deposit_refundable": Fact(FactKind.BOOL),
    "order.above_credit": Fact(FactKind.BOOL),
    "order.group_complete": Fact(FactKind.BOOL, absent=False),
    "order.salesperson": Fact(FactKind.TEXT, absent=""),
    "order.store": Fact(FactKind.TEXT, absent=""),
    "customer.id": Fact(FactKind.TEXT),
    "customer.level": Fact(FactKind.TEXT, absent=""),
    "customer.order_count": Fact(FactKind.INT),
    "customer.credit_limit_minor": Fact(FactKind.INT),
    "customer.credit_used_minor": Fact(FactKind.INT),
    "customer.overdue_minor": Fact(FactKind.INT),
    "customer.blacklisted": Fact(FactKind.BOOL),
    "payment.terms": Fact(FactKind.TEXT),
    "payment.method": Fact(FactKind.TEXT),
    "payment.paid_minor": Fact(FactKind.INT),
    "payment.paid_in_full": Fact(FactKind.BOOL),
    "shipment.returned": Fact(FactKind.BOOL),
    "risk.score": Fact(FactKind.INT),
    "flow.label": Fact(FactKind.TEXT, absent="", settable=True),
    "flow.urgent": Fact(FactKind.BOOL, absent=False, settable=True),
    "flow.tags": Fact(FactKind.TEXTS, absent=(), settable=True),
}

SETTABLE: frozenset[str] = frozenset(name for name, fact in FACTS.items() if fact.settable)

MOMENTS: frozenset[str] = frozenset(name for name, fact in FACTS.items() if fact.kind is FactKind.MOMENT)


SUPERIORS: Mapping[Role, tuple[Role, ...]] = {
    Role.SALES: (Role.MANAGER, Role.OPERATIONS, Role.GM),
    Role.SERVICE: (Role.MANAGER, Role.OPERATIONS, Role.GM),
    Role.WAREHOUSE: (Role.OPERATIONS, Role.GM),
    Role.FINANCE: (Role.OPERATIONS, Role.GM),
    Role.OPERATIONS: (Role.MANAGER, Role.GM),
}
"""Who hears of a hold that its owner has not settled in time, one after the other."""


@dataclass(frozen=True, slots=True)
class HoldReason:
    """Why an order is held, who has to act and how soon.

    ``core``: goods, money or books are wrong until it is solved; it can be retried or cancelled, never skipped.
    ``at_gate``: it stops the order before it ships, and no wait before that.
    ``refundable``: it is about money that may simply go back.
    ``resendable``: it is about goods that may simply be sent once more.
    ``above``: who hears of it when it is overdue, where that is not the owner's superiors.
    """

    owner: Role
    sla: timedelta
    zh: str
    en: str
    core: bool = True
    at_gate: bool = False
    refundable: bool = False
    resendable: bool = False
    above: tuple[Role, ...] = ()


_SOON, _DAY = timedelta(hours=2), timedelta(days=1)

HOLD_REASONS: Mapping[str, HoldReason] = {
    "unknown_sku": HoldReason(Role.OPERATIONS, _SOON, "商品未建档", "Unknown SKU"),
    "price_mismatch": HoldReason(Role.SALES, _SOON, "价格不符", "Price differs from the catalogue", core=False),
    "out_of_stock": HoldReason(Role.WAREHOUSE, _DAY, "库存不足", "Out of stock"),
    "customer_blocked": HoldReason(Role.SALES, _SOON, "客户受限", "Customer is blocked", core=False),
    "credit_exceeded": HoldReason(Role.FINANCE, _DAY, "超信用额度", "Above the customer's credit", core=False),
    "fx_rate_missing": HoldReason(Role.FINANCE, _SOON, "缺少汇率", "Exchange rate missing"),
    "payment_short": HoldReason(Role.FINANCE, _DAY, "少付", "Paid too little"),
    "payment_over": HoldReason(Role.FINANCE, _DAY, "多付", "Paid too much", refundable=True),
    "payment_currency": HoldReason(Role.FINANCE, _DAY, "付款币种不符", "Paid in another currency", refundable=True),
    "payment_conflict": HoldReason(Role.FINANCE, _DAY, "付款回执矛盾", "A payment was reported with two sums"),
    "payment_method_unknown": HoldReason(Role.FINANCE, _SOON, "支付方式未建档", "Payment method unknown"),
    "change_unpaid": HoldReason(Role.FINANCE, _DAY, "改单待补款", "A change is not paid yet", at_gate=True),
    "customs_data_missing": HoldReason(Role.SERVICE, _DAY, "报关资料缺失", "Customs data is missing"),
    "customs_rejected": HoldReason(Role.SERVICE, _DAY, "报关被退单", "Customs have rejected a document"),
    "group_unknown": HoldReason(Role.OPERATIONS, _SOON, "团购未建档", "The group is not known"),
    "carrier_refused": HoldReason(Role.WAREHOUSE, _SOON, "承运商拒收", "Carrier refused the shipment"),
    "carrier_unavailable": HoldReason(Role.OPERATIONS, _SOON, "承运商不可用", "Carrier cannot be reached"),
    "delivery_overdue": HoldReason(
        Role.SERVICE, _DAY, "签收超时", "Delivery is overdue", refundable=True, resendable=True
    ),
    "delivery_failed": HoldReason(
        Role.SERVICE, _DAY, "包裹丢失或退回", "Parcel lost or returned", refundable=True, resendable=True
    ),
    "parcel_turned_up": HoldReason(Role.SERVICE, _DAY, "已放弃的包裹被签收", "Parcel that was given up has arrived"),
    "picked_up_after_cancel": HoldReason(
        Role.WAREHOUSE, _SOON, "已取消的包裹被揽收", "Parcel collected although it was cancelled"
    ),
    "wait_overdue": HoldReason(Role.OPERATIONS, _DAY, "等待超时", "What was awaited did not come"),
    "invoice_rejected": HoldReason(Role.FINANCE, _DAY, "开票被拒", "Invoice rejected"),
    "invoice_unavailable": HoldReason(Role.OPERATIONS, _SOON, "开票服务不可用", "Invoicing cannot be reached"),
    "return_undecided": HoldReason(Role.SERVICE, _DAY, "退货待审", "Nobody has decided about a return", core=False),
    "posting_failed": HoldReason(Role.FINANCE, _SOON, "记账失败", "Posting failed"),
    "refund_failed": HoldReason(
        Role.FINANCE, _SOON, "退款失败", "Refund failed", above=(Role.OPERATIONS, Role.GM, Role.CEO)
    ),
    "account_mapping_missing": HoldReason(Role.FINANCE, _SOON, "缺少科目映射", "Account mapping missing"),
    "approval_rejected": HoldReason(Role.OPERATIONS, _SOON, "审批未通过", "An approval was rejected or timed out"),
    "review_rejected": HoldReason(Role.FINANCE, _DAY, "财务复核未通过", "Finance review rejected or timed out"),
    "condition_failed": HoldReason(Role.OPERATIONS, _SOON, "条件无法判断", "A condition could not be decided"),
    "no_flow_matches": HoldReason(Role.OPERATIONS, _SOON, "没有适用的流程", "No flow applies"),
    "visits_exhausted": HoldReason(Role.OPERATIONS, _SOON, "步骤重复过多", "A step was visited too often"),
    "workflow_lost": HoldReason(Role.OPERATIONS, _SOON, "流程实例丢失", "Workflow was lost more than once"),
    "step_failed": HoldReason(Role.OPERATIONS, _SOON, "步骤失败", "A step failed", core=False),
    "manual": HoldReason(Role.OPERATIONS, _DAY, "人工挂起", "Held by a person", core=False, at_gate=True),
}


def superiors_of(reason_code: str, owner_role: str) -> tuple[Role, ...]:
    """The roles that an overdue hold goes up to: a further one each time its deadline passes once more."""
    return HOLD_REASONS[reason_code].above or SUPERIORS[Role(owner_role)]
