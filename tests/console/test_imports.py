"""Files of orders at the console: looked at with nothing placed, placed once, and what was refused to be mended."""

import asyncio
import io
import re
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook
from sqlmodel import col, select

from console.imports import routes
from domain.order_number import order_number
from importing.apart import read_apart
from importing.reading import Choice, Reading
from models.importing import OrderImport
from models.order import Order
from runtime.keyring import KeyRing
from store import imports
from tests.api.conftest import Api, As
from tests.api.rows import counts
from tests.conftest import Database
from tests.console.conftest import Visit
from tests.factories.workbooks import a_row, a_workbook
from tests.fakes.browser import Browser

PHONE = "13912345678"


async def bring(browser: Browser, raw: bytes, name: str = "orders.xlsx") -> httpx.Response:
    """What the form sends, and where that leads."""
    await browser.get("/imports")
    file = {"file": (name, raw)}
    return await browser.http.post("/console/imports", data={"csrf": browser.csrf}, files=file)


async def place(browser: Browser, shown: httpx.Response) -> httpx.Response:
    """Everything is placed, and seen to be."""
    path = shown.url.path.removeprefix("/console")
    answer = await browser.post(f"{path}/place")
    async with asyncio.timeout(60):
        while "Being placed" in answer.text:
            await asyncio.sleep(0.05)
            answer = await browser.get(path)
    return answer


def figures(page: httpx.Response) -> list[int]:
    """The figures at the top of a page, from left to right."""
    return [int(number) for number in re.findall(r"<dd[^>]*>(\d+)</dd>", page.text)]


async def placed_in(database: Database) -> list[str]:
    async with database.sessions() as session:
        rows = await session.exec(select(Order).where(col(Order.channel) == "shop").order_by(col(Order.external_id)))
        return [row.external_id for row in rows]


