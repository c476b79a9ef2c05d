"""Whatever happens to stock in whatever order, levels, movements, promises and order lines go on agreeing."""

import itertools
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from domain.allocation import Allocation
from models.order import OrderLine
from runtime.database import Sessions
from store import orders, stock
from store.stock import LeavingUnits, ReceiptLine
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.stock import is_sound, receive

_runs = itertools.count(1)

SKUS, WAREHOUSES, ORDERS = range(3), ("main", "north"), range(3)
RECEIPT = st.tuples(
    st.sampled_from(WAREHOUSES),
    st.lists(
        st.tuples(st.sampled_from(SKUS), st.integers(1, 5), st.none() | st.integers(0, 999)), min_size=1, max_size=3
    ),
)
STEP = st.one_of(
    st.tuples(st.just("receive"), RECEIPT),
    st.tuples(st.just("reserve"), st.sampled_from(ORDERS)),
    st.tuples(st.just("release"), st.sampled_from(ORDERS)),
    st.tuples(st.just("ship"), st.sampled_from(ORDERS)),
    st.tuples(st.just("ship some"), st.sampled_from(ORDERS)),
)
WANTED = st.lists(
    st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 4)), min_size=1, max_size=3),
    min_size=len(ORDERS),
    max_size=len(ORDERS),
)


@dataclass
class Shop:
    """Real stock beside a count, by hand, of what came, left and is promised."""

    sessions: Sessions
    run: int
    came: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    parcels: int = 0

    def sku(self, number: int) -> str:
        return f"SKU-{self.run}-{number}"

    def order_no(self, number: int) -> str:
        return f"SO-{self.run}-{number}"

    async def receive(self, warehouse: str, lines: list[tuple[int, int, int | None]]) -> None:
        receipt_id = f"R-{self.run}-{self.came.total()}"
        units = [ReceiptLine(self.sku(number), quantity, cost) for number, quantity, cost in lines]
        await receive(self.sessions, units, receipt_id, warehouse)
        for one in units:
            self.came[one.sku] += one.quantity

    async def reserve(self, number: int) -> None:
        async with self.sessions() as session, session.begin():
            await orders.lock(session, self.order_no(number))
            await stock.reserve(session, self.order_no(number))

    async def release(self, number: int) -> None:
        async with self.sessions() as session, session.begin():
            await orders.lock(session, self.order_no(number))
            await stock.release(session, self.order_no(number))

    async def ship(self, number: int, most: int) -> None:
        """A parcel per warehouse, with at most so many units of each line."""
        order_no = self.order_no(number)
        async with self.sessions() as session, session.begin():
            await orders.lock(session, order_no)
            promised = await stock.reservations(session, order_no)
            for warehouse in WAREHOUSES:
                self.parcels += 1
                here = [one for one in promised if one.warehouse == warehouse]
                parcel = [LeavingUnits(one.line_id, warehouse, min(one.quantity, most)) for one in here]
                first = await stock.ship(session, order_no, f"S-{self.run}-{self.parcels}", parcel)
                assert await stock.ship(session, order_no, f"S-{self.run}-{self.parcels}", parcel) == first
                self._count(here, most)

    def _count(self, here: list[Allocation], most: int) -> None:
        for one in here:
            self.left[one.sku] += min(one.quantity, most)

    async def check(self) -> None:
        assert await is_sound(self.sessions)
        async with self.sessions() as session:
            for number in SKUS:
                levels = await stock.levels(session, sku=self.sku(number))
                sku = self.sku(number)
                assert sum(level.on_hand for level in levels) == self.came[sku] - self.left[sku]
                assert all(level.value_minor == 0 for level in levels if level.on_hand == 0)
            query = select(OrderLine).where(col(OrderLine.order_no).startswith(f"SO-{self.run}-"))
            lines = (await session.exec(query)).all()
        for number in ORDERS:
            whole = {line.allocated == line.quantity for line in lines if line.order_no == self.order_no(number)}
            only_shipped = {line.allocated == line.shipped for line in lines if line.order_no == self.order_no(number)}
            assert whole == {True} or only_shipped == {True}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=WANTED, steps=st.lists(STEP, min_size=3, max_size=15))
async def test_stock_agrees_with_itself_after_every_step(
    database: Database,
    wanted: list[list[tuple[int, int]]],
    steps: list[tuple[str, tuple[str, list[tuple[int, int, int | None]]] | int]],
) -> None:
    shop = Shop(database.sessions, next(_runs))
    for number, needs in enumerate(wanted):
        lines = [Line(str(at), shop.sku(sku), quantity) for at, (sku, quantity) in enumerate(needs)]
        await place(database.sessions, shop.order_no(number), lines)
    for kind, what in steps:
        match kind, what:
            case "receive", (str(warehouse), list(units)):
                await shop.receive(warehouse, units)
            case "reserve", int(number):
                await shop.reserve(number)
            case "release", int(number):
                await shop.release(number)
            case "ship", int(number):
                await shop.ship(number, most=99)
            case "ship some", int(number):
                await shop.ship(number, most=1)
        await shop.check()
