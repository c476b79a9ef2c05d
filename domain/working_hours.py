"""Hours of work within a day: spans of local minutes, as people write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from domain.errors import DomainError

MAX_SPANS: Final = 10
_DAY: Final = 24 * 60
_WRITTEN: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*[-–]\s*([01][0-9]|2[0-4]):([0-5][0-9])")


class SpanMalformed(DomainError):
    """Hours of work are written as 09:00-18:00, and end at 24:00 at the latest."""

    code = "span_malformed"


class SpanBackwards(DomainError):
    """The hours end before they begin. Work over midnight is two spans, one on either day."""

    code = "span_backwards"


class SpansOverlap(DomainError):
    """Two spans of one day have minutes in common."""

    code = "spans_overlap"


class TooManySpans(DomainError):
    """A day of work has so many spans that no more are taken."""

    code = "too_many_spans"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From one minute of the day to another one, which is not part of it any more; 1440 is the end of the day."""

    opens: int
    closes: int

    @classmethod
    def read(cls, text: str) -> Self:
        """The span that is written as `09:00-18:00`. Raises SpanMalformed, SpanBackwards."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise SpanMalformed("Hours are written as 09:00-18:00, from 00:00 to 24:00")
        opens, closes = (60 * int(found[at]) + int(found[at + 1]) for at in (1, 3))
        if closes > _DAY:
            raise SpanMalformed("Hours are written as 09:00-18:00, from 00:00 to 24:00")
        if opens >= closes:
            raise SpanBackwards("The hours end before they begin; work over midnight is two spans on two days")
        return cls(opens, closes)

    def __str__(self) -> str:
        return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (self.opens, self.closes))


Hours = tuple[Span, ...]
"""The spans of one day, in their order and apart from each other; empty on a day off."""


def read_hours(written: Sequence[str]) -> Hours:
    """The hours of one day. Raises SpanMalformed, SpanBackwards, SpansOverlap, TooManySpans."""
    if len(written) > MAX_SPANS:
        raise TooManySpans(f"A day has at most {MAX_SPANS} spans of work")
    spans = tuple(sorted(Span.read(one) for one in written))
    if any(later.opens < earlier.closes for earlier, later in pairwise(spans)):
        raise SpansOverlap("Two spans of the day have minutes in common")
    return spans
