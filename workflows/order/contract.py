"""What callers and histories may rely on: ids, queues, and the payloads of the order workflow.

Histories keep these shapes for their whole retention: fields are only ever added, with a default.
"""

from dataclasses import dataclass, field

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.definition import FlowSnapshot

ORDERS_QUEUE = "orders"
CARRIER_QUEUE = "carrier"
EINVOICE_QUEUE = "einvoice"
PAYMENTS_QUEUE = "payments"

FactText = bool | int | str | list[str]


def order_workflow_id(order_no: str) -> str:
    """The id under which the order's workflow runs; one per order, for ever."""
    return f"order/{order_no}"


def order_of_workflow_id(workflow_id: str) -> str:
    """The number of the order whose workflow has this id."""
    return workflow_id.removeprefix("order/")


def follow_up_workflow_id(order_no: str) -> str:
    """The id of the workflow that takes what still comes in for an order that has ended."""
    return f"followup/{order_no}"


@dataclass(frozen=True)
class OrderInput:
    """What an order's workflow needs to begin: no personal data, only facts that decisions are made on."""

    order_no: str
    flow: FlowSnapshot
    facts: dict[str, FactText] = field(default_factory=dict)
    # Facts that an earlier run had heard and not applied yet, by the kind and the number of their inbox rows.
    heard: tuple[tuple[str, int], ...] = ()
    # Whether an earlier run may have done something already.
    begun: bool = False


@dataclass(frozen=True)
class OrderResult:
    """How the order ended: completed, cancelled, rejected or expired."""

    order_no: str
    result: str


@dataclass(frozen=True)
class FactSignal:
    """Names the inbox row that holds the fact. Whoever has no row to name is not heard."""

    inbox_id: int
    message_id: str = ""


@dataclass(frozen=True)
class CancelRequest:
    """Somebody wants the order undone; the inbox row says why (0: nobody said)."""

    request_id: str
    actor: str
    inbox_id: int = 0


@dataclass(frozen=True)
class CancelResult:
    """The order is undone: stock released, money on its way back, books at zero."""

    order_no: str
    lifecycle: str


@dataclass(frozen=True)
class ResolveRequest:
    """A person's choice in the exception lane: retry, skip, cancel, or jump to `target`; the inbox row says why.

    `reasons`: what the person may settle; empty: whatever it is.
    """

    request_id: str
    actor: str
    choice: str
    inbox_id: int = 0
    target: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResolveResult:
    """What was chosen, and the node the order went on from."""

    order_no: str
    choice: str
    node: str


@dataclass(frozen=True)
class HoldRequest:
    """A person wants the order to stay where it is; the inbox row says why."""

    request_id: str
    actor: str
    inbox_id: int


@dataclass(frozen=True)
class HoldResult:
    """The hold that keeps the order from being shipped."""

    order_no: str
    hold_id: str


@dataclass(frozen=True)
class ChangeRequest:
    """A person wants other lines or another address, as they were shown at this version; the inbox row says which."""

    request_id: str
    inbox_id: int
    version: int


@dataclass(frozen=True)
class ChangeResult:
    """The order is as it was asked to be."""

    order_no: str


@dataclass(frozen=True)
class MoveRequest:
    """A person wants an order that is held to go on in another version of its flow; the inbox row says why.

    `nodes`: which node of that version stands for which of the order's own, where their names differ.
    """

    request_id: str
    actor: str
    inbox_id: int
    flow: FlowSnapshot
    nodes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MoveResult:
    """The version that the order goes on in, and where; of branches, from which node to which each has gone over."""

    order_no: str
    version: int
    node: str
    branches: dict[str, str] = field(default_factory=dict)


# How a fact of each inbox kind reaches the workflow.
SIGNALS = {
    "payment.settled": "payment_settled",
    "parcel.scanned": "parcel_scanned",
    "stock.replenished": "stock_replenished",
    "order.adjusted": "order_adjusted",
    "approval.decided": "approval_decided",
    "hold.decided": "hold_decided",
    "customs.reported": "customs_cleared",
    "group.completed": "group_completed",
}
