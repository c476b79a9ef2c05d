"""How many holds were opened on each of the last days, as columns of a small picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from store.listing.holds import OpenedHolds

_HIGHEST: Final = 48


@dataclass(frozen=True, slots=True)
class Column:
    """One day; `height` is in pixels."""

    day: date
    opened: int
    height: int


def columns_of(counts: Sequence[OpenedHolds], last: date, days: int) -> list[Column]:
    """A column for each of the days up to and including the last one, the highest filling the picture."""
    opened = {last - timedelta(days=back): 0 for back in reversed(range(days))}
    for count in counts:
        opened[count.day] = opened.get(count.day, 0) + count.opened
    most = max(opened.values(), default=0)
    return [Column(day, number, number * _HIGHEST // most if most else 0) for day, number in sorted(opened.items())]
