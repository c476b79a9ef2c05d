import pytest

from domain.errors import DomainError
from domain.money import InvalidAmount
from domain.posting.entry import Entry, Line, Movement, Side, UnbalancedEntry, balances_of, dr, entry_of, reversal_of
from domain.posting.position import ControlShare, ImpossiblePosition, SalePosition, SaleTotals
from domain.posting.roles import PaymentCategory, Role
from domain.posting.sale import control_passed, payment_received, refund_approved, sale_accepted
from domain.posting.settlement import gateway_settled

SALE = SalePosition(SaleTotals(total_minor=11300, tax_minor=1300), tolerance_minor=1)


def line(role: Role, side: Side, minor: int) -> Line:
    return Line(role, side, minor)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (line(Role.BANK, Side.DEBIT, 1),),
        (line(Role.BANK, Side.DEBIT, 2), line(Role.WALLET, Side.CREDIT, 1)),
        (line(Role.BANK, Side.DEBIT, 0), line(Role.WALLET, Side.CREDIT, 0)),
        (line(Role.BANK, Side.DEBIT, -1), line(Role.WALLET, Side.CREDIT, -1)),
    ],
    ids=["empty", "one line", "unequal", "zero lines", "negative lines"],
)
def test_entry_that_does_not_balance_cannot_be_made(lines: tuple[Line, ...]) -> None:
    with pytest.raises(UnbalancedEntry) as refused:
        Entry("anything", lines)
    assert refused.value.code == "unbalanced_entry"
    assert refused.value.facts == {"event": "anything"}


def test_movements_of_one_role_are_merged_and_zeros_dropped() -> None:
    entry = entry_of(
        "merged", Movement(Role.WALLET, -5), Movement(Role.BANK, 3), Movement(Role.BANK, 2), Movement(Role.ROUNDING, 0)
    )
    assert entry == Entry("merged", (line(Role.BANK, Side.DEBIT, 5), line(Role.WALLET, Side.CREDIT, 5)))


def test_movements_that_cancel_out_post_nothing() -> None:
    assert entry_of("nothing", Movement(Role.BANK, 3), Movement(Role.BANK, -3)) is None


def test_one_sided_movements_are_refused() -> None:
    with pytest.raises(UnbalancedEntry):
        entry_of("half", Movement(Role.BANK, 3))


def test_negative_debit_is_refused() -> None:
    with pytest.raises(InvalidAmount):
        dr(Role.BANK, -1)


def test_reversal_and_original_leave_nothing() -> None:
    entry = gateway_settled(11300, 68)
    assert entry is not None
    assert set(balances_of([entry, reversal_of(entry, "undone")]).values()) == {0}


def test_payment_of_nothing_posts_nothing() -> None:
    assert payment_received(SALE, SALE.paid(0), Role.WALLET) is None


def test_payment_cannot_be_negative() -> None:
    with pytest.raises(InvalidAmount):
        payment_received(SALE.paid(100), SALE, Role.WALLET)


def test_fee_cannot_exceed_what_was_received() -> None:
    with pytest.raises(InvalidAmount):
        payment_received(SALE, SALE.paid(100), Role.BANK, fee_minor=101)
    with pytest.raises(InvalidAmount):
        gateway_settled(100, 101)


def test_refund_cannot_be_negative_or_more_than_was_paid() -> None:
    with pytest.raises(InvalidAmount):
        refund_approved(SALE, SALE.paid(1))
    with pytest.raises(ImpossiblePosition):
        SALE.paid(100).refunded(101)


def test_more_cannot_pass_than_was_sold() -> None:
    with pytest.raises(ImpossiblePosition):
        control_passed(SALE, ControlShare(net_minor=10001, tax_minor=1300))


@pytest.mark.parametrize(
    "impossible",
    [{"total_minor": -1, "tax_minor": 0}, {"total_minor": 100, "tax_minor": 101}],
    ids=["negative", "more tax than price"],
)
def test_totals_that_cannot_be_are_refused(impossible: dict[str, int]) -> None:
    with pytest.raises(DomainError):
        SaleTotals(**impossible)


def test_nothing_paid_is_not_settled_even_within_the_tolerance() -> None:
    one_cent = SalePosition(SaleTotals(total_minor=1, tax_minor=0), tolerance_minor=1)
    assert not one_cent.is_settled
    assert set(one_cent.balances().values()) == {0}


def test_sale_a_platform_pays_alone_is_owed_from_the_start() -> None:
    free = SalePosition(SaleTotals(total_minor=0, tax_minor=1300, platform_minor=11300))
    entry = sale_accepted(free)
    assert entry is not None
    assert balances_of([entry]) == {
        Role.PLATFORM_RECEIVABLE: 11300,
        Role.CONTRACT_LIABILITY: -10000,
        Role.OUTPUT_VAT_PENDING: -1300,
    }
    assert sale_accepted(SALE) is None


def test_customer_owes_only_his_part_of_unpaid_goods_and_the_platform_its_own() -> None:
    sale = SalePosition(SaleTotals(total_minor=9300, tax_minor=1300, platform_minor=2000))
    balances = sale.passed(ControlShare(10000, 1300)).balances()
    assert balances[Role.RECEIVABLE] == 9300
    assert balances[Role.PLATFORM_RECEIVABLE] == 2000


@pytest.mark.parametrize(
    ("settled", "rounding", "overpaid", "liability"),
    [
        (11298, 0, 0, 11298),
        (11299, 1, 0, 11300),
        (11300, 0, 0, 11300),
        (11301, -1, 0, 11300),
        (11302, 0, 2, 11300),
    ],
    ids=["short", "short within tolerance", "exact", "over within tolerance", "over"],
)
def test_difference_within_the_tolerance_is_written_off(
    settled: int, rounding: int, overpaid: int, liability: int
) -> None:
    balances = SALE.paid(settled).balances()
    assert balances[Role.ROUNDING] == rounding
    assert -balances[Role.OVERPAYMENT] == overpaid
    assert -balances[Role.CONTRACT_LIABILITY] - balances[Role.OUTPUT_VAT_PENDING] == liability


@pytest.mark.parametrize(
    ("category", "debit_role", "receivable_role"),
    [
        (PaymentCategory.ONLINE, Role.WALLET, Role.RECEIVABLE),
        (PaymentCategory.OFFLINE_TRANSFER, Role.BANK, Role.RECEIVABLE),
        (PaymentCategory.ON_CREDIT, Role.BANK, Role.RECEIVABLE),
        (PaymentCategory.CASH_ON_DELIVERY, Role.BANK, Role.COD_RECEIVABLE),
        (PaymentCategory.COLLECTED_FOR_OTHERS, Role.WALLET, Role.RECEIVABLE),
        (PaymentCategory.STORED_VALUE, Role.STORED_VALUE, Role.RECEIVABLE),
    ],
)
def test_payment_category_names_its_roles(category: PaymentCategory, debit_role: Role, receivable_role: Role) -> None:
    assert category.debit_role is debit_role
    assert category.receivable_role is receivable_role
