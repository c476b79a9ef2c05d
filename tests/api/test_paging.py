"""Cursors carry values of every kind exactly, and only their own list takes them."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.paging import Keyset
from api.problem import Refused

ORDERS = Keyset("orders", (datetime, str))
AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


def test_a_cursor_brings_back_what_it_was_made_of() -> None:
    assert ORDERS.decode(ORDERS.encode((AT, "SO-1"))) == (AT, "SO-1")
    rates = Keyset("rates", (str, date, int))
    assert rates.decode(rates.encode(("USD", date(2026, 1, 2), 7))) == ("USD", date(2026, 1, 2), 7)
    assert ORDERS.decode(None) is None


@given(st.text())
def test_text_that_we_did_not_make_is_refused(cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        ORDERS.decode(cursor)
    assert refused.value.status == 422
    assert [one.parameter for one in refused.value.errors] == ["cursor"]


@pytest.mark.parametrize(
    "other",
    [
        Keyset("payments", (datetime, str)),
        Keyset("orders", (str, str)),
        Keyset("orders", (datetime,)),
        Keyset("orders", (datetime, int)),
    ],
)
def test_a_list_of_another_name_or_order_refuses_the_cursor(other: Keyset) -> None:
    values = ("x",) * len(other.kinds) if other.name == "orders" else (AT, "SO-1")
    with pytest.raises(Refused):
        ORDERS.decode(other.encode(values))
