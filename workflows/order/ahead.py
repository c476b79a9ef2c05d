"""What lies ahead of an order and can be done in one go: one event of its history instead of one for each step.

Nodes do not know. They ask for their step as ever, and find it done; what was not done is done then, by itself.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.advance import CLOSE, WAIT, AdvanceInput, AdvanceResult, Ahead
    from activities.orders import CloseInput, WaitInput
    from activities.step import Step, StepResult
    from domain.flow.definition import FlowDefinition
    from domain.flow.nodes import ActionNode, EndNode, Node, WaitNode

# Steps that only our database has a say in, and those of outside parties that mostly answer at once.
_DATABASE: Final = frozenset({"order.check", "stock.reserve", "credit.check", "revenue.recognise"})
_PARTIES: Final = frozenset({"shipping.create", "invoice.issue"})
AT_ONCE: Final = _DATABASE | _PARTIES
# Facts by which what an order waits for may have happened.
FULFILLING: Final = frozenset({"payment.settled", "parcel.scanned"})
_MOST: Final = 8


@dataclass(frozen=True)
class Found:
    """The answer to a step that was done ahead: what came of it, or the code with which it was refused."""

    of: Ahead
    result: StepResult | None = None
    deadline: datetime | None = None
    refused: str = ""


class DoneAhead:
    """Answers that the story has not come to yet. Once it goes another way they are forgotten."""

    def __init__(self) -> None:
        self._found: deque[Found] = deque()

    def keep(self, asked: AdvanceInput, answer: AdvanceResult) -> None:
        """Takes over what was done of what was asked."""
        self.forget()
        for one, result in zip(asked.ahead, answer.done, strict=False):
            self._found.append(Found(one, result, answer.deadline))
        if answer.refused and len(answer.done) < len(asked.ahead) and (answer.fact is not None or not asked.kind):
            self._found.append(Found(asked.ahead[len(answer.done)], refused=answer.refused))

    def entered(self, node: str, visit: int) -> None:
        """The story has come to this visit of the node."""
        if self._found and not self._is_next(node, visit):
            self.forget()

    def take(self, name: str, node: str, visit: int) -> Found | None:
        """The answer for this visit of the node, once; None: it was not done ahead."""
        if self._found and self._is_next(node, visit) and self._found[0].of.name == name:
            return self._found.popleft()
        return None

    def has(self, node: str, visit: int) -> bool:
        """Whether this visit of the node was done ahead."""
        return bool(self._found) and self._is_next(node, visit)

    def forget(self) -> None:
        """Afterwards every step is asked for by itself."""
        self._found.clear()

    def _is_next(self, node: str, visit: int) -> bool:
        step = self._found[0].of.step
        return (step.node, step.visit) == (node, visit)


@dataclass(frozen=True)
class Outlook:
    """Where an order is in its flow, as far as it matters for what lies ahead."""

    order_no: str
    flow: FlowDefinition
    visits: dict[str, int]
    sent_back: dict[str, int]
    visits_before: dict[str, int]
    changing: bool
    may_close: bool
    # The latest event of the order that its workflow knows of.
    version: int = 0

    def from_node(self, start: str, *, entered: bool) -> tuple[Ahead, ...]:
        """What can be done in one go from this node on; `entered`: its visit is counted already."""
        return tuple(self._chain(start, entered))

    def _chain(self, at: str, entered: bool) -> Iterator[Ahead]:
        seen: set[str] = set()
        while at not in seen and len(seen) < _MOST:
            seen.add(at)
            node = self.flow.nodes[at]
            visit = self.visits.get(at, 0) + (not entered)
            limit = node.max_visits
            if not entered and limit is not None and visit > limit + self.sent_back.get(at, 0):
                return
            entered = False
            one = self._ahead(at, visit, node)
            if one is None:
                return
            yield one
            if not isinstance(node, ActionNode):
                return
            at = node.next

    def _ahead(self, at: str, visit: int, node: Node) -> Ahead | None:
        step = Step(self.order_no, at, visit)
        match node:
            case ActionNode() if node.action in AT_ONCE and not (self.changing and node.action in _PARTIES):
                return Ahead(node.action, step)
            case WaitNode() if node.timeout_at is None:
                keep, anew = node.timeout or timedelta(0), visit - self.visits_before.get(at, 0)
                return Ahead(WAIT, step, wait=WaitInput(self.order_no, at, anew, node.event, keep))
            case EndNode() if self.may_close:
                return Ahead(CLOSE, step, close=CloseInput(self.order_no, str(node.result), self.version))
        return None


def is_worth_it(ahead: tuple[Ahead, ...]) -> bool:
    """Whether one go saves anything: a single step of our own database costs as much by itself."""
    return len(ahead) > 1 or any(one.name in _PARTIES for one in ahead)


def packs(ahead: tuple[Ahead, ...]) -> bool:
    """Whether parcels are made on the way."""
    return any(one.name == "shipping.create" for one in ahead)


def closes(ahead: tuple[Ahead, ...]) -> bool:
    """Whether the order may be closed at the end of it."""
    return any(one.close is not None for one in ahead)
