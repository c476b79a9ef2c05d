"""An order's story as a picture: a lane for each subject, a dot for each event, and the time that lies between them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api.orders.story import EventView
from console.tones import lane_of

LANES: Final = ("order", "people", "money", "goods", "books")
_TROUBLE: Final = ("held", "refused", "rejected", "failed", "declined", "escalated", "lost", "expired", "ignored")
_LEFT, _TOP, _LANE, _WIDTH = 104, 34, 42, 1000
_NARROWEST, _WIDEST = 30, 110
# Where dots are this far from each other, their names fit between them.
_NAMED: Final = 60
# Beyond this the picture would be nothing but dots.
_MOST: Final = 60
_WORTH_TELLING: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Dot:
    """An event's place. `bad`: something went wrong there; `label_y`: where its name stands."""

    x: int
    y: int
    lane: str
    kind: str
    seq: int
    at: datetime
    bad: bool
    label_y: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Time that passed between two events."""

    x: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn; `left_out`: how many events from the beginning are not."""

    width: int
    height: int
    lanes: Sequence[tuple[str, int]]
    dots: Sequence[Dot]
    gaps: Sequence[Gap]
    left_out: int
    named: bool

    @property
    def path(self) -> str:
        """The line through all dots."""
        return " ".join(f"{'L' if index else 'M'}{dot.x},{dot.y}" for index, dot in enumerate(self.dots))


def picture_of(events: Sequence[EventView]) -> Picture:
    """The latest events from left to right, each in the lane of its subject."""
    drawn = events[-_MOST:]
    lanes = [(lane, _TOP + _LANE * index) for index, lane in enumerate(LANES)]
    heights = dict(lanes)
    step = min(max((_WIDTH - _LEFT) // max(len(drawn), 1), _NARROWEST), _WIDEST)
    dots: list[Dot] = []
    for index, event in enumerate(drawn):
        dots.append(_dot(event, _LEFT + step * index, heights, dots[-1] if dots else None))
    gaps = [
        Gap((earlier.x + later.x) // 2, (later.at - earlier.at).total_seconds())
        for earlier, later in itertools.pairwise(dots)
        if later.at - earlier.at >= _WORTH_TELLING
    ]
    size = (max(_WIDTH, _LEFT + step * len(dots)), _TOP + _LANE * len(LANES) - 6)
    return Picture(*size, lanes, dots, gaps, len(events) - len(drawn), named=step >= _NAMED)


def is_trouble(kind: str) -> bool:
    """Whether the event tells of something that went wrong."""
    return any(word in kind for word in _TROUBLE) and not kind.endswith("resolved")


def _dot(event: EventView, x: int, heights: dict[str, int], before: Dot | None) -> Dot:
    lane = lane_of(event.kind)
    y = heights[lane]
    # Neighbours of one lane have their names on different sides of it.
    above = before is not None and before.lane == lane and before.label_y > y
    return Dot(x, y, lane, event.kind, event.seq, event.at, is_trouble(event.kind), y - 10 if above else y + 18)
