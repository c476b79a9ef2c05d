"""Whether a customer may owe us one more order."""

import pytest

from domain.credit import CreditLine


@pytest.mark.parametrize(
    ("limit", "used", "overdue", "wanted", "exceeded"),
    [
        (10_000, 0, 0, 10_000, False),
        (10_000, 0, 0, 10_001, True),
        (10_000, 4_000, 0, 6_000, False),
        (10_000, 4_001, 0, 6_000, True),
        (10_000, 0, 1, 1, True),
        (0, 0, 0, 1, True),
        (0, 0, 0, 0, False),
    ],
)
def test_credit_is_exceeded_above_the_limit_or_with_anything_overdue(
    limit: int, used: int, overdue: int, wanted: int, exceeded: bool
) -> None:
    assert CreditLine(limit, used, overdue, wanted).is_exceeded is exceeded
