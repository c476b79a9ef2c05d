"""Whole sales, event by event, against the accounts and amounts an accountant expects. 113.00 is 100.00 and 13% VAT."""

from collections.abc import Iterable
from decimal import Decimal

import pytest

from domain.posting.currency import Conversion, in_functional_currency
from domain.posting.entry import Entry, balances_of
from domain.posting.position import ControlShare, SalePosition, SaleTotals
from domain.posting.roles import DEFAULT_ACCOUNTS, PaymentCategory, Role
from domain.posting.sale import (
    commission_earned,
    compensation_absorbed,
    compensation_granted,
    consignor_paid_out,
    control_passed,
    courier_remitted,
    deposit_forfeited,
    invoice_issued,
    payment_received,
    refund_approved,
    refund_paid,
)
from domain.posting.settlement import gateway_settled, subsidy_settled
from domain.posting.stock import (
    count_difference,
    gift_delivered,
    goods_handed_over,
    goods_restocked,
    goods_returned_damaged,
    sample_sent,
    stock_received,
)
from domain.pricing import Discount, FundedBy, OrderLineValue, SoldAs, price_order

Posted = Iterable[Entry | None] | Entry | None

SALE = SalePosition(SaleTotals(total_minor=11300, tax_minor=1300), tolerance_minor=1)
PAID = SALE.paid(11300)
LOST = SALE.paid(3390).forfeited(3390)
ALL = ControlShare(net_minor=10000, tax_minor=1300)
CREDIT_PASSED = SALE.passed(ALL)


def sold(*discounts: Discount) -> SalePosition:
    line = OrderLineValue("1", "SKU-1", 1, 11300, Decimal("0.13"))
    return SalePosition(SaleTotals.of(price_order([line], discounts, 0)), tolerance_minor=1)


OWN_COUPON = sold(Discount("coupon", "OWN", 2000, FundedBy.SELLER))
PLATFORM_COUPON = sold(Discount("coupon", "THEIRS", 2000, FundedBy.PLATFORM))
OWN_SHARE = ControlShare(net_minor=8230, tax_minor=1070)
INVOICED_SHARE = ControlShare(net_minor=10000, tax_minor=1300, tax_invoiced_minor=1300)
COD = SalePosition(SALE.totals, tolerance_minor=1, receivable=Role.COD_RECEIVABLE)
CONSIGNED = SalePosition(SaleTotals(total_minor=11300, tax_minor=0, agent_minor=11300), tolerance_minor=1)
CONCEDED = SaleTotals(total_minor=10170, tax_minor=1170)
CREDIT_CONCEDED = SalePosition(CONCEDED, 1).passed(ControlShare(9000, 1170))


def revenue(before: SalePosition, share: ControlShare) -> list[Entry]:
    return [entry for entry in control_passed(before, share) if entry.event == "revenue_recognised"]


def vat_point(before: SalePosition, share: ControlShare) -> list[Entry]:
    return [entry for entry in control_passed(before, share) if entry.event == "vat_point_reached"]


def cost(goods_from: Role) -> list[Entry]:
    entries = control_passed(PAID, ALL, cost_minor=6000, goods_from=goods_from)
    return [entry for entry in entries if entry.event == "cost_recognised"]


def credited(sale: SalePosition, minor: int) -> Entry | None:
    return payment_received(sale, sale.paid(minor), PaymentCategory.EXCHANGE_CREDIT.debit_role)


DEARER = SalePosition(SaleTotals(total_minor=22600, tax_minor=2600), tolerance_minor=1)
CHEAPER = SalePosition(SaleTotals(total_minor=5650, tax_minor=650), tolerance_minor=1)
PAID_FULL = payment_received(SALE, PAID, Role.WALLET)
COST_AT_ONCE = cost(Role.INVENTORY)
COST_FROM_TRANSIT = cost(Role.GOODS_IN_TRANSIT)