async def test_a_file_is_looked_at_with_nothing_placed_and_then_placed_once(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    rows = [a_row(), a_row(商品编码="SKU-2"), a_row(订单号="X-2", 数量="１,０００"), a_row(订单号="X-3", 数量=1.5)]
    raw = a_workbook(*rows)
    before = await counts(api.database)
    shown = await bring(browser, raw)
    assert (shown.status_code, figures(shown)) == (200, [2, 0, 0, 1, 2])
    assert "订单!H5" in shown.text
    assert "a whole number is needed" in shown.text
    after = await counts(api.database)
    assert {table for table in after if after[table] != before[table]} == {"order_imports"}
    done = await place(browser, shown)
    assert figures(done) == [2, 0, 1]
    assert f"/console/orders/{order_number('shop', 'X-1')}" in done.text
    assert await placed_in(api.database) == ["X-1", "X-2"]
    async with api.database.sessions() as session:
        order = await session.get_one(Order, order_number("shop", "X-1"))
        assert (order.total_minor, order.placed_at.isoformat()) == (45_200, "2026-11-20T00:00:00+00:00")
        assert (order.ship_to["name"], order.ship_to["phone"]) == ("李雷", "13800138000")
    # The same file again, and said twice.
    again = await bring(browser, raw)
    assert figures(again) == [0, 2, 0, 1, 0]
    assert "This very file was imported before" in again.text
    told = await place(browser, again)
    assert figures(told) == [0, 2, 1]
    assert figures(await place(browser, again)) == [0, 2, 1]
    assert await placed_in(api.database) == ["X-1", "X-2"]


async def test_the_same_number_with_other_content_is_told_and_refused(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    await place(browser, await bring(browser, a_workbook(a_row())))
    shown = await bring(browser, a_workbook(a_row(数量=3), a_row(订单号="X-2")))
    assert figures(shown) == [1, 0, 1, 0, 1]
    done = await place(browser, shown)
    assert figures(done) == [1, 0, 1]
    assert "it is there already under this number, and says something else" in done.text


async def test_what_comes_by_hand_goes_through_the_same_door_as_what_comes_by_the_api(
    api: Api, visit: Visit, as_role: As
) -> None:
    browser = await visit("sales").log_in()
    await place(browser, await bring(browser, a_workbook(a_row())))
    order = (await as_role("sales").get(f"/v1/orders/{order_number('shop', 'X-1')}")).json()
    events = (await as_role("sales").get(f"/v1/orders/{order_number('shop', 'X-1')}/timeline")).json()["data"]
    assert (events[0]["kind"], events[0]["actor"], events[0]["source"]) == ("order.received", "sales", "import")
    assert order["lifecycle"] == "received"
    # Nobody at the console sets prices: the catalogue has to agree, or the order is held.
    async with api.database.sessions() as session:
        assert (await session.get_one(Order, order["order_no"])).priced_by_client is False


async def test_columns_are_said_by_hand_where_headings_say_nothing(api: Api, visit: Visit) -> None:
    browser = await visit("operations").log_in()
    rows = [{"No": "X-7", "What": "SKU-1", "How many": 2, "Each": "12.50", "Note": "call first"}]
    shown = await bring(browser, a_workbook(*rows))
    assert "Nothing can be read yet" in shown.text
    assert "/place" not in shown.text
    path = shown.url.path.removeprefix("/console")
    columns = {"column.A": "external_id", "column.B": "sku", "column.C": "quantity", "column.D": "unit_price"}
    fixed = {"channel": "shop", "currency": "人民币", "tax_rate": "13%", "payment_method": "支付宝"}
    form = columns | {f"fixed.{name}": text for name, text in fixed.items()} | {"column.E": "", "time_zone": "UTC"}
    shown = await browser.post(f"{path}/columns", sheet="订单", sheet_before="订单", **form)
    assert figures(shown) == [1, 0, 0, 0, 1]
    assert figures(await place(browser, shown)) == [1, 0, 0]
    assert await placed_in(api.database) == ["X-7"]


async def test_what_was_refused_is_downloaded_mended_and_brought_again(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    second = a_row(订单号="X-2", 手机="013912345678")
    rows = [a_row(), second | {"数量": "two"}, second | {"商品编码": "=1+1"}]
    done = await place(browser, await bring(browser, a_workbook(*rows)))
    assert figures(done) == [1, 0, 1]
    book = load_workbook(io.BytesIO((await browser.get(_path(done, "/refused.xlsx"))).content))
    sheet = book.worksheets[0]
    lines = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert lines[0][-1] == "Why it was refused"
    assert [line[1] for line in lines[1:]] == ["X-2", "X-2"]
    assert lines[1][4] == "013912345678"
    assert "订单!H3 Quantity: a whole number is needed" in str(lines[1][-1])
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    sheet["H2"], sheet["G3"] = 2, "SKU-3"
    out = io.BytesIO()
    book.save(out)
    mended = await place(browser, await bring(browser, out.getvalue(), "mended.xlsx"))
    assert figures(mended) == [1, 0, 0]
    assert await placed_in(api.database) == ["X-1", "X-2"]


async def test_a_file_that_cannot_be_read_is_refused_in_words_and_kept_nowhere(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    before = await counts(api.database)
    for raw, words in (
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "an old Excel file, or one with a password"),
        (b"PK\x03\x04rest", "the workbook is damaged or has a password"),
        (b"\xff\xfe\xff", "neither UTF-8 nor GB18030"),
        (b"x" * (8 * 1024 * 1024 + 1), "larger than 8 MiB"),
        (b"", "the file has no rows"),
    ):
        answer = await bring(browser, raw, "<i>x.xlsx")
        assert (answer.status_code, words in answer.text, "<i>x" in answer.text) == (422, True, False)
    assert await counts(api.database) == before


async def test_a_file_of_five_thousand_orders_is_read_and_kept(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    shown = await bring(browser, a_workbook(*(a_row(订单号=f"B-{n}") for n in range(5000))))
    assert (shown.status_code, figures(shown)) == (200, [5000, 0, 0, 0, 5000])


async def test_no_connection_is_held_while_a_file_is_read(
    api: Api, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    async def watched(raw: bytes, name: str, choice: Choice) -> Reading:
        held.append(api.app.state.engine.pool.checkedout())
        return await read_apart(raw, name, choice)

    monkeypatch.setattr(routes, "read_apart", watched)
    browser = await visit("sales").log_in()
    shown = await bring(browser, a_workbook(a_row()))
    await browser.post(_path(shown, "/columns"), sheet="订单", sheet_before="", time_zone="UTC")
    assert held == [0, 0]


async def test_whoever_may_not_place_orders_neither_sees_nor_brings_files(api: Api, visit: Visit) -> None:
    sales = await visit("sales").log_in()
    path = _path(await bring(sales, a_workbook(a_row())), "")
    for role in ("warehouse", "finance", "service", "gm"):
        browser = await visit(role).log_in()
        assert "/console/imports" not in (await browser.get("/")).text
        for answer in (
            await browser.get("/imports"),
            await browser.get(path),
            await browser.get(f"{path}/refused.xlsx"),
            await browser.get("/imports/template.xlsx"),
            await browser.post(f"{path}/place"),
            await bring(browser, a_workbook(a_row())),
        ):
            assert answer.status_code == 403
    assert await placed_in(api.database) == []


async def test_an_import_that_was_interrupted_goes_on_where_it_was(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    shown = await bring(browser, a_workbook(*(a_row(订单号=f"X-{n}") for n in range(5))))
    import_id = shown.url.path.rpartition("/")[2]
    async with api.database.sessions() as session, session.begin():
        assert await imports.claim(session, import_id, "sales") is not None
    async with api.database.sessions() as session, session.begin():
        assert await imports.claim(session, import_id, "operations") is None
    # Two were placed, of which one was put on record before the process ended.
    for number in (0, 1):
        await _place_alone(api, import_id, number)
    async with api.database.sessions() as session, session.begin():
        fate = imports.Fate(0, "shop/X-0", "placed", order_number("shop", "X-0"))
        await imports.record(session, import_id, [fate])
        await imports.let_go(session, import_id)
    assert "It was interrupted" in (await browser.get(_path(shown, ""))).text
    assert figures(await place(browser, shown)) == [5, 0, 0]
    assert await placed_in(api.database) == [f"X-{n}" for n in range(5)]


async def test_files_are_kept_encrypted_for_a_day_and_what_became_of_them_for_good(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    done = await place(browser, await bring(browser, a_workbook(a_row(手机=PHONE))))
    async with api.database.sessions() as session, session.begin():
        row = (await session.exec(select(OrderImport))).one()
        assert row.file is not None
        assert row.reading is not None
        assert PHONE.encode() not in row.file + row.reading
        assert PHONE.encode() in imports.reading_of(row, api.app.state.keyring)
        row.brought_at -= imports.KEPT_FOR * 1.01
        session.add(row)
        await session.flush()
        await imports.forget(session)
    later = await browser.get(_path(done, ""))
    assert (figures(later), "/refused.xlsx" in later.text) == ([1, 0, 0], False)
    refused = await browser.get(_path(done, "/refused.xlsx"))
    assert (refused.status_code, "bring it again" in refused.text) == (409, True)


async def test_files_are_encrypted_anew_under_a_new_key(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    await bring(browser, a_workbook(a_row()))
    old: KeyRing = api.app.state.keyring
    old._ciphers.update(KeyRing({"next": b"n" * 32})._ciphers)
    both, alone = old, KeyRing({"next": b"n" * 32})
    both.current = "next"
    async with api.database.sessions() as session, session.begin():
        assert (await imports.reseal(session, both), await imports.reseal(session, both)) == (1, 0)
    async with api.database.sessions() as session:
        row = (await session.exec(select(OrderImport))).one()
        assert imports.file_of(row, alone).startswith(b"PK")


async def test_templates_are_read_as_they_are(api: Api, visit: Visit) -> None:
    browser = await visit("sales").log_in()
    for name in ("template.xlsx", "template.csv"):
        answer = await browser.get(f"/imports/{name}")
        assert "attachment" in answer.headers["content-disposition"]
        shown = await bring(browser, answer.content, name)
        assert figures(shown) == [1, 0, 0, 0, 1]


async def _place_alone(api: Api, import_id: str, number: int) -> None:
    from api.orders.intake import Intake
    from domain.access import Principal
    from domain.flow.vocabulary import Role
    from importing.apart import reading_of

    state: Any = api.app.state
    async with state.sessions() as session:
        reading = reading_of(imports.reading_of(await imports.find(session, import_id), state.keyring))
    intake = Intake(state.sessions, None, state.flows, state.keyring)
    caller = Principal("sales", "console", frozenset({Role.SALES}))
    await intake.take(reading.readout.items[number].body, caller, "import")


def _path(answer: httpx.Response, more: str) -> str:
    return answer.url.path.removeprefix("/console") + more
