"""What third parties' settlements post: payment gateways and platforms pay what they hold or owe."""

from domain.money import InvalidAmount
from domain.posting.entry import Entry, cr, dr, entry_of
from domain.posting.roles import Role


def gateway_settled(gross_minor: int, fee_minor: int) -> Entry | None:
    """A gateway pays `gross_minor` out to the bank, less its fee. Raises `InvalidAmount` where the fee is more."""
    if fee_minor > gross_minor:
        raise InvalidAmount("the fee is more than the payout", gross_minor=gross_minor, fee_minor=fee_minor)
    return entry_of(
        "gateway_settled",
        dr(Role.BANK, gross_minor - fee_minor),
        dr(Role.GATEWAY_FEE, fee_minor),
        cr(Role.WALLET, gross_minor),
    )


def subsidy_settled(minor: int, debit_role: Role = Role.WALLET) -> Entry | None:
    """A platform pays its part of a discount."""
    return entry_of("subsidy_settled", dr(debit_role, minor), cr(Role.PLATFORM_RECEIVABLE, minor))


def subsidy_returned(minor: int, credit_role: Role = Role.WALLET) -> Entry | None:
    """A platform takes its part of a discount back, the sale being undone."""
    return entry_of("subsidy_returned", dr(Role.PLATFORM_RECEIVABLE, minor), cr(credit_role, minor))
