from sqlalchemy import text

from runtime.database import Sessions
from store import stock
from store.stock import Difference
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.stock import stocked


async def keys(sessions: Sessions, **wanted: object) -> list[tuple[str, str]]:
    async with sessions() as session:
        return [(row.sku, row.warehouse) for row in await stock.levels(session, **wanted)]  # type: ignore[arg-type]


async def test_levels_are_listed_page_by_page(database: Database) -> None:
    await stocked(database.sessions, "R-1", "main", SKU_1=1, SKU_2=1)
    await stocked(database.sessions, "R-2", "north", SKU_1=1)
    assert await keys(database.sessions, limit=2) == [("SKU-1", "main"), ("SKU-1", "north")]
    assert await keys(database.sessions, limit=2, after=("SKU-1", "north")) == [("SKU-2", "main")]


async def test_levels_are_filtered_by_sku_and_by_the_warehouses_one_may_see(database: Database) -> None:
    await stocked(database.sessions, "R-1", "main", SKU_1=1, SKU_2=1)
    await stocked(database.sessions, "R-2", "north", SKU_1=1)
    assert await keys(database.sessions, sku="SKU-1") == [("SKU-1", "main"), ("SKU-1", "north")]
    assert await keys(database.sessions, warehouses=["north"]) == [("SKU-1", "north")]
    assert await keys(database.sessions, warehouses=[]) == []


async def test_every_kind_of_difference_is_found(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5, SKU_2=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2)])
    async with database.sessions() as session, session.begin():
        await stock.reserve(session, "SO-1")
    async with database.sessions() as session, session.begin():
        await session.execute(text("UPDATE stock_levels SET on_hand = 6, value_minor = 1 WHERE sku = 'SKU-2'"))
        await session.execute(text("UPDATE stock_levels SET reserved = 1 WHERE sku = 'SKU-1'"))
        await session.execute(text("UPDATE order_lines SET allocated = 1"))
    async with database.sessions() as session:
        assert await stock.differences(session) == [
            Difference("allocated", ("SO-1", "1"), 1, 2),
            Difference("on_hand", ("SKU-2", "main"), 6, 5),
            Difference("reserved", ("SKU-1", "main"), 1, 2),
            Difference("value_minor", ("SKU-2", "main"), 1, 30_000),
        ]
