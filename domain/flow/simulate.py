"""A flow followed on paper: facts and a script in, the path out. No clock but the script's, and no effect."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain.approval import ApprovalState, outcome_of
from domain.flow.acting import Part, part_in, staff_for
from domain.flow.approval_node import ApprovalNode
from domain.flow.conditions import ConditionFailed
from domain.flow.decide import decide
from domain.flow.definition import FlowDefinition
from domain.flow.nodes import (
    ActionNode,
    BranchNode,
    Choice,
    CompensateNode,
    EndNode,
    ExceptionNode,
    NotifyNode,
    TimerNode,
    WaitNode,
)
from domain.flow.parallel import leaves
from domain.flow.parts import NodeBase
from domain.flow.script import PLAIN_ORDER, Script, ScriptedEvent
from domain.flow.structure_nodes import ParallelNode, SetNode
from domain.flow.vocabulary import FactValue
from domain.rehearsal import Rehearsal
from domain.working_calendar import BUILT_IN, Calendars

MAX_STEPS = 1000
LANE = "exception_lane"
_NOTHING = timedelta(0)
# Terms under which nothing has to be paid before shipment: the wait for it is met at once.
_NOTHING_FIRST = frozenset({"on_credit", "cash_on_delivery", "none"})
_PAID = frozenset({"payment.full", "payment.balance"})


@dataclass(frozen=True, slots=True)
class TriedStep:
    """One visit of a node: when it was entered and left, along which link, and why."""

    node: str
    kind: str
    visit: int
    after: timedelta
    left_after: timedelta
    outcome: str
    field: str
    to: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """Where a tried order went: its end, `held` at a lane or `waiting` for what never comes."""

    result: str
    at: str
    ended_after: timedelta
    steps: tuple[TriedStep, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """The nodes in the order in which they were entered."""
        return tuple(step.node for step in self.steps)


def simulate(
    flow: FlowDefinition, facts: Mapping[str, FactValue], script: Script, calendars: Calendars = BUILT_IN
) -> Trial:
    """The path of an order with these facts; the same for the same arguments. Facts left out are a plain order's."""
    trial = _Walk(flow, {**PLAIN_ORDER, **facts, **script.facts}, script, calendars)
    return trial.walk()


@dataclass(frozen=True, slots=True)
class _Left:
    """How a node is left; `stays`: the order goes no further."""

    field: str
    to: str
    outcome: str
    detail: str = ""
    stays: str = ""


