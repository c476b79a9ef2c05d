import time

import pytest
from sqlalchemy import event, text
from sqlmodel import col, select

from domain.money import MAX_MINOR, AmountTooLarge
from models.masters import Product
from models.stock import StockLevel, StockMovement
from runtime.database import Sessions
from store import stock
from store.inbox import MessageDiffers
from store.stock import GoodsReceipt, ReceiptLine, ReceiptOutcome, UnknownWarehouse
from tests.conftest import Database
from tests.factories.orders import add_masters
from tests.factories.stock import is_sound, level, receive


async def movements(sessions: Sessions) -> list[tuple[str, int, int]]:
    async with sessions() as session:
        rows = await session.exec(select(StockMovement).order_by(col(StockMovement.movement_id)))
        return [(row.movement_key, row.quantity, row.value_minor) for row in rows]


async def balances(sessions: Sessions) -> dict[str, int]:
    async with sessions() as session:
        signed = "sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END)"
        rows = await session.execute(text(f"SELECT role, {signed} FROM journal_lines GROUP BY role"))
        return {role: int(minor) for role, minor in rows}


async def test_goods_come_in_with_their_cost_and_make_what_is_new(database: Database) -> None:
    lines = [ReceiptLine("SKU-2", 1, 500), ReceiptLine("SKU-1", 3, 600), ReceiptLine("SKU-1", 1, 200)]
    assert await receive(database.sessions, lines) == ReceiptOutcome(repeated=False)
    assert await level(database.sessions, "SKU-1") == (4, 0, 2_000)
    assert await level(database.sessions, "SKU-2") == (1, 0, 500)
    assert await movements(database.sessions) == [
        ("receipt/R-1/1", 1, 500),
        ("receipt/R-1/2", 3, 1_800),
        ("receipt/R-1/3", 1, 200),
    ]
    async with database.sessions() as session:
        names = (await session.exec(select(Product.name).order_by(col(Product.sku)))).all()
    assert names == ["SKU-1", "SKU-2"]
    assert await is_sound(database.sessions)


async def test_a_product_that_is_known_keeps_its_name(database: Database) -> None:
    async with database.sessions() as session, session.begin():
        session.add(Product(sku="SKU-1", name="面膜", price_minor=11_300, currency="CNY"))
    await receive(database.sessions, [ReceiptLine("SKU-1", 1)])
    async with database.sessions() as session:
        product = await session.get_one(Product, "SKU-1")
    assert (product.name, product.price_minor) == ("面膜", 11_300)


async def test_the_value_of_a_receipt_is_owed_to_suppliers(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 10, 6_000), ReceiptLine("SKU-2", 1)])
    assert await balances(database.sessions) == {"inventory": 60_000, "goods_received_not_invoiced": -60_000}


async def test_goods_without_any_cost_post_nothing(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 10)])
    assert await level(database.sessions) == (10, 0, 0)
    assert await balances(database.sessions) == {}


async def test_goods_without_a_cost_come_in_at_the_average(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 3, 100), ReceiptLine("SKU-1", 1, 101)])
    await receive(database.sessions, [ReceiptLine("SKU-1", 2)], "R-2")
    assert await level(database.sessions) == (6, 0, 602)
    assert (await movements(database.sessions))[-1] == ("receipt/R-2/1", 2, 201)


async def test_a_receipt_twice_has_one_effect(database: Database) -> None:
    lines = [ReceiptLine("SKU-1", 3, 600)]
    await receive(database.sessions, lines)
    assert await receive(database.sessions, lines) == ReceiptOutcome(repeated=True)
    assert await level(database.sessions) == (3, 0, 1_800)
    assert await balances(database.sessions) == {"inventory": 1_800, "goods_received_not_invoiced": -1_800}


@pytest.mark.parametrize("line", [ReceiptLine("SKU-1", 4, 600), ReceiptLine("SKU-1", 3), ReceiptLine("SKU-2", 3, 600)])
async def test_another_receipt_of_the_same_id_is_refused(database: Database, line: ReceiptLine) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 3, 600)])
    with pytest.raises(MessageDiffers):
        await receive(database.sessions, [line])
    assert await level(database.sessions) == (3, 0, 1_800)
    assert await level(database.sessions, "SKU-2") == (0, 0, 0)


async def test_a_warehouse_nobody_knows_is_refused_and_nothing_made(database: Database) -> None:
    with pytest.raises(UnknownWarehouse):
        async with database.sessions() as session, session.begin():
            await stock.receive(session, GoodsReceipt("R-1", "nowhere", (ReceiptLine("SKU-1", 1),)), by="keeper")
    async with database.sessions() as session:
        assert (await session.exec(select(Product))).all() == []


async def test_more_value_than_books_can_hold_is_refused_and_nothing_made(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 1, MAX_MINOR)])
    with pytest.raises(AmountTooLarge):
        await receive(database.sessions, [ReceiptLine("SKU-1", 1, 1)], "R-2")
    assert await level(database.sessions) == (1, 0, MAX_MINOR)


@pytest.mark.parametrize(("quantity", "cost"), [(0, 1), (-1, 1), (1, -1)])
def test_a_line_brings_something_at_no_negative_cost(quantity: int, cost: int) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        ReceiptLine("SKU-1", quantity, cost)


async def test_a_receipt_of_five_thousand_lines_takes_few_round_trips(database: Database) -> None:
    async with database.sessions() as session, session.begin():
        await add_masters(session)
    sent: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *call: sent.append(call[2]))
    lines = tuple(ReceiptLine(f"SKU-{at:04}", 2, at) for at in range(5_000))
    began = time.monotonic()
    async with database.sessions() as session, session.begin():
        await stock.receive(session, GoodsReceipt("R-1", "main", lines), by="keeper")
    assert time.monotonic() - began < 20
    assert len(sent) <= 10
    async with database.sessions() as session:
        rows = (await session.exec(select(StockLevel))).all()
    assert (len(rows), sum(row.value_minor for row in rows)) == (5_000, 5_000 * 4_999)
    assert await is_sound(database.sessions)
