import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text

from models.columns import now
from models.inbox import InboxMessage
from runtime.database import Sessions
from store import holds, inbox, orders, stock
from store.holds import Reason
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.stock import stocked

START = now()


async def wait(sessions: Sessions, order_no: str, lines: Sequence[Line], *, age_s: int) -> None:
    """An order that came `age_s` seconds before START and is held for stock."""
    await place(sessions, order_no, lines, received_at=START - timedelta(seconds=age_s))
    await hold(sessions, order_no)


async def hold(sessions: Sessions, order_no: str, reason_code: str = "out_of_stock") -> None:
    async with sessions() as session, session.begin():
        order = await orders.lock(session, order_no)
        await holds.open_hold(session, order, Reason(reason_code, "short"))


async def fillable(sessions: Sessions, limit: int = 100) -> list[str]:
    async with sessions() as session:
        return [one.order_no for one in await stock.fillable(session, limit)]


async def woken(sessions: Sessions, limit: int = 100) -> list[str]:
    async with sessions() as session, session.begin():
        return [one.order_no for one in await stock.wake(session, limit)]


async def test_the_oldest_comes_first_and_leaves_the_rest_to_the_next(database: Database) -> None:
    await wait(database.sessions, "SO-B", [Line(quantity=2)], age_s=30)
    await wait(database.sessions, "SO-A", [Line(quantity=2)], age_s=20)
    await wait(database.sessions, "SO-C", [Line(quantity=1)], age_s=10)
    await wait(database.sessions, "SO-D", [Line(quantity=1)], age_s=0)
    await stocked(database.sessions, SKU_1=3)
    async with database.sessions() as session:
        await session.execute(text("DELETE FROM inbox_messages WHERE source = 'stock'"))
        assert [one.order_no for one in await stock.fillable(session, 100)] == ["SO-B", "SO-C"]
        assert [one.order_no for one in await stock.fillable(session, 1)] == ["SO-B"]


async def test_who_lacks_one_sku_takes_nothing_from_the_others(database: Database) -> None:
    await wait(database.sessions, "SO-1", [Line("1", "SKU-1"), Line("2", "SKU-2")], age_s=30)
    await wait(database.sessions, "SO-2", [Line("1", "SKU-1")], age_s=20)
    outcome = await stocked(database.sessions, SKU_1=1)
    assert [one.order_no for one in outcome.woken] == ["SO-2"]


async def test_a_gift_that_cannot_travel_with_its_line_keeps_its_order_waiting(database: Database) -> None:
    await stocked(database.sessions, "R-1", "main", SKU_1=1)
    lines = [Line("1", "SKU-1"), Line("2", "GIFT", unit_price_minor=0, gift_of="1")]
    await wait(database.sessions, "SO-1", lines, age_s=0)
    assert (await stocked(database.sessions, "R-2", "north", GIFT=1)).woken == ()
    assert len((await stocked(database.sessions, "R-3", "main", GIFT=1)).woken) == 1


async def test_a_receipt_tells_each_waiting_order_once_per_attempt(database: Database) -> None:
    await wait(database.sessions, "SO-1", [Line()], age_s=0)
    first = await stocked(database.sessions, SKU_1=1)
    assert [one.order_no for one in first.woken] == ["SO-1"]
    assert (await stocked(database.sessions, "R-2", SKU_1=1)).woken == ()
    await hold(database.sessions, "SO-1")
    assert await woken(database.sessions) == ["SO-1"]
    async with database.sessions() as session:
        message = await session.get_one(InboxMessage, first.woken[0].inbox_id)
        pending = await inbox.claim_pending(session, 10)
    assert (message.source, message.message_id, message.kind) == ("stock", "replenished/SO-1-H1/1", "stock.replenished")
    assert (message.body, message.actor) == ('{"hold_id": "SO-1-H1", "attempts": 1}', "orderflow")
    assert [one.message_id for one in pending] == ["replenished/SO-1-H1/1", "replenished/SO-1-H1/2"]


