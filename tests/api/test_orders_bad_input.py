"""Orders that cannot be: refused with every reason, nothing echoed, nothing half-written."""

import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import PROBLEM, Api, As
from tests.api.rows import counts
from tests.factories.requests import a_line, an_order

JSON = {"Content-Type": "application/json"}
# Stands in what is sent and must not come back.
SECRET = "13912345678"

Case = tuple[dict[str, Any], str, str]

LINES: dict[str, Case] = {
    "zero": ({"quantity": 0}, "#/lines/0/quantity", "greater_than_equal"),
    "negative": ({"quantity": -1}, "#/lines/0/quantity", "greater_than_equal"),
    "fraction": ({"quantity": 1.5}, "#/lines/0/quantity", "int_type"),
    "whole fraction": ({"quantity": 1.0}, "#/lines/0/quantity", "int_type"),
    "huge": ({"quantity": 1_000_001}, "#/lines/0/quantity", "less_than_equal"),
    "beyond 64 bits": ({"quantity": 10**30}, "#/lines/0/quantity", "less_than_equal"),
    "digits as text": ({"quantity": "1"}, "#/lines/0/quantity", "int_type"),
    "foreign digits": ({"quantity": "١"}, "#/lines/0/quantity", "int_type"),
    "truth": ({"quantity": True}, "#/lines/0/quantity", "int_type"),
    "list": ({"quantity": [1]}, "#/lines/0/quantity", "int_type"),
    "null": ({"quantity": None}, "#/lines/0/quantity", "int_type"),
    "negative price": ({"unit_price_minor": -1}, "#/lines/0/unit_price_minor", "greater_than_equal"),
    "huge price": ({"unit_price_minor": 10**12 + 1}, "#/lines/0/unit_price_minor", "less_than_equal"),
    "overflowing line": ({"quantity": 10**6, "unit_price_minor": 10**12}, "#/lines/0", "amount_too_large"),
    "tax as number": ({"tax_rate": 0.13}, "#/lines/0/tax_rate", "string_type"),
    "tax of one": ({"tax_rate": "1"}, "#/lines/0/tax_rate", "string_pattern_mismatch"),
    "tax as percent": ({"tax_rate": "13%"}, "#/lines/0/tax_rate", "string_pattern_mismatch"),
    "tax not a number": ({"tax_rate": "NaN"}, "#/lines/0/tax_rate", "string_pattern_mismatch"),
    "tax with exponent": ({"tax_rate": "1e-1"}, "#/lines/0/tax_rate", "string_pattern_mismatch"),
    "tax too exact": ({"tax_rate": "0.1234567"}, "#/lines/0/tax_rate", "string_too_long"),
    "unknown way to sell": ({"sold_as": SECRET}, "#/lines/0/sold_as", "literal_error"),
    "sku with a slash": ({"sku": f"../{SECRET}"}, "#/lines/0/sku", "string_pattern_mismatch"),
    "unknown field": ({"cost_minor": 1}, "#/lines/0/cost_minor", "extra_forbidden"),
    "gift of nothing": ({"gift_of": "9", "unit_price_minor": 0}, "#/lines/0/gift_of", "unknown_line"),
    "gift of itself": ({"gift_of": "1", "unit_price_minor": 0}, "#/lines/0/gift_of", "gift_of_gift"),
}
PRESALE = {
    "method": "alipay",
    "terms": "deposit_balance",
    "deposit_minor": 1,
    "balance_closes_at": "2026-12-02T00:00:00+08:00",
}
ORDERS: dict[str, Case] = {
    "unknown field": ({"total_minor": 1}, "#/total_minor", "extra_forbidden"),
    "someone else's say": ({"approved_by": "ceo"}, "#/approved_by", "extra_forbidden"),
    "no lines": ({"lines": []}, "#/lines", "too_short"),
    "501 lines": ({"lines": [a_line(str(at)) for at in range(501)]}, "#/lines", "too_long"),
    "lines of text": ({"lines": SECRET}, "#/lines", "list_type"),
    "unknown currency": ({"currency": "XXX"}, "#/currency", "unknown_currency"),
    "metal": ({"currency": "XAU"}, "#/currency", "unknown_currency"),
    "lower case currency": ({"currency": "cny"}, "#/currency", "string_pattern_mismatch"),
    "unknown type": ({"type": SECRET}, "#/type", "literal_error"),
    "negative fee": ({"shipping_fee_minor": -1}, "#/shipping_fee_minor", "greater_than_equal"),
    "negative discount": (
        {"discounts": [{"kind": "coupon", "amount_minor": -1}]},
        "#/discounts/0/amount_minor",
        "greater_than_equal",
    ),
    "discounts above the price": (
        {"discounts": [{"kind": "coupon", "amount_minor": 20_000}, {"kind": "points", "amount_minor": 3_601}]},
        "#/discounts",
        "discount_above_price",
    ),
    "duplicate line ids": ({"lines": [a_line("1"), a_line("1")]}, "#/lines/1/line_id", "duplicate_line_id"),
    "gift with a price": (
        {"lines": [a_line("1"), a_line("2", gift_of="1")]},
        "#/lines/1/unit_price_minor",
        "gift_has_price",
    ),
    "one share missing": (
        {"lines": [a_line("1", shipping_share_minor=1000), a_line("2")]},
        "#/lines/1/shipping_share_minor",
        "shipping_shares_mismatch",
    ),
    "shares unlike the fee": (
        {"lines": [a_line("1", shipping_share_minor=999)]},
        "#/shipping_fee_minor",
        "shipping_shares_mismatch",
    ),
    "totals that overflow": (
        {"lines": [a_line(str(at), quantity=9_000, unit_price_minor=10**12) for at in range(2)], "discounts": []},
        "#",
        "amount_too_large",
    ),
    "deposit without its terms": (
        {"payment": {"method": "alipay", "deposit_minor": 1}},
        "#/payment/deposit_minor",
        "not_in_parts",
    ),
    "terms without their deposit": (
        {"payment": {"method": "alipay", "terms": "deposit_balance"}},
        "#/payment/deposit_minor",
        "deposit_missing",
    ),
    "deposit above the total": (
        {"payment": PRESALE | {"deposit_minor": 21_600}},
        "#/payment/deposit_minor",
        "deposit_too_large",
    ),
    "balance without a last day": (
        {"payment": {"method": "alipay", "terms": "deposit_balance", "deposit_minor": 1}},
        "#/payment/balance_closes_at",
        "balance_window_missing",
    ),
    "balance that closes before it opens": (
        {"payment": PRESALE | {"balance_opens_at": "2026-12-03T00:00:00+08:00"}},
        "#/payment/balance_closes_at",
        "balance_window_empty",
    ),
    "balance at no time": (
        {"payment": PRESALE | {"balance_opens_at": SECRET}},
        "#/payment/balance_opens_at",
        "not_rfc3339",
    ),
    "refundable deposit without one": (
        {"payment": {"method": "alipay", "deposit_refundable": True}},
        "#/payment/deposit_refundable",
        "not_in_parts",
    ),
    "time without a zone": ({"placed_at": "2026-11-22T10:00:00"}, "#/placed_at", "timezone_aware"),
    "seconds since 1970": ({"placed_at": 1_790_000_000}, "#/placed_at", "not_rfc3339"),
    "no time": ({"placed_at": SECRET}, "#/placed_at", "not_rfc3339"),
    "country of three letters": ({"ship_to": {"country": "CHN"}}, "#/ship_to/country", "string_pattern_mismatch"),
    "channel with a slash": ({"channel": "a/b"}, "#/channel", "string_pattern_mismatch"),
    "empty external id": ({"external_id": ""}, "#/external_id", "string_too_short"),
    "newline in a name": ({"customer": {"name": f"a\n{SECRET}"}}, "#/customer/name", "string_pattern_mismatch"),
    "nul": ({"store": f"a\0{SECRET}"}, "#/store", "unstorable_text"),
    "nul in a name": ({"customs": {"a\0b": SECRET}}, "#/customs", "unstorable_text"),
    "lone surrogate": ({"store": f"\ud800{SECRET}"}, "#/store", "unstorable_text"),
}
TEXTS: dict[str, tuple[str, int, str]] = {
    "NaN": (json.dumps(an_order(shipping_fee_minor=float("nan"))), 400, "malformed_json"),
    "Infinity": (json.dumps(an_order(shipping_fee_minor=float("inf"))), 400, "malformed_json"),
    "duplicate keys": ('{"channel": "web", ' + json.dumps(an_order())[1:], 400, "malformed_json"),
    "half of it": (json.dumps(an_order())[:-1], 400, "malformed_json"),
    "no object": ("[]", 422, "invalid_request"),
    "null": ("null", 422, "invalid_request"),
    "text": (f'"{SECRET}"', 422, "invalid_request"),
    "nothing": ("", 422, "invalid_request"),
    "deep lists": ('{"customs": ' + "[" * 10_000 + "]" * 10_000 + "}", 400, "malformed_json"),
    "deep object": ('{"customs": ' + '{"a":' * 40 + "1" + "}" * 41, 422, "invalid_request"),
    "5,000 digits": (
        json.dumps(an_order(shipping_fee_minor=0)).replace('": 0,', f'": {"9" * 5000},', 1),
        400,
        "malformed_json",
    ),
    "more than any float": ('{"customs": {"a": 1e999}}', 422, "invalid_request"),
    "not UTF-8": (json.dumps(an_order()).replace("web", "w\xffb"), 400, "malformed_json"),
}


