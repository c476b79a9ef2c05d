"""The sample orders of the demo: what is for sale, who orders what, and how each order must come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

SECOND_WAREHOUSE: Final = ("south", {"name": "广州仓 Guangzhou", "priority": 200})
_TAX: Final = "0.13"


@dataclass(frozen=True)
class Product:
    """Something for sale: tax-inclusive price and unit cost in minor units, both in CNY, and units per warehouse."""

    name: str
    price_minor: int
    cost_minor: int
    stock: Mapping[str, int]


PRODUCTS: Final[Mapping[str, Product]] = {
    "TEA-LJ-250": Product("西湖龙井 250克 Longjing tea", 12_800, 6_200, {"main": 40}),
    "CUP-CEL-2": Product("龙泉青瓷茶杯 两只装 Celadon cups", 8_600, 3_100, {"south": 40}),
    "SCARF-SILK": Product("真丝方巾 Silk scarf", 29_900, 11_500, {"main": 25}),
    "FAN-SANDAL": Product("檀香扇 Sandalwood fan", 31_500, 12_000, {"main": 25}),
    "LAMP-BAMBOO": Product("竹编台灯 Bamboo lamp", 45_000, 20_000, {"main": 10}),
    "POT-ZISHA": Product("宜兴紫砂壶 Yixing teapot", 68_000, 27_000, {}),
    "KITE-WF": Product("潍坊风筝 Weifang kite", 15_800, 5_200, {"main": 10}),
    "SCREEN-LAC": Product("漆器屏风 Lacquer screen", 1_280_000, 520_000, {"main": 10}),
    "MOON-GIFT": Product("中秋礼盒 Mid-autumn gift box", 36_800, 14_000, {"main": 30}),
    "BRUSH-HU": Product("湖笔套装 Huzhou brushes", 22_600, 9_000, {"main": 10}),
}


@dataclass(frozen=True)
class Presale:
    """A deposit that locks the goods, and when the rest may be paid: seconds from the moment of the order."""

    deposit_minor: int
    opens_in_s: int
    closes_in_s: int

    def terms(self) -> dict[str, Any]:
        """The order's payment terms, from now."""
        at = datetime.now(UTC)
        return {
            "terms": "deposit_balance",
            "deposit_minor": self.deposit_minor,
            "balance_opens_at": (at + timedelta(seconds=self.opens_in_s)).isoformat(),
            "balance_closes_at": (at + timedelta(seconds=self.closes_in_s)).isoformat(),
        }


@dataclass(frozen=True)
class Sample:
    """An order, what happens to it, and how it must end."""

    name: str
    story: str
    lines: Mapping[str, int]
    method: str
    expected: Mapping[str, Any]
    customer: Mapping[str, str]
    ship_to: Mapping[str, str]
    currency: str = "CNY"
    prices: Mapping[str, int] = field(default_factory=dict)
    discounts: tuple[Mapping[str, Any], ...] = ()
    shipping_fee_minor: int = 0
    placed_by: str = "channel"
    presale: Presale | None = None

    def body(self, external_id: str) -> dict[str, Any]:
        """The order as a shop sends it."""
        lines = [
            {
                "line_id": str(number),
                "sku": sku,
                "quantity": quantity,
                "unit_price_minor": self.prices.get(sku, PRODUCTS[sku].price_minor),
                "tax_rate": _TAX,
            }
            for number, (sku, quantity) in enumerate(self.lines.items(), start=1)
        ]
        return {
            "channel": "shop",
            "external_id": external_id,
            "currency": self.currency,
            "customer": dict(self.customer),
            "ship_to": dict(self.ship_to),
            "lines": lines,
            "discounts": [dict(discount) for discount in self.discounts],
            "shipping_fee_minor": self.shipping_fee_minor,
            "type": "presale" if self.presale else "normal",
            "payment": {"method": self.method, **(self.presale.terms() if self.presale else {"terms": "prepaid"})},
        }


_DELIVERED: Final = {
    "lifecycle": "completed",
    "payment": "paid",
    "fulfilment": "delivered",
    "revenue": "full",
    "invoice": "full",
}
_UNDONE: Final = {"lifecycle": "cancelled", "payment": "refunded", "fulfilment": "cancelled", "revenue": "none"}

