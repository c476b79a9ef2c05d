"""CSV files as orders, payments and receipts: what is read, and every reason why something is not."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest

from importing import orders, payments, stock
from importing.items import Item, Readout, Refusal
from importing.table import UnusableFile

ORDER = {
    "channel": "web",
    "external_id": "T-1",
    "type": "normal",
    "currency": "CNY",
    "customer_id": "C-7",
    "customer_level": "VIP",
    "country": "CN",
    "region": "浙江省",
    "city": "杭州市",
    "postal_code": "310000",
    "line_id": "1",
    "sku": "SKU-1",
    "category": "",
    "quantity": "2",
    "unit_price": "12.30",
    "tax_rate": "0.13",
    "line_shipping_fee": "1.05",
    "payment_method": "alipay",
    "payment_terms": "prepaid",
    "deposit": "",
    "balance_opens_at": "",
    "balance_closes_at": "",
    "placed_at": "2026-11-22T10:00:00Z",
    "store": "S-9",
}
PAYMENT = {
    "channel": "web",
    "external_id": "T-1",
    "payment_id": "P-1",
    "method": "alipay",
    "amount": "25.65",
    "currency": "CNY",
    "paid_at": "2026-11-22T11:00:00Z",
    "kind": "",
    "fee": "",
}
CLOSES = "2026-12-02T00:00:00Z"
GOODS = {"receipt_id": "R-1", "warehouse": "main", "sku": "SKU-1", "quantity": "5"}


def test_rows_of_one_order_become_one_order_with_amounts_in_minor_units() -> None:
    second = {"line_id": "2", "sku": "SKU-2", "quantity": "1", "unit_price": "0.10", "category": "tea", "store": ""}
    read = _orders(ORDER, ORDER | second | {"line_shipping_fee": "0.00"})
    assert _bodies(read) == [
        {
            "channel": "web",
            "external_id": "T-1",
            "type": "normal",
            "currency": "CNY",
            "customer": {"id": "C-7", "level": "VIP"},
            "ship_to": {"country": "CN", "region": "浙江省", "city": "杭州市", "postal_code": "310000"},
            "lines": [
                {
                    "line_id": "1",
                    "sku": "SKU-1",
                    "quantity": 2,
                    "unit_price_minor": 1230,
                    "tax_rate": "0.13",
                    "shipping_share_minor": 105,
                    "store": "S-9",
                },
                {
                    "line_id": "2",
                    "sku": "SKU-2",
                    "category": "tea",
                    "quantity": 1,
                    "unit_price_minor": 10,
                    "tax_rate": "0.13",
                    "shipping_share_minor": 0,
                },
            ],
            "shipping_fee_minor": 105,
            "payment": {"method": "alipay", "terms": "prepaid"},
            "placed_at": "2026-11-22T10:00:00Z",
        }
    ]
    assert (read.items[0].amount_minor, read.items[0].rows, read.rows) == (2575, (2, 3), 2)


@pytest.mark.parametrize(
    ("currency", "text", "minor"), [("JPY", "120", 120), ("KWD", "1.250", 1250), ("CNY", "3", 300)]
)
def test_minor_units_follow_the_currency(currency: str, text: str, minor: int) -> None:
    read = _orders(ORDER | {"currency": currency, "unit_price": text, "line_shipping_fee": "0"})
    assert read.items[0].body["lines"][0]["unit_price_minor"] == minor


def test_rows_of_an_order_need_not_stand_together() -> None:
    read = _orders(ORDER, ORDER | {"external_id": "T-2"}, ORDER | {"line_id": "2"})
    assert [(item.key, item.rows) for item in read.items] == [("web/T-1", (2, 4)), ("web/T-2", (3,))]


def test_empty_cells_say_nothing() -> None:
    names = ("type", "customer_id", "customer_level", "country", "region", "city", "postal_code", "placed_at", "store")
    body = _bodies(_orders(ORDER | dict.fromkeys((*names, "payment_terms"), "")))[0]
    assert set(body) == {"channel", "external_id", "currency", "lines", "shipping_fee_minor", "payment"}
    assert body["payment"] == {"method": "alipay"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_files_of_all_usual_encodings_are_read(encoding: str) -> None:
    raw = _csv([ORDER]).encode(encoding)
    assert orders.read(raw, "orders.csv").items[0].body["ship_to"]["city"] == "杭州市"


def test_columns_may_stand_in_any_order_and_empty_rows_count_but_mean_nothing() -> None:
    text = _csv([dict(reversed(ORDER.items()))]).replace("\r\n", "\r\n,,\r\n\r\n", 1)
    read = orders.read(text.encode(), "orders.csv")
    assert (read.items[0].rows, read.rows) == ((4,), 1)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (",".join([*ORDER, "colour"]), "orders.csv: unknown column: colour. The columns are channel,external_id,"),
        (",".join([*ORDER, "colour", "size"]), "unknown columns: colour, size"),
        (",".join(name for name in ORDER if name not in ("sku", "store")), "missing columns: sku, store"),
        (",".join([*ORDER, "sku"]), "repeated column: sku"),
        ("", "the first row must name the columns"),
        (",".join([*ORDER, "\x1b[31mred"]), r"unknown column: '\ufffd[31mred'"),
    ],
)
def test_file_with_other_columns_is_refused_as_a_whole(header: str, said: str) -> None:
    with pytest.raises(UnusableFile) as refused:
        orders.read(header.encode(), "orders.csv")
    assert said.replace(r"\ufffd", "\ufffd") in str(refused.value)


def test_file_in_no_known_encoding_is_refused_as_a_whole() -> None:
    with pytest.raises(UnusableFile, match="neither UTF-8 nor GB18030"):
        orders.read(b"channel\xff\xff", "orders.csv")


@pytest.mark.parametrize(
    ("changed", "column", "code"),
    [
        ({"channel": "no such / key"}, "channel", "string_pattern_mismatch"),
        ({"external_id": "x" * 201}, "external_id", "string_too_long"),
        ({"type": "usual"}, "type", "literal_error"),
        ({"currency": "XXX"}, "currency", "unknown_currency"),
        ({"currency": "yuan"}, "currency", "string_too_long"),
        ({"currency": ""}, "currency", "missing"),
        ({"customer_id": "=HYPERLINK()"}, "customer_id", "string_pattern_mismatch"),
        ({"country": "China"}, "country", "string_pattern_mismatch"),
        ({"country": ""}, "country", "missing"),
        ({"line_id": ""}, "line_id", "missing"),
        ({"sku": ""}, "sku", "missing"),
        ({"quantity": "0"}, "quantity", "greater_than_equal"),
        ({"quantity": "-1"}, "quantity", "not_a_whole_number"),
        ({"quantity": "1.5"}, "quantity", "not_a_whole_number"),
        ({"quantity": "1e3"}, "quantity", "not_a_whole_number"),
        ({"quantity": "٣"}, "quantity", "not_a_whole_number"),
        ({"quantity": ""}, "quantity", "not_a_whole_number"),
        ({"quantity": "1000001"}, "quantity", "less_than_equal"),
        ({"unit_price": ""}, "unit_price", "invalid_amount"),
        ({"unit_price": "1,000.00"}, "unit_price", "invalid_amount"),
        ({"unit_price": "NaN"}, "unit_price", "invalid_amount"),
        ({"unit_price": "-1.00"}, "unit_price", "invalid_amount"),
        ({"unit_price": "1.234"}, "unit_price", "invalid_amount"),
        ({"unit_price": "99999999999999999"}, "unit_price", "amount_too_large"),
        ({"tax_rate": "13%"}, "tax_rate", "string_pattern_mismatch"),
        ({"tax_rate": "1.0"}, "tax_rate", "string_pattern_mismatch"),
        ({"line_shipping_fee": "free"}, "line_shipping_fee", "invalid_amount"),
        ({"payment_method": ""}, "payment_method", "missing"),
        ({"payment_terms": "later"}, "payment_terms", "literal_error"),
        ({"payment_terms": "deposit_balance", "balance_closes_at": CLOSES}, "deposit", "deposit_missing"),
        ({"payment_terms": "deposit_balance", "deposit": "1.00"}, "balance_closes_at", "balance_window_missing"),
        ({"deposit": "1.00"}, "deposit", "not_in_parts"),
        ({"placed_at": "yesterday"}, "placed_at", "not_rfc3339"),
        ({"placed_at": "2026-11-22T10:00:00"}, "placed_at", "timezone_aware"),
        ({"city": "a\x00b"}, "city", "control_character"),
        ({"quantity": "1000000", "unit_price": "10000000000.00"}, None, "amount_too_large"),
    ],
)
def test_bad_cell_refuses_its_order_and_no_other(changed: dict[str, str], column: str | None, code: str) -> None:
    read = _orders(ORDER | {"external_id": "T-0"}, ORDER | changed, ORDER | {"external_id": "T-2"})
    assert [item.key for item in read.items] == ["web/T-0", "web/T-2"]
    assert _reasons(read) == [(3, column, code)]


def test_all_problems_of_an_order_are_named_at_once() -> None:
    read = _orders(ORDER | {"quantity": "x", "unit_price": "y"}, ORDER | {"line_id": "2", "tax_rate": "z"})
    assert sorted(_reasons(read)) == [
        (2, "quantity", "not_a_whole_number"),
        (2, "unit_price", "invalid_amount"),
        (3, "tax_rate", "string_pattern_mismatch"),
    ]
    assert read.refused[0].rows == (2, 3)


def test_line_id_that_occurs_twice_refuses_the_order() -> None:
    assert _reasons(_orders(ORDER, ORDER)) == [(3, "line_id", "duplicate_line_id")]


@pytest.mark.parametrize("column", ["currency", "customer_id", "city", "payment_method", "placed_at"])
def test_rows_of_an_order_that_disagree_refuse_it(column: str) -> None:
    other = {"currency": "USD", "customer_id": "C-8", "city": "x", "payment_method": "cod", "placed_at": ""}[column]
    read = _orders(ORDER, ORDER | {"line_id": "2", column: other})
    assert (read.items, _reasons(read)) == ((), [(3, column, "rows_differ")])
    assert read.refused[0].problems[0].reason == "rows 2 and 3 of this order differ"


@pytest.mark.parametrize("column", ["channel", "external_id"])
def test_row_that_names_no_order_is_refused_alone(column: str) -> None:
    read = _orders(ORDER, ORDER | {column: ""}, ORDER | {"external_id": "T-2"})
    assert [item.key for item in read.items] == ["web/T-1", "web/T-2"]
    assert _reasons(read) == [(3, column, "empty")]


def test_order_that_a_nameless_row_may_belong_to_is_not_placed_in_half() -> None:
    read = _orders(ORDER, ORDER | {"external_id": "", "line_id": "2"}, ORDER | {"external_id": "T-2"})
    assert [item.key for item in read.items] == ["web/T-2"]
    assert _reasons(read) == [(3, None, "unclear_row"), (3, "external_id", "empty")]


def test_row_with_another_number_of_cells_refuses_its_order() -> None:
    text = _csv([ORDER, ORDER | {"external_id": "T-2"}]).rstrip() + ",more\r\n"
    read = orders.read(text.encode(), "orders.csv")
    assert [item.key for item in read.items] == ["web/T-1"]
    assert _reasons(read) == [(3, None, "cell_count")]
    assert read.refused[0].key == "web/T-2"


def test_quote_that_is_not_closed_spoils_its_neighbours_but_not_the_file() -> None:
    lines = _csv([ORDER | {"external_id": f"T-{n}"} for n in range(6)]).splitlines()
    lines[2] = lines[2].replace("杭州市", '"杭州市')
    lines[4] = lines[4].replace("杭州市", '杭州市"')
    read = orders.read("\r\n".join(lines).encode(), "orders.csv")
    placed = {item.key for item in read.items}
    assert "web/T-5" in placed
    assert not placed & {"web/T-1", "web/T-2", "web/T-3"}


def test_payment_is_addressed_as_the_channel_names_its_order() -> None:
    read = _payments(PAYMENT)
    assert _bodies(read) == [
        {name: cell for name, cell in PAYMENT.items() if cell and name != "amount"} | {"amount_minor": 2565}
    ]
    assert (read.items[0].key, read.items[0].currency, read.items[0].amount_minor) == ("P-1", "CNY", 2565)


@pytest.mark.parametrize(
    ("changed", "column", "code"),
    [
        ({"amount": "0.00"}, "amount", "amount_not_positive"),
        ({"amount": "-3.00"}, "amount", "amount_not_positive"),
        ({"amount": ""}, "amount", "invalid_amount"),
        ({"amount": "1.005"}, "amount", "invalid_amount"),
        ({"amount": "+1.00"}, "amount", "invalid_amount"),
        ({"currency": "ABC"}, "currency", "unknown_currency"),
        ({"payment_id": ""}, "payment_id", "missing"),
        ({"payment_id": "a b"}, "payment_id", "string_pattern_mismatch"),
        ({"method": "Ali Pay"}, "method", "string_pattern_mismatch"),
        ({"external_id": ""}, "external_id", "order_unnamed"),
        ({"paid_at": "2026-13-01T00:00:00Z"}, "paid_at", "datetime_from_date_parsing"),
    ],
)
def test_bad_payment_is_refused_alone(changed: dict[str, str], column: str, code: str) -> None:
    read = _payments(PAYMENT | changed, PAYMENT | {"payment_id": "P-2"})
    assert ([item.key for item in read.items], _reasons(read)) == (["P-2"], [(2, column, code)])


def test_payment_of_nothing_is_told_apart_from_what_is_missing() -> None:
    nothing, broken = _payments(PAYMENT | {"amount": "0.00"}, PAYMENT | {"amount": "x", "payment_id": "P-2"}).refused
    assert nothing.problems[0].reason == "amount must be positive"
    assert (nothing.is_moneyless, broken.is_moneyless) == (True, False)


def test_payment_that_contradicts_an_earlier_one_is_refused_and_a_repeated_one_is_not() -> None:
    read = _payments(PAYMENT, PAYMENT | {"amount": "1.00"}, PAYMENT, PAYMENT | {"external_id": "T-2"})
    assert [item.rows for item in read.items] == [(2,), (4,), (5,)]
    assert _reasons(read) == [(3, "payment_id", "payment_id_reused")]


def test_rows_of_one_receipt_add_up_by_sku() -> None:
    read = _stock(GOODS, GOODS | {"sku": "A"}, GOODS | {"quantity": "7"})
    lines = [{"sku": "A", "quantity": 5}, {"sku": "SKU-1", "quantity": 12}]
    assert _bodies(read) == [{"receipt_id": "R-1", "warehouse": "main", "lines": lines}]
    assert read.items[0].rows == (2, 3, 4)


def test_one_receipt_id_in_two_warehouses_is_two_receipts() -> None:
    read = _stock(GOODS, GOODS | {"warehouse": "south"})
    assert [(body["receipt_id"], body["warehouse"]) for body in _bodies(read)] == [
        ("R-1~main", "main"),
        ("R-1~south", "south"),
    ]


def test_large_receipt_is_split_in_the_same_way_however_it_is_sorted() -> None:
    rows = [GOODS | {"sku": f"SKU-{number:05}"} for number in range(5001)]
    forwards, backwards = _stock(*rows), _stock(*reversed(rows))
    assert _bodies(forwards) == _bodies(backwards)
    assert [(body["receipt_id"], len(body["lines"])) for body in _bodies(forwards)] == [("R-1~1", 5000), ("R-1~2", 1)]


@pytest.mark.parametrize(
    ("changed", "column", "code"),
    [
        ({"quantity": "0"}, "quantity", "greater_than_equal"),
        ({"quantity": "2.5"}, "quantity", "not_a_whole_number"),
        ({"sku": "a b"}, "sku", "string_pattern_mismatch"),
        ({"sku": ""}, "sku", "string_too_short"),
    ],
)
def test_receipt_with_a_bad_row_is_refused_whole(changed: dict[str, str], column: str, code: str) -> None:
    read = _stock(GOODS | {"sku": "Z"}, GOODS | changed, GOODS | {"receipt_id": "R-2"})
    assert [item.key for item in read.items] == ["R-2"]
    assert _reasons(read) == [(3, column, code)]
    assert read.refused[0].rows == (2, 3)


def test_presale_keeps_deposit_and_window() -> None:
    window = {"balance_opens_at": "2026-12-01T00:00:00Z", "balance_closes_at": CLOSES}
    read = _orders(ORDER | {"type": "presale", "payment_terms": "deposit_balance", "deposit": "5.00"} | window)
    [body] = _bodies(read)
    assert body["payment"] == {"method": "alipay", "terms": "deposit_balance", "deposit_minor": 500} | window


def test_payment_may_say_its_kind_and_the_fee_that_was_kept() -> None:
    [body] = _bodies(_payments(PAYMENT | {"kind": "balance", "fee": "0.40"}))
    assert (body["kind"], body["amount_minor"], body["fee_minor"]) == ("balance", 2_565, 40)


def test_file_may_leave_out_columns_that_few_orders_and_payments_need() -> None:
    few = {"deposit", "balance_opens_at", "balance_closes_at", "kind", "fee"}
    [order] = _bodies(_orders({name: cell for name, cell in ORDER.items() if name not in few}))
    [payment] = _bodies(_payments({name: cell for name, cell in PAYMENT.items() if name not in few}))
    assert (order["payment"], payment["amount_minor"]) == ({"method": "alipay", "terms": "prepaid"}, 2_565)


def _orders(*rows: dict[str, str]) -> Readout:
    return orders.read(_csv(rows).encode(), "orders.csv")


def _payments(*rows: dict[str, str]) -> Readout:
    return payments.read(_csv(rows).encode(), "payments.csv")


def _stock(*rows: dict[str, str]) -> Readout:
    return stock.read(_csv(rows).encode(), "stock.csv")


def _csv(rows: Sequence[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _bodies(read: Readout) -> list[dict[str, Any]]:
    assert all(isinstance(item, Item) for item in read.items)
    return [item.body for item in read.items]


def _reasons(read: Readout) -> list[tuple[int | None, str | None, str]]:
    assert all(isinstance(refusal, Refusal) for refusal in read.refused)
    return [(one.row, one.column, one.code) for refusal in read.refused for one in refusal.problems]