def is_problem(answer: httpx.Response, status: int, case: str) -> dict[str, Any]:
    assert answer.status_code == status, (case, answer.text)
    assert answer.headers["Content-Type"] == PROBLEM, case
    assert SECRET not in answer.text, case
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status, case
    assert problem["type"] == f"/problems/{problem['code']}", case
    return problem


def pointed(problem: dict[str, Any]) -> set[tuple[str, str]]:
    return {(error["pointer"], error["code"]) for error in problem["errors"]}


async def test_lines_that_cannot_be_are_pointed_at(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    for case, (change, pointer, code) in LINES.items():
        answer = await as_role("channel").post("/v1/orders", json=an_order(lines=[a_line() | change]))
        assert (pointer, code) in pointed(is_problem(answer, 422, case)), case
    assert await counts(api.database) == before


async def test_orders_that_cannot_be_are_pointed_at(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    for case, (change, pointer, code) in ORDERS.items():
        # As text, because what cannot be encoded must be sent as an escape.
        sent = json.dumps(an_order(**change))
        answer = await as_role("channel").post("/v1/orders", content=sent, headers=JSON)
        assert (pointer, code) in pointed(is_problem(answer, 422, case)), case
    assert await counts(api.database) == before


async def test_texts_that_are_no_order_are_refused(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    for case, (text, status, code) in TEXTS.items():
        answer = await as_role("channel").post("/v1/orders", content=text.encode("latin-1", "replace"), headers=JSON)
        assert is_problem(answer, status, case)["code"] == code, case
    assert await counts(api.database) == before


async def test_every_problem_is_named_at_once(as_role: As) -> None:
    lines = [
        a_line("1", quantity=0, extra=SECRET),
        a_line("1", unit_price_minor=1.5, tax_rate="2"),
        a_line("3", gift_of="8", unit_price_minor=0),
    ]
    body = an_order(currency="ZZZ", lines=lines, shipping_fee_minor="9", unknown=1, payment={"terms": "later"})
    problem = is_problem(await as_role("channel").post("/v1/orders", json=body), 422, "everything")
    assert pointed(problem) == {
        ("#/currency", "unknown_currency"),
        ("#/lines/0/quantity", "greater_than_equal"),
        ("#/lines/0/extra", "extra_forbidden"),
        ("#/lines/1/line_id", "duplicate_line_id"),
        ("#/lines/1/unit_price_minor", "int_type"),
        ("#/lines/1/tax_rate", "string_pattern_mismatch"),
        ("#/lines/2/gift_of", "unknown_line"),
        ("#/shipping_fee_minor", "int_type"),
        ("#/unknown", "extra_forbidden"),
        ("#/payment/method", "missing"),
        ("#/payment/terms", "literal_error"),
    }


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "streamed"])
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders:batch"])
async def test_ten_megabytes_are_refused(api: Api, as_role: As, path: str, declared: bool) -> None:
    async def pieces() -> Any:
        for _ in range(160):
            yield b" " * 65_536

    before = await counts(api.database)
    content = b" " * 10_485_760 if declared else pieces()
    answer = await as_role("channel").post(path, content=content, headers=JSON)
    assert is_problem(answer, 413, path)["code"] == "content_too_large"
    assert await counts(api.database) == before


async def test_other_media_are_refused(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    for media in ("text/plain", "application/xml", "multipart/form-data; boundary=x", ""):
        sent = json.dumps(an_order()).encode()
        answer = await as_role("channel").post("/v1/orders", content=sent, headers={"Content-Type": media})
        assert is_problem(answer, 415, media)["code"] == "unsupported_media_type"
    assert await counts(api.database) == before


async def test_unknown_sku_is_a_matter_for_a_hold_and_not_for_the_door(as_role: As) -> None:
    answer = await as_role("channel").post("/v1/orders", json=an_order(lines=[a_line(sku="NOBODY-KNOWS")]))
    assert answer.status_code == 202
