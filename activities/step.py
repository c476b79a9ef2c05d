"""What every step of an order takes and returns."""

from dataclasses import dataclass, field

from domain.order import Standing


@dataclass(frozen=True)
class Step:
    """One visit of one node of an order's flow. `ended`: the order had ended when this was asked for."""

    order_no: str
    node: str
    visit: int = 1
    ended: bool = False


@dataclass(frozen=True)
class Fact:
    """A message that came in through the inbox; the row says what it is, the signal only that it is there."""

    order_no: str
    inbox_id: int


@dataclass(frozen=True)
class StepResult:
    """How the order stands after the step. `held` names the reason when the step could not proceed."""

    standing: Standing = field(default_factory=Standing)
    held: str | None = None
    # For facts: what became of it (`applied`, `repeated`, `ignored`, `too_late`).
    outcome: str = "applied"
