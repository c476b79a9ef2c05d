"""What the events of a sale post: money, control of goods, invoices, refunds. Each returns entries, or nothing to post.

Positions say where the sale stood and stands; the same two positions always give the same entry.
"""

from decimal import Decimal

from domain.money import InvalidAmount, net_of_gross
from domain.posting.entry import Entry, Movement, cr, dr, entry_of, some
from domain.posting.position import ControlShare, SalePosition
from domain.posting.roles import Role
from domain.posting.stock import cost_recognised


def sale_accepted(position: SalePosition) -> Entry | None:
    """The opening of a sale before any money: None, unless a platform pays all of it and therefore owes it at once."""
    return entry_of("sale_accepted", *_balances(position, 1))


def payment_received(
    before: SalePosition, after: SalePosition, debit_role: Role, *, fee_minor: int = 0, event: str = "payment_received"
) -> Entry | None:
    """Money of the customer: debits `debit_role`, less a fee kept by who passed it on, and moves the sale's balances.

    It pays what is owed for passed goods first, then what is still to be delivered; a difference within the tolerance
    is written off, a surplus beyond it becomes a debt to the customer. None for a payment of nothing.
    """
    received = after.settled_minor - before.settled_minor
    if received < 0 or fee_minor > received:
        raise InvalidAmount("a payment is zero or more and covers its fee", received_minor=received)
    money = [dr(debit_role, received - fee_minor), dr(Role.GATEWAY_FEE, fee_minor)]
    return entry_of(event, *money, *_difference(before, after))


def courier_remitted(before: SalePosition, after: SalePosition, *, fee_minor: int = 0) -> Entry | None:
    """Cash that a courier collected arrives at the bank, less the courier's fee."""
    return payment_received(before, after, Role.BANK, fee_minor=fee_minor, event="courier_remitted")


def control_passed(
    before: SalePosition, share: ControlShare, *, cost_minor: int = 0, goods_from: Role = Role.GOODS_IN_TRANSIT
) -> tuple[Entry, ...]:
    """Revenue, VAT point and cost of goods that became the customer's, as separate entries in this order.

    Paid goods use up the contract liability, unpaid ones become a receivable. The VAT entry is missing where an invoice
    brought the tax point, the cost entry where there is none. The cost is in the stock's own currency.
    """
    after = before.passed(share)
    revenue_only = before.passed(ControlShare(share.net_minor, share.tax_minor, tax_invoiced_minor=share.tax_minor))
    return some(
        entry_of("revenue_recognised", *_difference(before, revenue_only)),
        entry_of("vat_point_reached", *_difference(revenue_only, after)),
        cost_recognised(cost_minor, goods_from),
    )


def invoice_issued(tax_moved_minor: int) -> Entry | None:
    """An invoice issued before the goods pass brings the tax point of `tax_moved_minor` forward."""
    return entry_of(
        "invoice_issued", dr(Role.OUTPUT_VAT_PENDING, tax_moved_minor), cr(Role.OUTPUT_VAT, tax_moved_minor)
    )


def invoice_credited(tax_moved_minor: int) -> Entry | None:
    """A credit note takes back what `invoice_issued` moved."""
    return entry_of(
        "invoice_credited", dr(Role.OUTPUT_VAT, tax_moved_minor), cr(Role.OUTPUT_VAT_PENDING, tax_moved_minor)
    )


def refund_approved(before: SalePosition, after: SalePosition) -> Entry | None:
    """What is to go back becomes payable, and every balance of the sale follows the new position.

    Undoes in the same entry what no longer holds: liability, VAT, write-off, overpayment, the platform's debt, revenue.
    """
    refund = before.settled_minor - after.settled_minor
    if refund < 0:
        raise InvalidAmount("a refund is zero or more", refund_minor=refund)
    return entry_of("refund_approved", cr(Role.REFUND_PAYABLE, refund), *_difference(before, after))


def sale_changed(before: SalePosition, after: SalePosition) -> Entry | None:
    """Another sale was agreed on: every balance follows, and what was paid too much by it becomes payable."""
    refund = before.settled_minor - after.settled_minor
    if refund < 0:
        raise InvalidAmount("a change pays nothing by itself", refund_minor=refund)
    return entry_of("sale_changed", cr(Role.REFUND_PAYABLE, refund), *_difference(before, after))


def deposit_forfeited(before: SalePosition, minor: int) -> Entry | None:
    """A deposit that the customer lost: without a supply there is no VAT in it, so all of it is income."""
    return entry_of("deposit_forfeited", *_difference(before, before.forfeited(minor)))


def refund_paid(minor: int, credit_role: Role) -> Entry | None:
    """An approved refund leaves the account it is paid from."""
    return entry_of("refund_paid", dr(Role.REFUND_PAYABLE, minor), cr(credit_role, minor))


def compensation_granted(minor: int) -> Entry | None:
    """Money goes back at our own expense; the sale, its price and its VAT stay as they were."""
    return entry_of("compensation_granted", dr(Role.COMPENSATION, minor), cr(Role.REFUND_PAYABLE, minor))


def compensation_absorbed(minor: int) -> Entry | None:
    """The price goes back after all, and what was paid out as compensation counts towards it."""
    return entry_of("compensation_absorbed", dr(Role.REFUND_PAYABLE, minor), cr(Role.COMPENSATION, minor))


def commission_earned(gross_minor: int, tax_rate: Decimal) -> Entry | None:
    """Goods of a consignor were delivered: our commission, tax included, leaves what we owe him. It is our revenue."""
    net = net_of_gross(gross_minor, tax_rate)
    return entry_of(
        "commission_earned",
        dr(Role.MERCHANT_PAYABLE, gross_minor),
        cr(Role.AGENT_COMMISSION, net),
        cr(Role.OUTPUT_VAT, gross_minor - net),
    )


def consignor_paid_out(minor: int, credit_role: Role = Role.BANK) -> Entry | None:
    """The consignor receives what was collected for him, less our commission."""
    return entry_of("consignor_paid_out", dr(Role.MERCHANT_PAYABLE, minor), cr(credit_role, minor))


def _balances(position: SalePosition, factor: int) -> list[Movement]:
    return [Movement(role, factor * minor) for role, minor in position.balances().items()]


def _difference(before: SalePosition, after: SalePosition) -> list[Movement]:
    return [*_balances(after, 1), *_balances(before, -1)]
