"""Masters as CSV: bad lines spoil only themselves, and no cell becomes a formula."""

import csv
import io

import httpx
import pytest

from tests.api.test_problems import problem_of

CSV = {"content-type": "text/csv; charset=utf-8"}
HEADER = "sku,name,category,price_minor,currency,tax_rate,active\n"


async def _import(admin: httpx.AsyncClient, content: str | bytes, path: str = "products") -> httpx.Response:
    return await admin.post(f"/v1/{path}:import", content=content, headers=CSV)


async def test_bad_lines_are_refused_and_good_ones_are_in_force(admin: httpx.AsyncClient) -> None:
    await admin.put("/v1/products/OLD", json={"name": "Old"})
    await admin.put("/v1/products/SAME", json={"name": "Same"})
    answer = await _import(
        admin,
        HEADER
        + "NEW,杯子,home,11300,CNY,0.13,true\n"
        + "OLD,Changed,,,,,\n"
        + "SAME,Same,,,,,\n"
        + "\n"
        + "BAD,Bad,,1.5,CNY,2,perhaps\n"
        + "SHORT,Short\n"
        + ",Nameless,,,,,\n"
        + "LATE,Late,,5,CNY,,false\n",
    )
    report = answer.json()
    assert answer.status_code == 200
    counts = {name: report[name] for name in ("created", "updated", "unchanged", "refused")}
    assert counts == {"created": 2, "updated": 1, "unchanged": 1, "refused": 3}
    refused = {
        one["line"]: {(error["pointer"], error["code"]) for error in one["errors"]}
        for one in report["results"]
        if one["outcome"] == "refused"
    }
    assert refused == {
        6: {("#/price_minor", "int_parsing"), ("#/tax_rate", "less_than"), ("#/active", "bool_parsing")},
        7: {("#", "cell_count")},
        8: {("#/sku", "missing")},
    }
    listed = (await admin.get("/v1/products")).json()["data"]
    assert {row["sku"]: (row["name"], row["price_minor"], row["active"]) for row in listed} == {
        "NEW": ("杯子", 11300, True),
        "OLD": ("Changed", None, True),
        "SAME": ("Same", None, True),
        "LATE": ("Late", 5, False),
    }


async def test_a_rule_of_the_business_refuses_only_its_line(admin: httpx.AsyncClient) -> None:
    lines = "person_id,name,roles,superior_id\nli,Li,sales; finance,ceo\nhe,He,sales,nobody\nma,Ma,,li\n"
    report = (await _import(admin, lines, "people")).json()
    assert [(one["line"], one["outcome"]) for one in report["results"]] == [
        (2, "created"),
        (3, "refused"),
        (4, "created"),
    ]
    assert report["results"][1]["errors"][0]["code"] == "unknown_superior"
    assert (await admin.get("/v1/people/li")).json()["roles"] == ["finance", "sales"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_files_of_chinese_spreadsheets_are_read(admin: httpx.AsyncClient, encoding: str) -> None:
    report = (await _import(admin, "sku,name\r\nP,“保温杯”\r\n".encode(encoding))).json()
    assert report["created"] == 1
    assert (await admin.get("/v1/products/P")).json()["name"] == "“保温杯”"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\xff\xff\xff", {("#", "unknown_encoding")}),
        (b"", {("#/sku", "missing_column"), ("#/name", "missing_column")}),
        (b"sku,name,name,colour\n", {("#/name", "duplicate_column"), ("#/colour", "unknown_column")}),
    ],
)
async def test_a_file_that_does_not_fit_is_refused_as_a_whole(
    admin: httpx.AsyncClient, content: bytes, found: set[tuple[str, str]]
) -> None:
    refused = problem_of(await _import(admin, content), 422, "invalid_request")
    assert {(one.pointer, one.code) for one in refused.errors or []} == found


async def test_odd_lines_are_reported_and_harm_nothing(admin: httpx.AsyncClient) -> None:
    huge = "x" * 200_000
    report = (await _import(admin, f'sku,name\nA,a\x00b\nB,{huge}\nC,"C\n\nc"\nD,d\r')).json()
    outcomes = [(one["outcome"], [error["code"] for error in one["errors"] or []]) for one in report["results"]]
    assert outcomes == [
        ("refused", ["string_pattern_mismatch"]),
        ("refused", ["malformed_csv"]),
        ("refused", ["string_pattern_mismatch"]),
        ("created", []),
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(1)", "＝1"])
async def test_no_cell_of_an_export_is_a_formula(admin: httpx.AsyncClient, name: str) -> None:
    await admin.put("/v1/products/P", json={"name": name, "price_minor": 5, "currency": "CNY"})
    exported = (await admin.get("/v1/products.csv")).content
    (row,) = csv.DictReader(io.StringIO(exported.decode("utf-8-sig")))
    assert (row["name"], row["price_minor"], row["active"], row["category"]) == (f"'{name}", "5", "true", "")
    assert (await _import(admin, exported)).json()["unchanged"] == 1
    assert (await admin.get("/v1/products/P")).json()["name"] == name


async def test_an_export_of_more_than_a_batch_is_whole(admin: httpx.AsyncClient) -> None:
    lines = "".join(f"P{number:04d},p\n" for number in range(1001))
    assert (await _import(admin, "sku,name\n" + lines)).json()["created"] == 1001
    exported = (await admin.get("/v1/products.csv")).text
    assert len(exported.splitlines()) == 1002
