"""Orders as journeys place them: nothing but lines of one SKU at 113.00, of which 13.00 are VAT."""

import uuid
from typing import Any

from tests.factories.requests import Body, a_line, an_order

PRICE = 11_300


def a_sale(sku: str, quantity: int = 2, **changes: Any) -> Body:
    """A prepaid order that no other test places, without coupon and shipping fee."""
    line = a_line(sku=sku, quantity=quantity, unit_price_minor=PRICE)
    plain: Body = {"lines": [line], "discounts": [], "shipping_fee_minor": 0}
    return an_order(f"T-{uuid.uuid4().hex[:12]}", **(plain | changes))