async def test_an_order_that_was_told_still_has_its_units_set_aside(database: Database) -> None:
    await wait(database.sessions, "SO-1", [Line()], age_s=10)
    await wait(database.sessions, "SO-2", [Line()], age_s=0)
    await stocked(database.sessions, SKU_1=1)
    assert await fillable(database.sessions) == []
    async with database.sessions() as session, session.begin():
        await session.execute(text("UPDATE inbox_messages SET received_at = now() - interval '11 minutes'"))
    assert await fillable(database.sessions) == ["SO-2"]


async def test_a_sku_nobody_knew_wakes_its_orders_when_it_comes(database: Database) -> None:
    await place(database.sessions, lines=[Line(sku="SKU-9")])
    await hold(database.sessions, "SO-1", "unknown_sku")
    assert [one.order_no for one in (await stocked(database.sessions, SKU_9=1)).woken] == ["SO-1"]


async def test_orders_on_their_way_out_or_held_for_something_else_are_left_alone(database: Database) -> None:
    await place(database.sessions, "SO-1", closed_at=now())
    await place(database.sessions, "SO-2", cancel_requested_at=now())
    await place(database.sessions, "SO-3")
    await hold(database.sessions, "SO-1")
    await hold(database.sessions, "SO-2")
    await hold(database.sessions, "SO-3", "price_mismatch")
    assert (await stocked(database.sessions, SKU_1=5)).woken == ()


async def test_two_who_wake_at_once_tell_each_order_once(database: Database) -> None:
    for number in range(20):
        await wait(database.sessions, f"SO-{number:02}", [Line()], age_s=number % 7)
    async with database.sessions() as session, session.begin():
        await session.execute(
            text("INSERT INTO products (sku, name, active, updated_at) VALUES ('SKU-1', '', true, now())")
        )
        await session.execute(text("INSERT INTO stock_levels VALUES ('SKU-1', 'main', 20, 0, 0)"))
    told = await asyncio.gather(*(woken(database.sessions) for _process in range(4)))
    assert sorted(order_no for some in told for order_no in some) == [f"SO-{number:02}" for number in range(20)]


_CROWD = """
WITH placed AS (
    INSERT INTO orders (SELECT (jsonb_populate_record(o, jsonb_build_object(
        'order_no', 'W-' || n, 'voucher_no', 'V-W-' || n, 'external_id', 'W-' || n,
        'received_at', o.received_at + n * interval '1 second'))).*
    FROM orders o, generate_series(1, :many) n WHERE o.order_no = 'SO-1') RETURNING order_no
), line AS (
    INSERT INTO order_lines (SELECT (jsonb_populate_record(l, jsonb_build_object('order_no', placed.order_no))).*
    FROM order_lines l, placed WHERE l.order_no = 'SO-1')
)
INSERT INTO order_holds (SELECT (jsonb_populate_record(h, jsonb_build_object(
    'order_no', placed.order_no, 'hold_id', placed.order_no || '-H1'))).*
FROM order_holds h, placed WHERE h.order_no = 'SO-1')
"""


async def test_ten_thousand_waiting_orders_cost_little(database: Database) -> None:
    await wait(database.sessions, "SO-1", [Line("1", "SKU-1"), Line("2", "SKU-2")], age_s=0)
    async with database.sessions() as session, session.begin():
        await session.execute(text(_CROWD), {"many": 10_000})
    await stocked(database.sessions, SKU_1=100)
    began = time.monotonic()
    assert await fillable(database.sessions) == []
    nobody = time.monotonic() - began
    outcome = await stocked(database.sessions, "R-2", SKU_2=1)
    assert [one.order_no for one in outcome.woken] == ["SO-1"]
    began = time.monotonic()
    assert await fillable(database.sessions) == []
    assert (nobody < 2, time.monotonic() - began < 2) == (True, True)
