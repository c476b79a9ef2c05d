"""How much a customer may owe, and whether an order fits in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CreditLine:
    """A customer's credit as one order finds it, in minor units of the currency of the books.

    `used_minor` is what other orders on credit have taken of it: goods that were delivered and not paid, and orders
    under way. `wanted_minor` is this order.
    """

    limit_minor: int
    used_minor: int
    overdue_minor: int
    wanted_minor: int

    @property
    def is_exceeded(self) -> bool:
        """Whether somebody has to decide: together it is more than the limit, or something is overdue."""
        return self.overdue_minor > 0 or self.used_minor + self.wanted_minor > self.limit_minor
