"""Sales of any shape, paid, passed and undone in any way."""

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.posting.currency import BookedEntry, Conversion, in_functional_currency
from domain.posting.entry import Entry, Side, balances_of
from domain.posting.position import ControlShare, SalePosition, SaleTotals
from domain.posting.roles import Role
from domain.posting.sale import (
    control_passed,
    deposit_forfeited,
    payment_received,
    refund_approved,
    refund_paid,
    sale_accepted,
)
from domain.posting.settlement import subsidy_returned, subsidy_settled
from domain.pricing import share_of_line

MONEY = (Role.WALLET, Role.BANK, Role.STORED_VALUE)
AMOUNTS = st.integers(min_value=0, max_value=1_000_000)


@st.composite
def sales(draw: st.DrawFn, *, agent: bool = True) -> SalePosition:
    net, tax = draw(AMOUNTS), draw(AMOUNTS)
    consigned = draw(AMOUNTS) if agent else 0
    platform = draw(st.integers(min_value=0, max_value=net + tax + consigned))
    totals = SaleTotals(net + tax + consigned - platform, tax, platform, consigned)
    return SalePosition(totals, tolerance_minor=draw(st.integers(min_value=0, max_value=3)))


@st.composite
def payments(draw: st.DrawFn, sale: SalePosition) -> list[int]:
    """Parts that come to exactly the total, to nearly the total, or to anything."""
    due = sale.totals.total_minor
    near = st.integers(min_value=max(0, due - 5), max_value=due + 5)
    target = draw(st.one_of(st.just(due), near, st.integers(min_value=0, max_value=2 * due + 10)))
    cuts = sorted(draw(st.lists(st.integers(min_value=0, max_value=target), max_size=4)))
    return [upper - lower for lower, upper in zip([0, *cuts], [*cuts, target], strict=True)]


def posted(entries: Iterable[Entry | None]) -> list[Entry]:
    return [entry for entry in entries if entry is not None]


def pay(sale: SalePosition, parts: list[int], roles: tuple[Role, ...] = MONEY) -> tuple[SalePosition, list[Entry]]:
    entries = [sale_accepted(sale)]
    for at, part in enumerate(parts):
        after = sale.paid(part)
        entries.append(payment_received(sale, after, roles[at % len(roles)]))
        sale = after
    return sale, posted(entries)


def shares_of(sale: SalePosition, pieces: int, invoiced: set[int]) -> list[ControlShare]:
    shares = []
    for at in range(pieces):
        net = share_of_line(sale.totals.net_minor, pieces, at, 1)
        tax = share_of_line(sale.totals.tax_minor, pieces, at, 1)
        shares.append(ControlShare(net, tax, tax if at in invoiced else 0))
    return shares


def non_zero(balances: dict[Role, int]) -> dict[Role, int]:
    return {role: minor for role, minor in balances.items() if minor}


@given(st.data())
def test_trial_balance_is_zero_after_every_payment(data: st.DataObject) -> None:
    sale = data.draw(sales())
    _, entries = pay(sale, data.draw(payments(sale)))
    for count in range(len(entries) + 1):
        assert sum(balances_of(entries[:count]).values()) == 0


