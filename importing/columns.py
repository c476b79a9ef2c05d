"""The columns of a file of orders: what each is called by people, and what is written in it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final


class Kind(StrEnum):
    """What a column's cells are, and so how they are read."""

    CODE = "code"
    TEXT = "text"
    WORD = "word"
    COUNTRY = "country"
    CURRENCY = "currency"
    WHOLE = "whole"
    AMOUNT = "amount"
    RATE = "rate"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `once`: an order has it once, however many lines it has; `needed`: no order can do without it.

    `fixed`: it may be said once for the whole file instead.
    """

    name: str
    kind: Kind
    english: str
    chinese: str
    also: tuple[str, ...] = ()
    once: bool = True
    needed: bool = False
    fixed: bool = False
    example: str = ""


C = Column
K = Kind
ORDER_COLUMNS: Final = (
    C(
        "channel",
        K.CODE,
        "Channel",
        "渠道",
        ("销售渠道", "平台", "sales channel"),
        needed=True,
        fixed=True,
        example="shop",
    ),
    C(
        *("external_id", K.CODE, "Order no.", "订单号"),
        also=("order number", "order id", "外部单号", "外部订单号", "平台订单号", "订单编号", "单号", "external id"),
        needed=True,
        example="2026-0001",
    ),
    C("type", K.WORD, "Order type", "订单类型", ("type", "类型")),
    C("currency", K.CURRENCY, "Currency", "币种", ("货币",), needed=True, fixed=True, example="CNY"),
    C("customer_id", K.CODE, "Customer no.", "客户编号", ("customer id", "customer code", "客户编码", "会员号")),
    C("customer_level", K.TEXT, "Customer level", "客户等级", ("客户级别",)),
    C(
        "customer_name",
        K.TEXT,
        "Customer",
        "客户名称",
        ("customer name", "buyer", "客户", "买家", "客户姓名", "买家姓名"),
    ),
    C("recipient", K.TEXT, "Recipient", "收货人", ("ship to", "consignee", "收件人", "收货人姓名"), example="李雷"),
    C(
        *("phone", K.CODE, "Phone", "手机"),
        also=("mobile", "tel", "telephone", "phone number", "电话", "手机号", "手机号码", "联系电话", "收货电话"),
        example="13800138000",
    ),
    C("country", K.COUNTRY, "Country", "国家", ("国家地区", "国家/地区"), fixed=True, example="CN"),
    C("region", K.TEXT, "Province", "省份", ("region", "state", "省", "收货省份"), example="广东省"),
    C("city", K.TEXT, "City", "城市", ("市", "收货城市"), example="深圳市"),
    C(
        "street",
        K.TEXT,
        "Address",
        "详细地址",
        ("street", "shipping address", "地址", "收货地址"),
        example="科技园路 1 号",
    ),
    C("postal_code", K.CODE, "Postal code", "邮编", ("zip", "zip code", "postcode", "邮政编码"), example="518000"),
    C("line_id", K.CODE, "Line", "行号", ("line id", "line no", "明细行号", "序号"), once=False),
    C(
        *("sku", K.CODE, "SKU", "商品编码"),
        also=("item code", "item no", "product code", "货号", "商品编号", "商家编码", "sku编码", "规格编码"),
        once=False,
        needed=True,
        example="SKU-1",
    ),
    C("category", K.TEXT, "Category", "品类", ("类目", "商品分类"), once=False),
    C(
        *("quantity", K.WHOLE, "Quantity", "数量"),
        also=("qty", "units", "件数", "购买数量"),
        once=False,
        needed=True,
        example="2",
    ),
    C(
        *("unit_price", K.AMOUNT, "Unit price", "单价"),
        also=("price", "价格", "含税单价", "销售单价"),
        once=False,
        needed=True,
        example="113.00",
    ),
    C("tax_rate", K.RATE, "Tax rate", "税率", ("vat",), once=False, needed=True, fixed=True, example="13%"),
    C("line_shipping_fee", K.AMOUNT, "Shipping fee", "运费", ("shipping", "freight", "快递费"), once=False),
    C("gift_of", K.CODE, "Gift with line", "赠品所属行", once=False),
    C(
        *("payment_method", K.WORD, "Payment method", "支付方式"),
        also=("付款方式",),
        needed=True,
        fixed=True,
        example="alipay",
    ),
    C("payment_terms", K.WORD, "Payment terms", "付款条件", ("terms", "结算方式"), fixed=True),
    C("deposit", K.AMOUNT, "Deposit", "定金", ("订金",)),
    C("balance_opens_at", K.MOMENT, "Balance from", "尾款开始时间"),
    C("balance_closes_at", K.MOMENT, "Balance until", "尾款截止时间"),
    C(
        "placed_at",
        K.MOMENT,
        "Ordered at",
        "下单时间",
        ("order date", "created at", "订单时间", "下单日期", "订单日期"),
    ),
    C("store", K.TEXT, "Store", "门店", ("店铺",), once=False),
    C("salesperson", K.CODE, "Salesperson", "业务员", ("销售员",)),
    C("group_id", K.CODE, "Group", "拼团号", ("团号",)),
)
BY_NAME: Final[Mapping[str, Column]] = {column.name: column for column in ORDER_COLUMNS}
_NOISE: Final = re.compile(r"[\s_*:.#'\"-]+")
_PARTS: Final = re.compile(r"[/|(),;\n\[\]]")


def matched(headings: Sequence[str]) -> list[str | None]:
    """The column that each heading names, in English or Chinese; a column is found once, where it comes first."""
    found: list[str | None] = []
    for heading in headings:
        name = next((name for one in _spellings(heading) if (name := _names().get(one))), None)
        found.append(name if name not in found else None)
    return found


def _spellings(heading: str) -> Iterator[str]:
    """The heading as a whole, and each of its parts: `Order no. / 订单号`, `单价 (元)`."""
    text = unicodedata.normalize("NFKC", heading).casefold()
    yield _plain(text)
    for part in _PARTS.split(text):
        yield _plain(part)


def _plain(text: str) -> str:
    return _NOISE.sub("", text)


@cache
def _names() -> Mapping[str, str]:
    return {
        _plain(unicodedata.normalize("NFKC", spelling).casefold()): column.name
        for column in ORDER_COLUMNS
        for spelling in (column.name, column.english, column.chinese, *column.also)
    }
