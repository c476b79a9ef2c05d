"""Request bodies as channels send them."""

import copy
from typing import Any

Body = dict[str, Any]

_ORDER: Body = {
    "channel": "web",
    "external_id": "T-1001",
    "type": "normal",
    "currency": "CNY",
    "customer": {"id": "C-7", "name": "王小明", "level": "VIP", "phone": "13800000000", "email": "wang@example.com"},
    "ship_to": {
        "name": "王小明",
        "phone": "13800000000",
        "country": "CN",
        "region": "浙江省",
        "city": "杭州市",
        "street": "文三路 1 号",
        "postal_code": "310000",
    },
    "lines": [
        {
            "line_id": "1",
            "sku": "SKU-1",
            "quantity": 2,
            "unit_price_minor": 11300,
            "tax_rate": "0.13",
            "category": "beauty",
            "gift_of": None,
            "store": None,
            "sold_as": "principal",
        }
    ],
    "discounts": [{"kind": "coupon", "code": "NEW", "amount_minor": 2000, "funded_by": "seller"}],
    "shipping_fee_minor": 1000,
    "payment": {"method": "alipay", "terms": "prepaid"},
    "salesperson": "S-2",
    "store": None,
    "placed_at": "2026-11-22T10:00:00Z",
    "group_id": None,
    "customs": None,
}
ORDER_TOTAL = 21_600


def an_order(external_id: str | None = "T-1001", **changes: Any) -> Body:
    """The order of the design, with top-level fields replaced; `external_id` None leaves it out."""
    body = copy.deepcopy(_ORDER) | {"external_id": external_id} | changes
    return {name: value for name, value in body.items() if name != "external_id" or value is not None}


def a_line(line_id: str = "1", **changes: Any) -> Body:
    line = {"line_id": line_id, "sku": "SKU-1", "quantity": 1, "unit_price_minor": 11300, "tax_rate": "0.13"}
    return line | changes


def a_payment(payment_id: str = "P-1", **changes: Any) -> Body:
    """A payment of the whole of `an_order`."""
    payment = {
        "payment_id": payment_id,
        "method": "alipay",
        "kind": "full",
        "amount_minor": ORDER_TOTAL,
        "currency": "CNY",
        "paid_at": "2026-11-22T10:05:00Z",
    }
    return payment | changes


def a_scan(event_id: str = "E-1", **changes: Any) -> Body:
    return {"event_id": event_id, "status": "picked_up", "occurred_at": "2026-11-23T08:00:00Z"} | changes
