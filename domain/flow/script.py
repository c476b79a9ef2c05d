"""What happens to an order that is only tried: facts, words of people and failures, each at its time."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from domain.flow.approval_node import PersonId
from domain.flow.nodes import Choice
from domain.flow.parts import FlowPart, Name, NodeId, Text, read_duration
from domain.signers import Where

EventName = Literal[
    "payment.full",
    "payment.deposit",
    "payment.balance",
    "shipment.handed_over",
    "shipment.delivered",
    "stock.replenished",
    "customs.cleared",
    "group.complete",
    "approved",
    "rejected",
    "returned",
    "withdrawn",
    "abstained",
    "silence",
    "signer_added",
    "signer_removed",
    "failed",
    "resolved",
]
ANSWERS = frozenset({"approved", "rejected", "returned", "withdrawn", "abstained", "silence"})
SIGNERS = frozenset({"signer_added", "signer_removed"})
FactText = (
    Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True)]
    | Annotated[str, Field(max_length=200)]
    | Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)]
)
FactsSent = Annotated[Mapping[Name, FactText], Field(max_length=100)]
After = Annotated[timedelta, BeforeValidator(read_duration)]


class ScriptedEvent(FlowPart):
    """One thing that happens. Without `after` it comes as soon as its node is reached; without `node`, to whichever
    node waits for such a thing first.

    `by`: whose word it is, a person's or that of whoever has this role; without it everybody's who is asked. `person`,
    `where` and `of`: who is added before, after or beside whom, or taken off the list again.
    """

    after: After | None = None
    node: NodeId | None = None
    event: EventName
    reason: Name | None = None
    choice: Choice | None = None
    target: NodeId | None = None
    by: PersonId | None = None
    person: PersonId | None = None
    where: Where | None = None
    of: PersonId | None = None


class Expectation(FlowPart):
    """What a run has to show: how the order ends (or `held`, `waiting`), and nodes it passes or never sees."""

    result: Name | None = None
    visits: Annotated[tuple[NodeId, ...], Field(max_length=100)] = ()
    avoids: Annotated[tuple[NodeId, ...], Field(max_length=100)] = ()


class Script(FlowPart):
    """A story to try a flow with. What it leaves out goes `smooth` (everybody approves, customers pay, parcels
    arrive), or nobody ever says anything (`silent`)."""

    name: Text = "smooth"
    facts: FactsSent = Field(default_factory=dict)
    events: Annotated[tuple[ScriptedEvent, ...], Field(max_length=200)] = ()
    otherwise: Literal["smooth", "silent"] = "smooth"
    expect: Expectation | None = None

    def unmet(self, result: str, path: tuple[str, ...]) -> list[str]:
        """What was expected and did not come."""
        if self.expect is None:
            return []
        wanted = self.expect.result
        found = [] if wanted in (None, result) else [f"expected to end {wanted}, but it was {result}"]
        found += [f"expected to visit {node}" for node in self.expect.visits if node not in path]
        return found + [f"expected never to visit {node}" for node in self.expect.avoids if node in path]


PLAIN_ORDER: Mapping[str, bool | int | str | list[str]] = {
    "order.type": "normal",
    "order.channel": "web",
    "order.source": "api",
    "order.total_minor": 10_000,
    "order.currency": "CNY",
    "order.item_count": 1,
    "order.categories": [],
    "order.skus": ["SKU-1"],
    "order.has_gift": False,
    "order.country": "CN",
    "order.placed_at": "2026-01-05T02:00:00Z",
    "order.balance_opens_at": "2026-01-12T02:00:00Z",
    "order.balance_closes_at": "2026-01-19T02:00:00Z",
    "order.deposit_refundable": False,
    "order.above_credit": False,
    "order.group_complete": False,
    "customer.id": "C-1",
    "customer.level": "standard",
    "customer.order_count": 0,
    "customer.credit_limit_minor": 0,
    "customer.credit_used_minor": 0,
    "customer.overdue_minor": 0,
    "customer.blacklisted": False,
    "payment.terms": "prepaid",
    "payment.method": "alipay",
    "payment.paid_minor": 0,
    "payment.paid_in_full": False,
    "shipment.returned": False,
    "risk.score": 0,
}
"""What is not said of an order that is only tried: Monday morning in Shanghai, a small order of somebody new."""