@given(st.data())
def test_payment_in_any_parts_ends_with_the_balances_of_one_payment(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(payments(sale))
    _, in_parts = pay(sale, data.draw(st.permutations(parts)), (Role.WALLET,))
    _, at_once = pay(sale, [sum(parts)], (Role.WALLET,))
    assert non_zero(balances_of(in_parts)) == non_zero(balances_of(at_once))


@given(st.data())
def test_payment_and_delivery_commute(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(payments(sale))
    share = ControlShare(sale.totals.net_minor, sale.totals.tax_minor)
    paid, first = pay(sale, parts, (Role.BANK,))
    first += control_passed(paid, share)
    second = posted([sale_accepted(sale), *control_passed(sale, share)])
    passed = sale.passed(share)
    for part in parts:
        second += posted([payment_received(passed, passed.paid(part), Role.BANK)])
        passed = passed.paid(part)
    assert non_zero(balances_of(first)) == non_zero(balances_of(second))


@given(st.data())
def test_more_money_never_shrinks_what_is_owed_for_it(data: st.DataObject) -> None:
    sale = data.draw(sales())
    _, entries = pay(sale, data.draw(payments(sale)))
    for entry in entries:
        for line in entry.lines:
            if line.role in {Role.CONTRACT_LIABILITY, Role.OUTPUT_VAT_PENDING, Role.MERCHANT_PAYABLE}:
                assert line.side is Side.CREDIT


@given(st.data())
def test_settled_sale_owes_exactly_its_goods_and_tax(data: st.DataObject) -> None:
    sale = data.draw(sales())
    paid, entries = pay(sale, data.draw(payments(sale)))
    balances = balances_of(entries)
    if paid.is_settled:
        assert -balances.get(Role.CONTRACT_LIABILITY, 0) == sale.totals.net_minor
        assert -balances.get(Role.OUTPUT_VAT_PENDING, 0) == sale.totals.tax_minor
        assert -balances.get(Role.MERCHANT_PAYABLE, 0) == sale.totals.agent_minor
        assert abs(balances.get(Role.ROUNDING, 0)) <= sale.tolerance_minor
    else:
        assert balances.get(Role.ROUNDING, 0) == balances.get(Role.OVERPAYMENT, 0) == 0


@given(st.data(), st.integers(min_value=1, max_value=4))
def test_delivery_in_parts_ends_in_full_revenue_and_no_liability(data: st.DataObject, pieces: int) -> None:
    sale = data.draw(sales(agent=False))
    paid, entries = pay(sale, [sale.totals.total_minor])
    invoiced = data.draw(st.sets(st.integers(min_value=0, max_value=pieces - 1)))
    shares = shares_of(sale, pieces, invoiced)
    position = paid.invoiced(sum(share.tax_invoiced_minor for share in shares))
    for share in shares:
        moved = control_passed(position, share, cost_minor=100)
        position = position.passed(share)
        entries += moved
        balances = balances_of(entries)
        assert balances.get(Role.CONTRACT_LIABILITY, 0) <= 0
        assert -balances.get(Role.REVENUE, 0) <= sale.totals.net_minor
    balances = balances_of(entries)
    assert balances.get(Role.CONTRACT_LIABILITY, 0) == balances.get(Role.RECEIVABLE, 0) == 0
    assert -balances.get(Role.REVENUE, 0) == sale.totals.net_minor
    assert balances[Role.COST_OF_SALES] == -balances[Role.GOODS_IN_TRANSIT] == 100 * pieces
    assert position.tax_due_minor == sale.totals.tax_minor


@given(st.data(), st.integers(min_value=1, max_value=4))
def test_liability_and_receivable_are_never_negative_nor_both_there(data: st.DataObject, pieces: int) -> None:
    sale = data.draw(sales())
    position, _ = pay(sale, data.draw(payments(sale)))
    for share in shares_of(sale, pieces, set()):
        position = position.passed(share)
        balances = position.balances()
        assert balances[Role.CONTRACT_LIABILITY] <= 0 <= balances[Role.RECEIVABLE]
        assert balances[Role.OUTPUT_VAT_PENDING] <= 0
        assert balances[Role.CONTRACT_LIABILITY] == 0 or balances[Role.RECEIVABLE] == 0
        assert sum(balances.values()) == -position.settled_minor


@given(st.data())
def test_full_cancel_leaves_zero_on_every_account(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(payments(sale))
    paid, entries = pay(sale, parts)
    settled = balances_of(entries).get(Role.PLATFORM_RECEIVABLE, 0)
    if data.draw(st.booleans()):
        entries += posted([subsidy_settled(settled), subsidy_returned(settled)])
    entries += posted([refund_approved(paid, paid.cancelled())])
    entries += posted(refund_paid(part, MONEY[at % len(MONEY)]) for at, part in enumerate(parts))
    assert non_zero(balances_of(entries)) == {}


@given(st.data())
def test_lost_deposit_is_all_that_is_left_of_a_sale_that_was_undone(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(payments(sale))
    paid, entries = pay(sale, parts, (Role.WALLET,))
    kept = data.draw(st.integers(min_value=0, max_value=paid.settled_minor))
    entries += posted([deposit_forfeited(paid, kept)])
    lost = paid.forfeited(kept)
    back = lost.settled_minor
    entries += posted(
        [refund_approved(lost, lost.refunded(back)), refund_approved(lost.refunded(back), lost.cancelled())]
    )
    entries += posted([refund_paid(back, Role.WALLET)])
    assert non_zero(balances_of(entries)) == non_zero({Role.WALLET: kept, Role.FORFEITED_DEPOSIT: -kept})


@given(st.data())
def test_return_of_a_delivered_sale_leaves_zero_on_every_account(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(payments(sale))
    paid, entries = pay(sale, parts, (Role.WALLET,))
    share = ControlShare(sale.totals.net_minor, sale.totals.tax_minor)
    entries += control_passed(paid, share)
    passed = paid.passed(share)
    entries += posted([refund_approved(passed, passed.cancelled()), refund_paid(sum(parts), Role.WALLET)])
    assert non_zero(balances_of(entries)) == {}


@given(st.data())
def test_refund_of_an_overpayment_leaves_the_sale_exactly_paid(data: st.DataObject) -> None:
    sale = data.draw(sales())
    paid = sale.paid(sale.totals.total_minor + data.draw(st.integers(min_value=4, max_value=1000)))
    exact = paid.refunded(paid.settled_minor - sale.totals.total_minor)
    entry = refund_approved(paid, exact)
    assert entry is not None
    assert balances_of([entry]) == {
        Role.OVERPAYMENT: paid.settled_minor - exact.settled_minor,
        Role.REFUND_PAYABLE: exact.settled_minor - paid.settled_minor,
    }


def book(entries: list[Entry], conversion: Conversion) -> list[BookedEntry]:
    return [in_functional_currency(one, conversion, balances_of(entries[:at])) for at, one in enumerate(entries)]


@given(
    st.data(),
    st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(20_000), places=6),
    st.sampled_from([("USD", "CNY"), ("JPY", "CNY"), ("CNY", "JPY"), ("KWD", "CNY"), ("CNY", "KWD")]),
)
def test_role_whose_document_balance_is_zero_has_no_base_balance(
    data: st.DataObject, rate: Decimal, pair: tuple[str, str]
) -> None:
    sale = data.draw(sales())
    parts = data.draw(payments(sale))
    paid, entries = pay(sale, parts, (Role.WALLET,))
    entries += posted([refund_approved(paid, paid.cancelled()), refund_paid(sum(parts), Role.WALLET)])
    base: dict[Role, int] = {}
    for booked in book(entries, Conversion(*pair, rate)):
        signs = [1 if line.side is Side.DEBIT else -1 for line in booked.lines]
        assert sum(sign * line.base_minor for sign, line in zip(signs, booked.lines, strict=True)) == 0
        for sign, line in zip(signs, booked.lines, strict=True):
            base[line.role] = base.get(line.role, 0) + sign * line.base_minor
    assert non_zero(base) == {}


@given(st.data())
def test_functional_currency_itself_is_booked_one_to_one(data: st.DataObject) -> None:
    sale = data.draw(sales())
    _, entries = pay(sale, data.draw(payments(sale)))
    for entry, booked in zip(entries, book(entries, Conversion.none("CNY")), strict=True):
        assert [(line.role, line.side, line.minor) for line in booked.lines] == [
            (line.role, line.side, line.minor) for line in entry.lines
        ]
        assert all(line.minor == line.base_minor for line in booked.lines)
