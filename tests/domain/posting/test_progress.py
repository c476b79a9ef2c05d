"""How far a line has come: no unit's price passes twice, no unit's VAT falls due twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.posting.position import ControlShare
from domain.posting.progress import LineProgress, together
from domain.pricing import QuantityExceeded


def test_units_that_no_invoice_names_bring_their_vat_point() -> None:
    line = LineProgress(3, net_minor=10_000, tax_minor=1_300, passed=1)
    assert line.passing(2) == ControlShare(6_667, 867)


def test_units_on_an_invoice_have_had_their_vat_point() -> None:
    line = LineProgress(3, net_minor=10_000, tax_minor=1_300, invoiced=2)
    assert line.tax_due_minor == 867
    assert line.passing(3) == ControlShare(10_000, 1_300, tax_invoiced_minor=867)


def test_an_invoice_moves_the_vat_of_units_that_have_not_passed() -> None:
    line = LineProgress(3, net_minor=10_000, tax_minor=1_300, passed=1)
    assert (line.invoicing(1), line.invoicing(3)) == (0, 867)
    invoiced = LineProgress(3, net_minor=10_000, tax_minor=1_300, passed=1, invoiced=3)
    assert invoiced.invoicing(-3) == -867


def test_more_than_was_sold_cannot_pass() -> None:
    with pytest.raises(QuantityExceeded):
        LineProgress(3, net_minor=10_000, tax_minor=1_300, passed=1).passing(3)


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.lists(st.tuples(st.sampled_from(["pass", "invoice"]), st.integers(0, 5)), max_size=12),
)
def test_whatever_comes_first_the_line_passes_whole_and_its_vat_is_due_once(
    net: int, tax: int, moves: list[tuple[str, int]]
) -> None:
    quantity, passed, invoiced, due, shares = 9, 0, 0, 0, [ControlShare(0, 0)]
    for kind, wanted in [*moves, ("invoice", quantity), ("pass", quantity)]:
        line = LineProgress(quantity, net, tax, passed, invoiced)
        if kind == "pass":
            units = min(wanted, quantity - passed)
            share = line.passing(units)
            shares.append(share)
            due += share.tax_minor - share.tax_invoiced_minor
            passed += units
        else:
            units = min(wanted, quantity - invoiced)
            due += line.invoicing(units)
            invoiced += units
        assert due == LineProgress(quantity, net, tax, passed, invoiced).tax_due_minor
    whole = together(shares)
    assert (whole.net_minor, whole.tax_minor, due) == (net, tax, tax)
