"""What goods in stock have cost: the moving average, exact to the last minor unit."""

from dataclasses import dataclass
from decimal import Context, Decimal

from domain.money import round_half_up, within_bounds

# Wide enough that no quotient is rounded before the one named rounding does it.
_WIDE = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Holding:
    """Units of one SKU in one warehouse and what they cost together, in minor units of the functional currency."""

    on_hand: int
    value_minor: int

    def cost_of(self, quantity: int) -> int:
        """What `quantity` units cost at the average, rounded once; nothing where there is no average.

        The cost of all units is the whole value, so whoever takes the last unit takes the remainder with it.
        """
        if self.on_hand == 0:
            return 0
        return round_half_up(_WIDE.divide(Decimal(self.value_minor * quantity), Decimal(self.on_hand)))

    def received(self, quantity: int, unit_cost_minor: int | None) -> "Holding":
        """After goods came in; without a cost of their own they come at the average. Raises AmountTooLarge."""
        added = self.cost_of(quantity) if unit_cost_minor is None else quantity * unit_cost_minor
        return Holding(self.on_hand + quantity, within_bounds(self.value_minor + added))

    def sent(self, quantity: int) -> "Holding":
        """After goods left at the average."""
        return Holding(self.on_hand - quantity, self.value_minor - self.cost_of(quantity))
