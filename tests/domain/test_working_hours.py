"""Hours of a day as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DomainError
from domain.working_hours import MAX_SPANS, Span, read_hours


def test_hours_are_read_in_their_order_and_written_as_they_were() -> None:
    hours = read_hours(["13:00-18:00", " 09:00 - 12:00 ", "20:00–24:00"])
    assert [str(one) for one in hours] == ["09:00-12:00", "13:00-18:00", "20:00-24:00"]
    assert hours[2] == Span(20 * 60, 24 * 60)
    assert read_hours([]) == ()


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (["9-18"], "span_malformed"),
        (["09:00"], "span_malformed"),
        (["09:60-10:00"], "span_malformed"),
        (["24:00-24:00"], "span_malformed"),
        (["09:00-24:01"], "span_malformed"),
        (["09:00-25:00"], "span_malformed"),
        (["09:00-18:00x"], "span_malformed"),
        (["18:00-09:00"], "span_backwards"),
        (["09:00-09:00"], "span_backwards"),
        (["09:00-12:00", "11:59-18:00"], "spans_overlap"),
        (["09:00-12:00", "09:00-12:00"], "spans_overlap"),
        ([f"{hour:02}:00-{hour:02}:30" for hour in range(MAX_SPANS + 1)], "too_many_spans"),
    ],
)
def test_hours_that_cannot_be_are_refused(written: list[str], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        read_hours(written)
    assert refused.value.code == code


def test_hours_may_touch() -> None:
    assert len(read_hours(["09:00-12:00", "12:00-18:00"])) == 2


@given(st.text(max_size=20))
def test_whatever_is_written_is_hours_or_refused(text: str) -> None:
    try:
        hours = read_hours([text])
    except DomainError:
        return
    assert all(0 <= one.opens < one.closes <= 1440 for one in hours)
