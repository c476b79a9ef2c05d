"""Which real orders a drafted flow would send another way than the flows in force, and why. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from domain.errors import DomainError
from domain.flow.conditions import compile_condition
from domain.flow.decide import match_flow
from domain.flow.definition import FlowDefinition
from domain.flow.script import Script
from domain.flow.simulate import Trial, TriedStep, simulate
from domain.flow.vocabulary import Facts, FactValue
from domain.working_calendar import BUILT_IN, Calendars

_SMOOTH = Script()
_DECISIONS = frozenset({"branch", "set"})


@dataclass(frozen=True, slots=True)
class Way:
    """The flow an order takes, and its path when everything goes well."""

    flow: str
    version: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedWay:
    """An order that would go another way: `match`: in another flow; `branch`: by a branch; `path`: by other nodes."""

    order_no: str
    before: Way
    after: Way
    why: str
    node: str | None
    detail: str
    # The flow, or the node, that is no longer taken, and the one that is.
    instead: tuple[str, str]

    @property
    def reason(self) -> tuple[str, str | None, str, str]:
        """What it has in common with others: why, at which node, and from where to where."""
        return self.why, self.node, *self.instead


@dataclass
class Backtest:
    """Tries orders one by one, and counts. What was worked out for equal facts is not worked out again."""

    calendars: Calendars = field(default_factory=lambda: BUILT_IN)
    orders: int = 0
    undecided: int = 0
    changes: list[ChangedWay] = field(default_factory=list)
    _trials: dict[tuple[object, ...], Trial] = field(default_factory=dict)
    _read: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def compare(
        self, order_no: str, facts: Facts, live: Sequence[FlowDefinition], drafted: Sequence[FlowDefinition]
    ) -> None:
        """Afterwards this order is counted, and kept if it would go another way."""
        self.orders += 1
        try:
            before, after = match_flow(live, facts), match_flow(drafted, facts)
        except DomainError:
            self.undecided += 1
            return
        if before.fingerprint == after.fingerprint:
            return
        was, now = self._tried(before, facts), self._tried(after, facts)
        if before.key == after.key and _same(was, now):
            return
        self.changes.append(_changed(order_no, (before, was), (after, now)))

    def reasons(self) -> list[tuple[tuple[str, str | None, str, str], int]]:
        """How many orders change for each reason, the most first."""
        return Counter(change.reason for change in self.changes).most_common()

    def _tried(self, flow: FlowDefinition, facts: Facts) -> Trial:
        names = self._read.get(flow.fingerprint)
        if names is None:
            names = self._read[flow.fingerprint] = _facts_read(flow)
        key = (flow.fingerprint, *(_hashable(facts.get(name)) for name in names))
        if key not in self._trials:
            known = {name: facts[name] for name in names if name in facts}
            self._trials[key] = simulate(flow, known, _SMOOTH, self.calendars)
        return self._trials[key]


def replaced(flows: Iterable[FlowDefinition], draft: FlowDefinition) -> list[FlowDefinition]:
    """The flows with the draft in the place of the one that has its key."""
    return [flow for flow in flows if flow.key != draft.key] + [draft]


def _facts_read(flow: FlowDefinition) -> tuple[str, ...]:
    """What the path depends on when everything goes well: facts of conditions, and the terms of payment."""
    texts = (text for node in flow.nodes.values() for _, text in node.conditions())
    read = frozenset[str]().union(*(compile_condition(text).facts for text in texts))
    return tuple(sorted(read | {"payment.terms"}))


def _hashable(value: FactValue | None) -> object:
    return tuple(value) if isinstance(value, list) else value


def _changed(order_no: str, was: tuple[FlowDefinition, Trial], now: tuple[FlowDefinition, Trial]) -> ChangedWay:
    before, after = (Way(flow.key, flow.version, trial.path) for flow, trial in (was, now))
    if before.flow != after.flow:
        match = now[0].match
        instead = (before.flow, after.flow)
        return ChangedWay(order_no, before, after, "match", None, match.when if match else "", instead)
    why, node, detail, instead = _parting(was[1], now[1])
    return ChangedWay(order_no, before, after, why, node, detail, instead)


def _same(was: Trial, now: Trial) -> bool:
    return [step.node for step in _deeds(was)] == [step.node for step in _deeds(now)]


def _deeds(trial: Trial) -> list[TriedStep]:
    """What happens to the order; that it passes one decision more is nothing by itself."""
    return [step for step in trial.steps if step.kind not in _DECISIONS]


def _parting(was: Trial, now: Trial) -> tuple[str, str | None, str, tuple[str, str]]:
    """Why, at which decision or after which node, and what is done there instead of what; empty: nothing."""
    before, after = _deeds(was), _deeds(now)
    pairs = zip_longest(before, after)
    old, new = next(pair for pair in pairs if pair[0] is None or pair[1] is None or pair[0].node != pair[1].node)
    instead = (old.node if old else "", new.node if new else "")
    if new is None or (at := now.steps.index(new)) == 0:
        return "path", None, "", instead
    parting = now.steps[at - 1]
    return "branch" if parting.kind == "branch" else "path", parting.node, parting.detail, instead
