"""Returns: what needs nobody's consent, what may come back, and what the warehouse may take in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.returning import (
    Announced,
    Inspected,
    MoreThanAnnounced,
    NotReturnable,
    ReturnPolicy,
    check_returnable,
    received_of,
    return_number,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = ReturnPolicy(timedelta(days=7), 50_000, timedelta(days=14))


@pytest.mark.parametrize(
    ("worth", "days_ago", "approved"),
    [(49_999, [0], True), (50_000, [0], False), (0, [7], True), (0, [8], False), (1, [1, 8], False), (1, [1, 7], True)],
)
def test_what_is_worth_little_and_came_lately_needs_no_decision(
    worth: int, days_ago: list[int], approved: bool
) -> None:
    assert POLICY.approves(worth, [NOON - timedelta(days=days) for days in days_ago], NOON) is approved


def test_the_same_request_names_the_same_return() -> None:
    number = return_number("SO-1", "A-1")
    assert number == return_number("SO-1", "A-1")
    assert number not in {return_number("SO-1", "A-2"), return_number("SO-2", "A-1")}
    assert (number[:2], len(number)) == ("RT", 18)


def test_no_more_comes_back_than_can() -> None:
    check_returnable({"1": 2}, {"1": 2, "2": 0})
    for wanted in ({"1": 3}, {"2": 1}, {"9": 1}):
        with pytest.raises(NotReturnable):
            check_returnable(wanted, {"1": 2, "2": 0})


def test_a_receipt_says_whether_all_has_come() -> None:
    awaited = [Announced("1", 3, received=1), Announced("2", 1)]
    assert received_of(awaited, [Inspected("1", 1, 1)]) is False
    assert received_of(awaited, [Inspected("1", resellable=1, refused=1), Inspected("2", damaged=1)]) is True


@pytest.mark.parametrize("found", [Inspected("1", 1, 1, 1), Inspected("2", 2), Inspected("9", 1)])
def test_more_than_announced_is_refused(found: Inspected) -> None:
    with pytest.raises(MoreThanAnnounced):
        received_of([Announced("1", 3, received=1), Announced("2", 1)], [found])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=6), st.integers(1, 20))
def test_parcels_that_were_taken_in_never_sum_to_more_than_announced(
    parcels: list[tuple[int, int, int]], quantity: int
) -> None:
    received = 0
    for parcel in parcels:
        found = Inspected("1", *parcel)
        try:
            complete = received_of([Announced("1", quantity, received)], [found])
        except MoreThanAnnounced:
            assert received + found.received > quantity
            continue
        received += found.received
        assert received <= quantity
        assert complete is (received == quantity)