@dataclass
class _Walk:
    flow: FlowDefinition
    facts: dict[str, FactValue]
    script: Script
    calendars: Calendars
    now: timedelta = _NOTHING
    failed_at: str = ""
    visits: dict[str, int] = field(default_factory=dict)
    sent_back: dict[str, int] = field(default_factory=dict)
    steps: list[TriedStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left_over = list(self.script.events)
        self.placed_at = _moment(self.facts["order.placed_at"])

    def walk(self) -> Trial:
        at = self.flow.start
        while len(self.steps) < MAX_STEPS:
            left = self._step(at)
            if left.stays:
                return Trial(left.stays, at, self.now, tuple(self.steps))
            at = left.to
        return Trial("endless", at, self.now, tuple(self.steps))

    def _step(self, at: str) -> _Left:
        """Visits the node; what is on record of it is in the order in which nodes are entered."""
        node, entered, mine = self._node_at(at), self.now, len(self.steps)
        if node is None:
            return _Left("", "", "failed", stays="broken")
        self.visits[at] = self.visits.get(at, 0) + 1
        visit = self.visits[at]
        left = self._too_often(at, node) or self._leave(at, node)
        kind = str(getattr(node, "kind", ""))
        seen = TriedStep(at, kind, visit, entered, self.now, left.outcome, left.field, left.to, left.detail)
        self.steps.insert(mine, seen)
        return left

    def _parallel(self, node: ParallelNode) -> _Left:
        """Branch after branch, each from the same moment on; the last one to come to the join says when it goes on."""
        began, ended, taken = self.now, self.now, list[tuple[timedelta, _Left]]()
        for branch in node.branches:
            at, self.now = branch.start, began
            left = _Left("", at, "done")
            while at != node.next and not leaves(self._node_at(at)) and len(self.steps) < MAX_STEPS:
                left = self._step(at)
                if left.stays:
                    return left
                at = left.to
            ended = max(ended, self.now)
            if at != node.next:
                taken.append((self.now, left))
        if taken:
            self.now, left = min(taken, key=lambda one: one[0])
            return _Left("", left.to, left.outcome, left.detail)
        self.now = ended
        return _Left("next", node.next, "done", f"{len(node.branches)} branches")

    def _node_at(self, at: str) -> NodeBase | None:
        if at == LANE:
            return ExceptionNode(kind="exception", choices=(Choice.RETRY, Choice.CANCEL))
        return self.flow.nodes.get(at)

    def _too_often(self, at: str, node: NodeBase) -> _Left | None:
        if node.max_visits is None or self.visits[at] <= node.max_visits + self.sent_back.get(at, 0):
            return None
        self.visits[at] -= 1
        self.failed_at = at
        return _Left("", LANE, "failed", "visits_exhausted")

    def _leave(self, at: str, node: NodeBase) -> _Left:
        match node:
            case ActionNode():
                return self._act(at, node)
            case ApprovalNode():
                return self._ask(at, node)
            case BranchNode():
                return self._branch(at, node)
            case WaitNode():
                return self._wait(at, node)
            case ParallelNode():
                return self._parallel(node)
            case ExceptionNode():
                return self._held(at, node)
            case EndNode():
                return _Left("", "", "ended", stays=str(node.result))
            case TimerNode() | NotifyNode() | SetNode() | CompensateNode():
                return _Left("next", node.next, "done", self._passed(node))
        raise AssertionError(f"no way to try a node of this kind: {node}")

    def _passed(self, node: TimerNode | NotifyNode | SetNode | CompensateNode) -> str:
        """What a node does that always goes on."""
        match node:
            case TimerNode():
                until = self.now + node.duration if node.duration is not None else self._fact_after(node.until or "")
                self.now = max(self.now, until)
                return "the time has come"
            case NotifyNode():
                return f"{node.event} to {', '.join(node.audience)}"
            case SetNode():
                said = {name: list(value) if isinstance(value, tuple) else value for name, value in node.values.items()}
                self.facts.update(said)
                return ", ".join(f"{name} = {value}" for name, value in said.items())
            case CompensateNode():
                return "everything done so far is undone"

    def _act(self, at: str, node: ActionNode) -> _Left:
        failure = self._take(at, frozenset({"failed"}), until=None)
        if failure is None:
            return _Left("next", node.next, "done", node.action)
        self.failed_at = at
        lane = ("on_error", node.on_error) if node.on_error else ("", LANE)
        return _Left(*lane, "failed", failure.reason or "step_failed")

    def _branch(self, at: str, node: BranchNode) -> _Left:
        try:
            decision = decide(node, self.facts)
        except ConditionFailed as failed:
            self.failed_at = at
            return _Left("", LANE, "failed", failed.detail or failed.code)
        taken = next((f"{way.field}.next" for way in node.ways if way.label == decision.label), "default")
        why = f"{decision.label}: {decision.when}" if decision.when else decision.label
        return _Left(taken, decision.next, "done", why)

    def _wait(self, at: str, node: WaitNode) -> _Left:
        limit = self.now + node.timeout if node.timeout is not None else self._fact_after(node.timeout_at or "")
        met_by_terms = node.event in _PAID and self.facts.get("payment.terms") in _NOTHING_FIRST
        if met_by_terms:
            return _Left("next", node.next, "done", "met by the terms of payment")
        held = self._take(at, frozenset({"failed"}), until=limit)
        if held is not None:
            self.failed_at = at
            lane = ("on_error", node.on_error) if node.on_error else ("", LANE)
            return _Left(*lane, "failed", held.reason or "step_failed")
        come = self._take(at, frozenset({node.event}), until=limit)
        if come is None and self.script.otherwise == "smooth" and not self._is_scripted(at, node.event):
            come = ScriptedEvent(event=node.event)
        if come is None:
            self.now = max(self.now, limit)
            self.failed_at = at
            return _Left("on_timeout", node.on_timeout, "timed out", node.event)
        self._happened(node.event)
        return _Left("next", node.next, "done", node.event)

    def _happened(self, event: str) -> None:
        if event in _PAID:
            self.facts["payment.paid_in_full"] = True
            self.facts["payment.paid_minor"] = self.facts["order.total_minor"]

    def _ask(self, at: str, node: ApprovalNode) -> _Left:
        played = self._play(node, part_in(self.left_over, at, self.now, smooth=self.script.otherwise == "smooth"))
        outcome, detail = outcome_of(played.state, node.on_exhausted), f"{played.state.value} on level {played.level}"
        if played.state is ApprovalState.TIMED_OUT:
            detail = f"timed out after {played.level + 1} levels"
        if outcome == "approved" and node.grants == "credit":
            self.facts["order.above_credit"] = False
        to = node.leads_to(outcome)
        if isinstance(self._node_at(to), ExceptionNode):
            self.failed_at = at
        return _Left(f"outcomes.{outcome}", to, outcome, detail)

    def _play(self, node: ApprovalNode, part: Part) -> Rehearsal:
        """The approval as it ends; the clock goes on to that moment."""
        people, at = staff_for(self.flow, self.script), self.placed_at + self.now
        played = Rehearsal.opened(node, people, at, calendars=self.calendars)
        part.go_along(played, self.placed_at + self.now)
        while played.is_open:
            ends = played.times.deadline - self.placed_at
            event = next((one for one in part.coming if (one.after or self.now) <= ends), None)
            self.now = max(self.now, (event.after or self.now) if event else ends)
            if event is not None:
                part.play(played, event, self.placed_at + self.now)
            else:
                played.escalate(self.placed_at + self.now)
            part.go_along(played, self.placed_at + self.now)
        return played

    def _held(self, at: str, node: ExceptionNode) -> _Left:
        chosen = self._take(self.failed_at, frozenset({"resolved"}), until=None) or self._take(
            at, frozenset({"resolved"}), until=None
        )
        if chosen is None or chosen.choice is None or chosen.choice not in node.choices:
            return _Left("", "", "held", "nobody chooses", stays="held")
        match chosen.choice:
            case Choice.CANCEL:
                return _Left("", "", "cancel", "everything is undone", stays="cancelled")
            case Choice.JUMP if chosen.target in node.targets:
                to, taken = chosen.target or "", f"targets[{node.targets.index(chosen.target or '')}]"
            case Choice.SKIP if (skipped := self._after_skipped()) is not None:
                to, taken = skipped, ""
            case Choice.RETRY:
                to, taken = self.failed_at, ""
            case _:
                return _Left("", "", "held", f"{chosen.choice} is not offered here", stays="held")
        if chosen.choice is not Choice.SKIP:
            self.sent_back[to] = self.sent_back.get(to, 0) + 1
        return _Left(taken, to, chosen.choice.value, f"somebody chooses {chosen.choice.value}")

    def _after_skipped(self) -> str | None:
        node = self.flow.nodes.get(self.failed_at)
        return node.next if isinstance(node, ActionNode) and node.skippable else None

    def _take(self, at: str, wanted: frozenset[str], until: timedelta | None) -> ScriptedEvent | None:
        """The first scripted thing of these kinds for this node, in time; the clock goes on to when it comes."""
        fitting = [one for one in self._for_node(at, wanted) if until is None or (one.after or _NOTHING) <= until]
        if not fitting:
            return None
        found = min(fitting, key=lambda one: one.after or _NOTHING)
        self.left_over.remove(found)
        self.now = max(self.now, found.after or _NOTHING)
        return found

    def _for_node(self, at: str, wanted: frozenset[str]) -> Iterator[ScriptedEvent]:
        return (one for one in self.left_over if one.event in wanted and one.node in (None, at))

    def _is_scripted(self, at: str, *events: str) -> bool:
        """Whether the script says anything of these kinds to this node, later than it is of use included."""
        return any(True for _ in self._for_node(at, frozenset(events)))

    def _fact_after(self, fact: str) -> timedelta:
        return max(_moment(self.facts.get(fact, "")) - self.placed_at, self.now)


def _moment(value: FactValue) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return datetime(2026, 1, 5, 2, tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