TWO_PARCELS: Final = Sample(
    name="two parcels",
    story="paid, sent from two warehouses in two parcels, delivered",
    lines={"TEA-LJ-250": 2, "CUP-CEL-2": 1},
    method="alipay",
    expected=_DELIVERED | {"warehouses": ["main", "south"]},
    customer={"id": "C-1001", "name": "林晓梅"},
    ship_to={"country": "CN", "region": "浙江省", "city": "杭州市", "street": "示例路 1 号", "name": "林晓梅"},
    shipping_fee_minor=1_200,
)
COUPON: Final = Sample(
    name="own coupon",
    story="paid less the shop's own coupon, delivered",
    lines={"SCARF-SILK": 1, "TEA-LJ-250": 1},
    method="wechat_pay",
    expected=_DELIVERED | {"warehouses": ["main"], "total_minor": 38_700},
    customer={"id": "C-1002", "name": "陈建国"},
    ship_to={"country": "CN", "region": "上海市", "city": "上海市", "street": "示例路 2 号", "name": "陈建国"},
    discounts=({"kind": "coupon", "code": "AUTUMN40", "amount_minor": 4_000, "funded_by": "seller"},),
)
FOREIGN: Final = Sample(
    name="another currency",
    story="paid in US dollars, booked in both currencies, delivered",
    lines={"FAN-SANDAL": 1},
    method="paypal",
    expected=_DELIVERED | {"warehouses": ["main"], "total_minor": 5_400},
    customer={"id": "C-1003", "name": "Avery Example"},
    ship_to={"country": "US", "region": "WA", "city": "Seattle", "street": "3 Sample Street", "name": "Avery Example"},
    currency="USD",
    prices={"FAN-SANDAL": 4_500},
    shipping_fee_minor=900,
)
CANCELLED: Final = Sample(
    name="cancelled",
    story="paid, booked with the carrier, then cancelled: parcel, stock and money go back",
    lines={"LAMP-BAMBOO": 1},
    method="alipay",
    expected=_UNDONE | {"warehouses": ["main"]},
    customer={"id": "C-1004", "name": "王芳"},
    ship_to={"country": "CN", "region": "四川省", "city": "成都市", "street": "示例路 4 号", "name": "王芳"},
)
HELD: Final = Sample(
    name="held for stock",
    story="held because nothing was in stock, went on by itself when goods came in, delivered",
    lines={"POT-ZISHA": 1},
    method="wechat_pay",
    expected=_DELIVERED | {"warehouses": ["main"]},
    customer={"id": "C-1005", "name": "赵一鸣"},
    ship_to={"country": "CN", "region": "江苏省", "city": "无锡市", "street": "示例路 5 号", "name": "赵一鸣"},
)
PRICED_WRONG: Final = Sample(
    name="held for its price",
    story="taken by phone at the sale price, held because the catalogue had another, let on by a person, delivered",
    lines={"KITE-WF": 2},
    method="alipay",
    expected=_DELIVERED | {"warehouses": ["main"], "total_minor": 25_600},
    customer={"id": "C-1006", "name": "周海燕"},
    ship_to={"country": "CN", "region": "山东省", "city": "潍坊市", "street": "示例路 6 号", "name": "周海燕"},
    prices={"KITE-WF": 12_800},
    # Whose key does not set prices.
    placed_by="sales",
)
BIG: Final = Sample(
    name="big order",
    story="its general manager stayed silent, so it went up to his superior, who approved it; delivered and reviewed",
    lines={"SCREEN-LAC": 5},
    method="bank_transfer",
    expected=_DELIVERED | {"warehouses": ["main"], "total_minor": 6_400_000},
    customer={"id": "C-1007", "name": "示例酒店集团"},
    ship_to={"country": "CN", "region": "北京市", "city": "北京市", "street": "示例路 7 号", "name": "采购部"},
)
BALANCE_PAID: Final = Sample(
    name="presale, paid",
    story="its deposit locked the goods, its balance shipped them; delivered",
    lines={"MOON-GIFT": 1},
    method="wechat_pay",
    expected=_DELIVERED | {"warehouses": ["main"]},
    customer={"id": "C-1008", "name": "孙丽"},
    ship_to={"country": "CN", "region": "广东省", "city": "深圳市", "street": "示例路 8 号", "name": "孙丽"},
    presale=Presale(6_800, opens_in_s=8, closes_in_s=3_600),
)
BALANCE_MISSED: Final = Sample(
    name="presale, missed",
    story="its deposit locked the goods, its balance never came: the goods are free again, the deposit is forfeited",
    lines={"MOON-GIFT": 1},
    method="wechat_pay",
    expected={"lifecycle": "expired", "payment": "forfeited", "revenue": "none", "invoice": "none", "warehouses": []},
    customer={"id": "C-1009", "name": "吴强"},
    ship_to={"country": "CN", "region": "福建省", "city": "厦门市", "street": "示例路 9 号", "name": "吴强"},
    presale=Presale(6_800, opens_in_s=8, closes_in_s=20),
)
PAID_LATE: Final = Sample(
    name="presale, paid late",
    story="expired because its deposit did not come; when it came after all, it went back by itself",
    lines={"MOON-GIFT": 1},
    method="wechat_pay",
    expected={"lifecycle": "expired", "payment": "refunded", "revenue": "none", "invoice": "none", "warehouses": []},
    customer={"id": "C-1010", "name": "郑洁"},
    ship_to={"country": "CN", "region": "湖北省", "city": "武汉市", "street": "示例路 10 号", "name": "郑洁"},
    presale=Presale(6_800, opens_in_s=600, closes_in_s=3_600),
)
SENT_BACK: Final = Sample(
    name="sent back",
    story="delivered and booked, then sent back: money, stock, revenue and invoice are reversed",
    lines={"BRUSH-HU": 1},
    method="alipay",
    # Its invoice was credited.
    expected=_DELIVERED | {"payment": "refunded", "return": "full", "invoice": "none", "warehouses": ["main"]},
    customer={"id": "C-1011", "name": "冯雪"},
    ship_to={"country": "CN", "region": "浙江省", "city": "湖州市", "street": "示例路 11 号", "name": "冯雪"},
)
EXCHANGED: Final = Sample(
    name="exchanged",
    story="delivered, then exchanged for something dearer: what came back paid for it, the customer paid the rest",
    lines={"BRUSH-HU": 1},
    method="alipay",
    expected=_DELIVERED | {"payment": "refunded", "return": "full", "invoice": "none", "warehouses": ["main"]},
    customer={"id": "C-1012", "name": "沈洁"},
    ship_to={"country": "CN", "region": "江苏省", "city": "苏州市", "street": "示例路 12 号", "name": "沈洁"},
)
SAMPLES: Final = (
    TWO_PARCELS,
    COUPON,
    FOREIGN,
    CANCELLED,
    HELD,
    PRICED_WRONG,
    BIG,
    BALANCE_PAID,
    BALANCE_MISSED,
    PAID_LATE,
    SENT_BACK,
    EXCHANGED,
)
