"""What a run of the bench has shown, as text for people and as one line of JSON for programs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cli.bench.histories import Cost
from cli.bench.lives import Lives
from cli.bench.meter import Work, is_relays

_SHOWN_STATEMENTS: Final = 40


@dataclass
class Figures:
    """Measured side by side: orders in rounds (`lives`, `work`), bare workflows between them, and an even load."""

    lives: Lives = field(default_factory=Lives)
    work: Work = field(default_factory=Work)
    bare_count: int = 0
    bare_seconds: float = 0.0
    even: Lives = field(default_factory=Lives)
    costs: Sequence[Cost] = ()
    memory_mb: dict[str, float] = field(default_factory=dict)

    @property
    def orders(self) -> int:
        return len(self.lives.order_nos)

    @property
    def orders_per_second(self) -> float:
        return self.orders / self.lives.seconds

    @property
    def bare_per_second(self) -> float:
        return self.bare_count / self.bare_seconds

    def as_json(self) -> dict[str, Any]:
        """The figures under the names that programs rely on. `accept_ms` is of the even load."""
        return {
            "orders_per_second": round(self.orders_per_second, 2),
            "ratio_to_bare": round(self.orders_per_second / self.bare_per_second, 3),
            "bare_per_second": round(self.bare_per_second, 2),
            "history_events": self._mean("history_events"),
            "workflow_tasks": self._mean("workflow_tasks"),
            "activities": self._mean("activities"),
            "local_activities": self._mean("local_activities"),
            "sql_round_trips": round(self.work.round_trips / self.orders, 1),
            "relay_round_trips": round(self.work.relay_round_trips / self.orders, 1),
            "pages_read": round(sum(self.work.pages.values()) / self.orders),
            "accept_ms": _quantiles([1000 * each for each in self.even.accept_s], 1),
            "life_s": _quantiles(self.lives.life_s, 2),
            "even_life_s": _quantiles(self.even.life_s, 2),
            "cpu_s_per_order": {name: round(spent / self.orders, 4) for name, spent in self.work.cpu_s.items()},
            "memory_mb": {name: round(held) for name, held in self.memory_mb.items()},
        }

    def as_text(self) -> str:
        """The same, a line each, with what the history and the statements of an order were."""
        told = self.as_json()
        lines = [f"{name:<20} {value}" for name, value in told.items()]
        events = sum((cost.events for cost in self.costs), start=type(self.costs[0].events)())
        lines += ["", "events of a history:"]
        lines += [f"  {count / len(self.costs):6.2f}  {name}" for name, count in events.most_common()]
        lines += ["", "statements of an order (count, ms each, pages in all):", *self._statements()]
        return "\n".join(lines)

    def _statements(self) -> list[str]:
        calls = self.work.statements
        return [
            f"  {count / self.orders:6.2f} {self.work.statement_ms[query] / max(count, 1):7.2f}"
            f" {self.work.pages[query] / self.orders:7.1f}  "
            f"{'(relay) ' if is_relays(query) else ''}{' '.join(query.split())[:110]}"
            for query, count in calls.most_common(_SHOWN_STATEMENTS)
        ]

    def _mean(self, name: str) -> float:
        return round(statistics.fmean(getattr(cost, name) for cost in self.costs), 2)


def _quantiles(values: Sequence[float], digits: int) -> dict[str, float]:
    ordered = sorted(values)
    at = {f"p{percent}": ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] for percent in (50, 95, 99)}
    return {name: round(value, digits) for name, value in at.items()}
