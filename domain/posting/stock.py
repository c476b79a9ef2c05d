"""What movements of goods post. Costs are minor units of the currency the stock is valued in."""

from domain.posting.entry import Entry, Movement, cr, dr, entry_of
from domain.posting.roles import Role


def stock_received(cost_minor: int) -> Entry | None:
    """Goods came in, the supplier's invoice is still to come."""
    return entry_of("stock_received", dr(Role.INVENTORY, cost_minor), cr(Role.GOODS_RECEIVED_NOT_INVOICED, cost_minor))


def goods_handed_over(cost_minor: int) -> Entry | None:
    """Goods left with a carrier, control has not passed."""
    return entry_of("goods_handed_over", dr(Role.GOODS_IN_TRANSIT, cost_minor), cr(Role.INVENTORY, cost_minor))


def goods_taken_back(cost_minor: int) -> Entry | None:
    """Goods that were under way came back into stock before control passed."""
    return entry_of("goods_taken_back", dr(Role.INVENTORY, cost_minor), cr(Role.GOODS_IN_TRANSIT, cost_minor))


def goods_lost(cost_minor: int) -> Entry | None:
    """Goods were lost under way: their cost waits for somebody to settle the loss, with whoever carried them first."""
    return entry_of("goods_lost", dr(Role.COUNT_DIFFERENCE, cost_minor), cr(Role.GOODS_IN_TRANSIT, cost_minor))


def goods_found(cost_minor: int) -> Entry | None:
    """Goods that had been given up as lost came back into stock."""
    return entry_of("goods_found", dr(Role.INVENTORY, cost_minor), cr(Role.COUNT_DIFFERENCE, cost_minor))


def cost_recognised(cost_minor: int, goods_from: Role = Role.GOODS_IN_TRANSIT) -> Entry | None:
    """The cost of goods whose control passed; `goods_from` is in transit, or inventory where control passes at once."""
    return entry_of("cost_recognised", dr(Role.COST_OF_SALES, cost_minor), cr(goods_from, cost_minor))


def gift_delivered(cost_minor: int, goods_from: Role = Role.GOODS_IN_TRANSIT) -> Entry | None:
    """A gift reached the customer with its parent. The parent's price covers it, so only its cost moves."""
    return entry_of("gift_delivered", dr(Role.COST_OF_SALES, cost_minor), cr(goods_from, cost_minor))


def sample_sent(cost_minor: int, deemed_vat_minor: int, goods_from: Role = Role.INVENTORY) -> Entry | None:
    """A sample was given away: its cost and the VAT of the supply it is deemed to be are an expense."""
    return entry_of(
        "sample_sent",
        dr(Role.SAMPLE_EXPENSE, cost_minor + deemed_vat_minor),
        cr(goods_from, cost_minor),
        cr(Role.OUTPUT_VAT, deemed_vat_minor),
    )


def goods_restocked(cost_minor: int, borne_by: Role = Role.COST_OF_SALES) -> Entry | None:
    """Delivered goods came back and can be sold again; `borne_by` is what their cost had gone to."""
    return entry_of("goods_restocked", dr(Role.INVENTORY, cost_minor), cr(borne_by, cost_minor))


def goods_returned_damaged(cost_minor: int, borne_by: Role = Role.COST_OF_SALES) -> Entry | None:
    """Delivered goods came back and cannot be sold: their cost waits for somebody to settle the loss."""
    return entry_of("goods_returned_damaged", dr(Role.COUNT_DIFFERENCE, cost_minor), cr(borne_by, cost_minor))


def count_difference(missing_minor: int) -> Entry | None:
    """A count found stock of `missing_minor` value less than the books say; negative where it found more."""
    return entry_of(
        "count_difference",
        Movement(Role.COUNT_DIFFERENCE, missing_minor),
        Movement(Role.INVENTORY, -missing_minor),
    )