ROWS: list[tuple[str, Posted]] = [
    ("P1 paid|Dr 1012.01 113.00|Cr 2204 100.00|Cr 2221.06 13.00", PAID_FULL),
    ("P1 shipped|Dr 1406 60.00|Cr 1405 60.00", goods_handed_over(6000)),
    ("P1 revenue|Dr 2204 100.00|Cr 6001.01 100.00", revenue(PAID, ALL)),
    ("P1 VAT point|Dr 2221.06 13.00|Cr 2221.01.01 13.00", vat_point(PAID, ALL)),
    ("P1 cost|Dr 6401 60.00|Cr 1406 60.00", COST_FROM_TRANSIT),
    ("P1 settled|Dr 1002 112.32|Dr 6601.fee 0.68|Cr 1012.01 113.00", gateway_settled(11300, 68)),
    ("P1b paid|Dr 1012.01 113.00|Cr 2204 100.00|Cr 2221.06 13.00", PAID_FULL),
    ("P1b invoiced|Dr 2221.06 13.00|Cr 2221.01.01 13.00", invoice_issued(1300)),
    ("P1b delivered|Dr 2204 100.00|Cr 6001.01 100.00", control_passed(PAID.invoiced(1300), INVOICED_SHARE)),
    ("P1b cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    ("P1b settled|Dr 1002 113.00|Cr 1012.01 113.00", gateway_settled(11300, 0)),
    ("P2 deposit|Dr 1002 33.90|Cr 2204 30.00|Cr 2221.06 3.90", payment_received(SALE, SALE.paid(3390), Role.BANK)),
    (
        "P2 delivered|Dr 2204 30.00|Dr 2221.06 3.90|Dr 1122 79.10|Cr 6001.01 100.00|Cr 2221.01.01 13.00",
        control_passed(SALE.paid(3390), ALL),
    ),
    (
        "P2 balance|Dr 1002 79.10|Cr 1122 79.10",
        payment_received(SALE.paid(3390).passed(ALL), PAID.passed(ALL), Role.BANK),
    ),
    ("P2 cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    ("P2b deposit|Dr 1002 33.90|Cr 2204 30.00|Cr 2221.06 3.90", payment_received(SALE, SALE.paid(3390), Role.BANK)),
    ("P2b kept|Dr 2204 30.00|Dr 2221.06 3.90|Cr 6301 33.90", deposit_forfeited(SALE.paid(3390), 3390)),
    (
        "P2b nothing else|",
        refund_approved(SALE.paid(3390).forfeited(3390), SALE.paid(3390).forfeited(3390).cancelled()),
    ),
    (
        "P2c deposit|Dr 1012.01 33.90|Cr 2204 30.00|Cr 2221.06 3.90",
        payment_received(SALE, SALE.paid(3390), Role.WALLET),
    ),
    ("P2c shipped|Dr 1406 60.00|Cr 1405 60.00", goods_handed_over(6000)),
    (
        "P2c delivered|Dr 2204 100.00|Dr 2221.06 13.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00",
        control_passed(PAID, ALL),
    ),
    ("P2c cost|Dr 6401 60.00|Cr 1406 60.00", COST_FROM_TRANSIT),
    (
        "P2c balance|Dr 1012.01 79.10|Cr 2204 70.00|Cr 2221.06 9.10",
        payment_received(SALE.paid(3390), PAID, Role.WALLET),
    ),
    ("P3 delivered|Dr 1122 113.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00", control_passed(SALE, ALL)),
    ("P3 cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    (
        "P3 received|Dr 1002 112.99|Dr 6603.round 0.01|Cr 1122 113.00",
        payment_received(CREDIT_PASSED, CREDIT_PASSED.paid(11299), Role.BANK),
    ),
    ("P3b delivered|Dr 1122 113.00|Cr 6001.01 100.00|Cr 2221.06 13.00", revenue(SALE, ALL)),
    ("P3b invoiced|Dr 2221.06 13.00|Cr 2221.01.01 13.00", vat_point(SALE, ALL)),
    ("P4a delivered|Dr 1122.cod 113.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00", control_passed(COD, ALL)),
    (
        "P4a remitted|Dr 1002 111.30|Dr 6601.fee 1.70|Cr 1122.cod 113.00",
        courier_remitted(COD.passed(ALL), COD.passed(ALL).paid(11300), fee_minor=170),
    ),
    (
        "P4b collected|Dr 1002 113.00|Cr 2241.merchant 113.00",
        payment_received(CONSIGNED, CONSIGNED.paid(11300), Role.BANK),
    ),
    (
        "P4b delivered|Dr 2241.merchant 11.30|Cr 6051.comm 10.66|Cr 2221.01.01 0.64",
        commission_earned(1130, Decimal("0.06")),
    ),
    ("P4a cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    ("P4b paid out|Dr 2241.merchant 101.70|Cr 1002 101.70", consignor_paid_out(10170)),
    (
        "P5a paid|Dr 1012.01 93.00|Cr 2204 82.30|Cr 2221.06 10.70",
        payment_received(OWN_COUPON, OWN_COUPON.paid(9300), Role.WALLET),
    ),
    (
        "P5a delivered|Dr 2204 82.30|Dr 2221.06 10.70|Cr 6001.01 82.30|Cr 2221.01.01 10.70",
        control_passed(OWN_COUPON.paid(9300), OWN_SHARE),
    ),
    ("P5a cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    (
        "P5b paid|Dr 1012.01 93.00|Dr 1221.platform 20.00|Cr 2204 100.00|Cr 2221.06 13.00",
        payment_received(PLATFORM_COUPON, PLATFORM_COUPON.paid(9300), Role.WALLET),
    ),
    (
        "P5b delivered|Dr 2204 100.00|Dr 2221.06 13.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00",
        control_passed(PLATFORM_COUPON.paid(9300), ALL),
    ),
    ("P5b subsidy|Dr 1012.01 20.00|Cr 1221.platform 20.00", subsidy_settled(2000)),
    (
        "P5d used|Dr 2203.card 100.00|Dr 1012.01 13.00|Cr 2204 100.00|Cr 2221.06 13.00",
        [
            payment_received(SALE, SALE.paid(10000), Role.STORED_VALUE),
            payment_received(SALE.paid(10000), PAID, Role.WALLET),
        ],
    ),
    ("P6 paid|Dr 1012.01 113.00|Cr 2204 100.00|Cr 2221.06 13.00", PAID_FULL),
    (
        "P6 approved|Dr 2204 100.00|Dr 2221.06 13.00|Cr 2241.refund 113.00",
        refund_approved(PAID, PAID.cancelled()),
    ),
    ("P6 refunded|Dr 2241.refund 113.00|Cr 1012.01 113.00", refund_paid(11300, Role.WALLET)),
    ("P7 paid|Dr 1012.01 113.00|Cr 2204 100.00|Cr 2221.06 13.00", PAID_FULL),
    (
        "P7 delivered|Dr 2204 100.00|Dr 2221.06 13.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00",
        control_passed(PAID, ALL),
    ),
    ("P7 cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    (
        "P7 returned|Dr 6001.01 100.00|Dr 2221.01.01 13.00|Cr 2241.refund 113.00",
        refund_approved(PAID.passed(ALL), PAID.cancelled()),
    ),
    ("P7 restocked|Dr 1405 60.00|Cr 6401 60.00", goods_restocked(6000)),
    ("P7 refunded|Dr 2241.refund 113.00|Cr 1012.01 113.00", refund_paid(11300, Role.WALLET)),
    ("P7x paid|Dr 1012.01 113.00|Cr 2204 100.00|Cr 2221.06 13.00", PAID_FULL),
    (
        "P7x delivered|Dr 2204 100.00|Dr 2221.06 13.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00",
        control_passed(PAID, ALL),
    ),
    ("P7x cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    (
        "P7x returned|Dr 6001.01 100.00|Dr 2221.01.01 13.00|Cr 2241.refund 113.00",
        refund_approved(PAID.passed(ALL), PAID.cancelled()),
    ),
    ("P7x restocked|Dr 1405 60.00|Cr 6401 60.00", goods_restocked(6000)),
    # The replacement, in a voucher of its own. Even: the debt to the customer pays for it.
    ("P7x-even credited|Dr 2241.refund 113.00|Cr 2204 100.00|Cr 2221.06 13.00", credited(SALE, 11300)),
    (
        "P7x-even delivered|Dr 2204 100.00|Dr 2221.06 13.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00",
        control_passed(PAID, ALL),
    ),
    ("P7x-even cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    # Dearer by 113.00, which the customer pays.
    ("P7x-dearer credited|Dr 2241.refund 113.00|Cr 2204 100.00|Cr 2221.06 13.00", credited(DEARER, 11300)),
    (
        "P7x-dearer paid|Dr 1012.01 113.00|Cr 2204 100.00|Cr 2221.06 13.00",
        payment_received(DEARER.paid(11300), DEARER.paid(22600), Role.WALLET),
    ),
    (
        "P7x-dearer delivered|Dr 2204 200.00|Dr 2221.06 26.00|Cr 6001.01 200.00|Cr 2221.01.01 26.00",
        control_passed(DEARER.paid(22600), ControlShare(20000, 2600)),
    ),
    ("P7x-dearer cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    # Cheaper by 56.50, which goes back; that part of the debt stays with the first order.
    ("P7x-cheaper credited|Dr 2241.refund 56.50|Cr 2204 50.00|Cr 2221.06 6.50", credited(CHEAPER, 5650)),
    (
        "P7x-cheaper delivered|Dr 2204 50.00|Dr 2221.06 6.50|Cr 6001.01 50.00|Cr 2221.01.01 6.50",
        control_passed(CHEAPER.paid(5650), ControlShare(5000, 650)),
    ),
    ("P7x-cheaper cost|Dr 6401 60.00|Cr 1405 60.00", COST_AT_ONCE),
    ("P7x-cheaper refunded|Dr 2241.refund 56.50|Cr 1012.01 56.50", refund_paid(5650, Role.WALLET)),
    # Called off: the credit becomes a debt again, and goes back to who had paid the first order.
    ("P7x-off credited|Dr 2241.refund 113.00|Cr 2204 100.00|Cr 2221.06 13.00", credited(SALE, 11300)),
    (
        "P7x-off approved|Dr 2204 100.00|Dr 2221.06 13.00|Cr 2241.refund 113.00",
        refund_approved(PAID, PAID.cancelled()),
    ),
    ("P7x-off refunded|Dr 2241.refund 113.00|Cr 1012.01 113.00", refund_paid(11300, Role.WALLET)),
    ("P7b delivered|Dr 1122 113.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00", control_passed(SALE, ALL)),
    (
        "P7b conceded|Dr 6001.01 10.00|Dr 2221.01.01 1.30|Cr 1122 11.30",
        refund_approved(CREDIT_PASSED, CREDIT_CONCEDED),
    ),
    (
        "P7b received|Dr 1002 101.70|Cr 1122 101.70",
        payment_received(CREDIT_CONCEDED, CREDIT_CONCEDED.paid(10170), Role.BANK),
    ),
    ("a return that is damaged|Dr 1901 60.00|Cr 6401 60.00", goods_returned_damaged(6000)),
    ("compensation|Dr 6601.comp 5.00|Cr 2241.refund 5.00", compensation_granted(500)),
    ("compensation before a refund|Dr 2241.refund 5.00|Cr 6601.comp 5.00", compensation_absorbed(500)),
    (
        "P9 overpaid|Dr 1002 113.50|Cr 1122 113.00|Cr 2241.overpay 0.50",
        payment_received(CREDIT_PASSED, CREDIT_PASSED.paid(11350), Role.BANK),
    ),
    ("P10 received|Dr 1405 60.00|Cr 2202.grni 60.00", stock_received(6000)),
    ("P10 sample|Dr 6601.sample 73.00|Cr 1405 60.00|Cr 2221.01.01 13.00", sample_sent(6000, 1300)),
    ("P10 gift|Dr 6401 5.00|Cr 1406 5.00", gift_delivered(500)),
    ("P10 counted less|Dr 1901 3.00|Cr 1405 3.00", count_difference(300)),
    ("P10 counted more|Dr 1405 3.00|Cr 1901 3.00", count_difference(-300)),
]


def expected(row: str) -> dict[str, int]:
    balances: dict[str, int] = {}
    for cell in filter(None, row.split("|")[1:]):
        side, code, amount = cell.split(" ")
        minor = int(amount.replace(".", ""))
        balances[code] = balances.get(code, 0) + (minor if side == "Dr" else -minor)
    return balances


def by_account(posted: Posted) -> dict[str, int]:
    entries = [posted] if isinstance(posted, Entry) else list(posted or ())
    balances = balances_of(entry for entry in entries if entry is not None)
    return {DEFAULT_ACCOUNTS[role].code: minor for role, minor in balances.items() if minor}


@pytest.mark.parametrize(("row", "posted"), ROWS, ids=[row.split("|")[0] for row, _ in ROWS])
def test_event_moves_exactly_these_accounts(row: str, posted: Posted) -> None:
    assert by_account(posted) == expected(row)


@pytest.mark.parametrize(
    ("scenario", "left"),
    [
        ("P1", "|Dr 1002 112.32|Dr 6601.fee 0.68|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P1b", "|Dr 1002 113.00|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P2", "|Dr 1002 113.00|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P2b", "|Dr 1002 33.90|Cr 6301 33.90"),
        ("P2c", "|Dr 1012.01 113.00|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P4a", "|Dr 1002 111.30|Dr 6601.fee 1.70|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P4b", "|Dr 1002 11.30|Cr 6051.comm 10.66|Cr 2221.01.01 0.64"),
        ("P6", ""),
        ("P7", ""),
        ("P7x", "|Dr 1012.01 113.00|Cr 2241.refund 113.00"),
        ("P7x-even", "|Dr 2241.refund 113.00|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P7x+P7x-even", "|Dr 1012.01 113.00|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 100.00|Cr 2221.01.01 13.00"),
        ("P7x+P7x-dearer", "|Dr 1012.01 226.00|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 200.00|Cr 2221.01.01 26.00"),
        ("P7x+P7x-cheaper", "|Dr 1012.01 56.50|Dr 6401 60.00|Cr 1405 60.00|Cr 6001.01 50.00|Cr 2221.01.01 6.50"),
        ("P7x+P7x-off", ""),
        ("P7b", "|Dr 1002 101.70|Cr 6001.01 90.00|Cr 2221.01.01 11.70"),
    ],
)
def test_finished_sale_leaves_only(scenario: str, left: str) -> None:
    entries: list[Entry] = []
    for row, posted in ROWS:
        if row.split(" ")[0] in scenario.split("+"):
            group = [posted] if isinstance(posted, Entry) else list(posted or ())
            entries += [entry for entry in group if entry is not None]
    assert by_account(entries) == expected(left)


def test_revenue_vat_and_cost_are_separate_entries_in_this_order() -> None:
    events = [entry.event for entry in control_passed(PAID, ALL, cost_minor=6000)]
    assert events == ["revenue_recognised", "vat_point_reached", "cost_recognised"]


def test_vat_entry_is_missing_where_the_invoice_brought_the_tax_point() -> None:
    entries = control_passed(PAID.invoiced(1300), INVOICED_SHARE, cost_minor=6000)
    assert [entry.event for entry in entries] == ["revenue_recognised", "cost_recognised"]


def test_every_role_has_a_default_account_of_its_own() -> None:
    assert set(DEFAULT_ACCOUNTS) == set(Role)
    assert len({account.code for account in DEFAULT_ACCOUNTS.values()}) == len(Role)


def test_priced_order_with_agent_line_keeps_the_consignors_money_apart() -> None:
    lines = [
        OrderLineValue("1", "A", 1, 11300, Decimal("0.13")),
        OrderLineValue("2", "B", 1, 5000, Decimal("0.13"), sold_as=SoldAs.AGENT),
    ]
    totals = SaleTotals.of(price_order(lines, [], 0))
    assert totals == SaleTotals(total_minor=16300, tax_minor=1300, agent_minor=5000)
    sale = SalePosition(totals)
    assert by_account(payment_received(sale, sale.paid(16300), Role.BANK)) == expected(
        "|Dr 1002 163.00|Cr 2204 100.00|Cr 2221.06 13.00|Cr 2241.merchant 50.00"
    )


def test_entry_in_another_currency_keeps_both_amounts() -> None:
    assert PAID_FULL is not None
    booked = in_functional_currency(PAID_FULL, Conversion("USD", "CNY", Decimal("7.1003")))
    assert [(line.role, line.minor, line.base_minor) for line in booked.lines] == [
        (Role.WALLET, 11300, 80233),
        (Role.CONTRACT_LIABILITY, 10000, 71003),
        (Role.OUTPUT_VAT_PENDING, 1300, 9230),
    ]
