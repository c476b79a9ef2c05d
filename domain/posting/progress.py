"""How far an order line has come, and what of its price has therefore passed to the customer or become due as VAT."""

from dataclasses import dataclass

from domain.posting.position import ControlShare
from domain.pricing import share_of_line


@dataclass(frozen=True, slots=True)
class LineProgress:
    """A line sold as principal: its stored price, the units that passed, the units that invoices in force name.

    VAT is due for every unit that passed or was invoiced, whichever came first, and for none of them twice.
    """

    quantity: int
    net_minor: int
    tax_minor: int
    passed: int = 0
    invoiced: int = 0

    @property
    def passed_net_minor(self) -> int:
        return share_of_line(self.net_minor, self.quantity, 0, self.passed)

    @property
    def passed_tax_minor(self) -> int:
        return share_of_line(self.tax_minor, self.quantity, 0, self.passed)

    @property
    def tax_due_minor(self) -> int:
        return share_of_line(self.tax_minor, self.quantity, 0, max(self.passed, self.invoiced))

    def passing(self, units: int) -> ControlShare:
        """What `units` more carry with them. All shares of a line sum to it exactly. Raises `QuantityExceeded`."""
        after = LineProgress(self.quantity, self.net_minor, self.tax_minor, self.passed + units, self.invoiced)
        tax = share_of_line(self.tax_minor, self.quantity, self.passed, units)
        due_now = after.tax_due_minor - self.tax_due_minor
        return ControlShare(share_of_line(self.net_minor, self.quantity, self.passed, units), tax, tax - due_now)

    def invoicing(self, units: int) -> int:
        """The VAT that an invoice for `units` more makes due; negative `units` are a credit note's."""
        after = LineProgress(self.quantity, self.net_minor, self.tax_minor, self.passed, self.invoiced + units)
        return after.tax_due_minor - self.tax_due_minor


def together(shares: list[ControlShare]) -> ControlShare:
    """All shares as one."""
    return ControlShare(
        sum(share.net_minor for share in shares),
        sum(share.tax_minor for share in shares),
        sum(share.tax_invoiced_minor for share in shares),
    )
