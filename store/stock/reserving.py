"""Promising stock to orders and taking promises back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allocation import Allocation, Shortage, WantedLine, allocate
from models.columns import now
from models.order import OrderLine
from runtime.database import APART
from runtime.direct import later
from store import whole
from store.whole import Question

# The first attempt reads without a lock, the second on levels it has locked: a third never comes.
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Reserved:
    """Everything the order needs is promised to it. `allocations`: what was promised now; empty: it all was before."""

    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownSkus:
    """Nothing is promised: these SKUs are in no catalogue and never were in stock."""

    skus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Demand:
    lines: list[WantedLine]
    unknown: tuple[str, ...]
    availability: Mapping[tuple[str, str], int]
    warehouses: list[str]


_DEMAND = Question("""
SELECT l.line_id, l.sku, l.gift_of, l.quantity - l.cancelled - l.allocated AS needed, p.sku IS NOT NULL AS known,
       s.warehouse, s.on_hand - s.reserved AS available, s.priority
FROM order_lines l
LEFT JOIN products p ON p.sku = l.sku
LEFT JOIN (SELECT levels.*, warehouses.priority FROM stock_levels levels
           JOIN warehouses ON warehouses.code = levels.warehouse AND warehouses.active) s ON s.sku = l.sku
WHERE l.order_no = %(order_no)s AND l.quantity - l.cancelled - l.allocated > 0
ORDER BY l.position
""")

# Every level of the order's SKUs is locked first, in primary key order, by a statement of its own: one that waited for
# a lock goes on with the snapshot it began with, so only the next one is sure to read what was committed meanwhile.
# Levels in warehouses that are not chosen are locked too, so that choosing anew takes no lock out of order.
_LOCK = text("""
SELECT 1 FROM stock_levels WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku, warehouse FOR UPDATE
""")

# All or nothing, decided on levels that nobody else can change any more.
_TAKE = text("""
WITH wanted AS (
    SELECT * FROM unnest(CAST(:line_ids AS text[]), CAST(:skus AS text[]), CAST(:warehouses AS text[]),
                         CAST(:quantities AS int[])) AS w (line_id, sku, warehouse, quantity)
), locked AS MATERIALIZED (
    SELECT sku, warehouse, on_hand - reserved AS available FROM stock_levels
    WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku, warehouse
), needed AS (
    SELECT sku, warehouse, sum(quantity) AS quantity FROM wanted GROUP BY sku, warehouse
), decision AS MATERIALIZED (
    SELECT bool_and(coalesce(locked.available, 0) >= needed.quantity) AS won
    FROM needed LEFT JOIN locked USING (sku, warehouse)
), taken AS (
    UPDATE stock_levels s SET reserved = s.reserved + needed.quantity
    FROM needed, decision WHERE won AND s.sku = needed.sku AND s.warehouse = needed.warehouse
), promised AS (
    INSERT INTO reservations AS r (order_no, line_id, warehouse, sku, quantity, state, expires_at, updated_at)
    SELECT :order_no, line_id, warehouse, sku, quantity, 'active', CAST(:expires_at AS timestamptz), :at
    FROM wanted, decision WHERE won
    ON CONFLICT (order_no, line_id, warehouse) DO UPDATE
    SET quantity = excluded.quantity + CASE r.state WHEN 'active' THEN r.quantity ELSE 0 END,
        sku = excluded.sku, state = 'active', expires_at = excluded.expires_at, updated_at = excluded.updated_at
), counted AS (
    UPDATE order_lines l SET allocated = l.allocated + w.quantity
    FROM (SELECT line_id, sum(quantity) AS quantity FROM wanted GROUP BY line_id) w, decision
    WHERE won AND l.order_no = :order_no AND l.line_id = w.line_id
)
SELECT won, sku, warehouse, available FROM decision LEFT JOIN locked ON NOT won
""")


async def reserve(
    session: AsyncSession, order_no: str, expires_at: datetime | None = None
) -> Reserved | Shortage | UnknownSkus:
    """Afterwards every unit that the order's lines still need is promised to it, until `expires_at`; or none is."""
    await whole.settle_lines(session)
    demand = await _demand(session, order_no)
    if demand.unknown:
        return UnknownSkus(demand.unknown)
    availability = demand.availability
    for _attempt in range(_ATTEMPTS):
        chosen = allocate(demand.lines, availability, demand.warehouses)
        if isinstance(chosen, Shortage):
            return chosen
        left = await _take(session, order_no, chosen, expires_at) if chosen else None
        if left is None:
            return Reserved(tuple(chosen))
        availability = left
    return Shortage({line.sku: line.quantity for line in demand.lines})


async def _demand(session: AsyncSession, order_no: str) -> _Demand:
    rows = await _DEMAND.answer(session, order_no)
    if {row["line_id"]: row["needed"] for row in rows} != await _needed(session, order_no):
        # Changed by this transaction since the order was locked.
        rows = await _DEMAND.answer(session, order_no)
    waiting = {row["line_id"] for row in rows}
    lines = {
        # A gift whose parent has its units already is not tied to lines that are still to be allocated.
        row["line_id"]: WantedLine(
            row["line_id"], row["sku"], row["needed"], row["gift_of"] if row["gift_of"] in waiting else None
        )
        for row in rows
    }
    stocked = [row for row in rows if row["warehouse"] is not None]
    return _Demand(
        lines=list(lines.values()),
        unknown=tuple(sorted({row["sku"] for row in rows if not row["known"]})),
        availability={(row["sku"], row["warehouse"]): row["available"] for row in stocked},
        warehouses=[code for _priority, code in sorted({(row["priority"], row["warehouse"]) for row in stocked})],
    )


async def _needed(session: AsyncSession, order_no: str) -> dict[str, int]:
    lines = await whole.rows(session, OrderLine, order_no)
    needed = {line.line_id: line.quantity - line.cancelled - line.allocated for line in lines}
    return {line_id: units for line_id, units in needed.items() if units > 0}


async def _take(
    session: AsyncSession, order_no: str, chosen: Sequence[Allocation], expires_at: datetime | None
) -> dict[tuple[str, str], int] | None:
    """None: all of it is taken. Otherwise nothing is, and these are the units left in levels that are now locked."""
    forget(session)
    await later(session, _LOCK, {"skus": [one.sku for one in chosen]})
    rows = (
        await session.execute(
            _TAKE,
            {
                "order_no": order_no,
                "line_ids": [one.line_id for one in chosen],
                "skus": [one.sku for one in chosen],
                "warehouses": [one.warehouse for one in chosen],
                "quantities": [one.quantity for one in chosen],
                "expires_at": expires_at,
                "at": now(),
            },
            execution_options=APART,
        )
    ).all()
    if not rows[0].won:
        return {(row.sku, row.warehouse): row.available for row in rows if row.sku is not None}
    for one in chosen:
        whole.count(session, order_no, one.line_id, allocated=one.quantity)
    return None


def units_by_warehouse(allocations: Sequence[Allocation]) -> dict[str, dict[str, int]]:
    """Units per warehouse and SKU, as events tell them."""
    units: dict[str, dict[str, int]] = {}
    for one in allocations:
        at = units.setdefault(one.warehouse, {})
        at[one.sku] = at.get(one.sku, 0) + one.quantity
    return units


_RELEASE = text("""
WITH freed AS (
    UPDATE reservations SET state = 'released', updated_at = :at
    WHERE order_no = ANY(:order_nos) AND state = 'active' RETURNING order_no, line_id, sku, warehouse, quantity
), returned AS (
    SELECT sku, warehouse, sum(quantity) AS quantity FROM freed GROUP BY sku, warehouse
), locked AS MATERIALIZED (
    SELECT s.sku, s.warehouse FROM stock_levels s
    WHERE (s.sku, s.warehouse) IN (SELECT sku, warehouse FROM freed) ORDER BY s.sku, s.warehouse FOR UPDATE
), given_back AS (
    UPDATE stock_levels s SET reserved = s.reserved - returned.quantity
    FROM returned JOIN locked USING (sku, warehouse) WHERE s.sku = returned.sku AND s.warehouse = returned.warehouse
), counted AS (
    UPDATE order_lines SET allocated = shipped
    WHERE (order_no, line_id) IN (SELECT order_no, line_id FROM freed)
)
SELECT * FROM freed ORDER BY sku, warehouse, line_id
""")


async def release(session: AsyncSession, order_no: str) -> list[Allocation]:
    """Afterwards nothing is promised to the order any more; returns what was. What has left stays gone."""
    return (await release_all(session, [order_no])).get(order_no, [])


async def release_all(session: AsyncSession, order_nos: Sequence[str]) -> dict[str, list[Allocation]]:
    """Afterwards nothing is promised to these orders any more; returns what was, by order."""
    await session.flush()
    forget(session)
    released: dict[str, list[Allocation]] = {}
    for row in await session.execute(_RELEASE, {"order_nos": list(order_nos), "at": now()}):
        released.setdefault(row.order_no, []).append(Allocation(row.line_id, row.sku, row.warehouse, row.quantity))
        whole.count(session, row.order_no, row.line_id, allocated=-row.quantity)
    return released


_RELEASE_UNITS = text("""
WITH freed AS (
    SELECT * FROM unnest(CAST(:line_ids AS text[]), CAST(:skus AS text[]), CAST(:warehouses AS text[]),
                         CAST(:quantities AS int[])) AS w (line_id, sku, warehouse, quantity)
), returned AS (
    SELECT sku, warehouse, sum(quantity) AS quantity FROM freed GROUP BY sku, warehouse
), locked AS MATERIALIZED (
    SELECT s.sku, s.warehouse FROM stock_levels s
    WHERE (s.sku, s.warehouse) IN (SELECT sku, warehouse FROM freed) ORDER BY s.sku, s.warehouse FOR UPDATE
), given_back AS (
    UPDATE stock_levels s SET reserved = s.reserved - returned.quantity
    FROM returned JOIN locked USING (sku, warehouse) WHERE s.sku = returned.sku AND s.warehouse = returned.warehouse
), kept AS (
    UPDATE reservations r
    SET state = CASE WHEN r.quantity > f.quantity THEN 'active' ELSE 'released' END,
        quantity = CASE WHEN r.quantity > f.quantity THEN r.quantity - f.quantity ELSE r.quantity END, updated_at = :at
    FROM freed f WHERE r.order_no = :order_no AND r.line_id = f.line_id AND r.warehouse = f.warehouse
)
UPDATE order_lines l SET allocated = l.allocated - f.quantity
FROM (SELECT line_id, sum(quantity) AS quantity FROM freed GROUP BY line_id) f
WHERE l.order_no = :order_no AND l.line_id = f.line_id
""")


async def release_units(session: AsyncSession, order_no: str, units: Sequence[Allocation]) -> None:
    """Afterwards these units are not promised to the order any more. They must be, and lie in no parcel."""
    await whole.settle_lines(session)
    forget(session)
    await later(
        session,
        _RELEASE_UNITS,
        {
            "order_no": order_no,
            "line_ids": [one.line_id for one in units],
            "skus": [one.sku for one in units],
            "warehouses": [one.warehouse for one in units],
            "quantities": [one.quantity for one in units],
            "at": now(),
        },
    )
    for one in units:
        whole.count(session, order_no, one.line_id, allocated=-one.quantity)


_PROMISED = Question("""
SELECT line_id, sku, warehouse, quantity FROM reservations
WHERE order_no = %(order_no)s AND state = 'active' ORDER BY sku, warehouse, line_id
""")


async def reservations(session: AsyncSession, order_no: str) -> list[Allocation]:
    """What is promised to the order and has not left yet."""
    found = await _PROMISED.answer(session, order_no)
    return [Allocation(row["line_id"], row["sku"], row["warehouse"], row["quantity"]) for row in found]


def forget(session: AsyncSession) -> None:
    """To be called by whoever changes what is promised, or which units are free."""
    _PROMISED.forget(session)
    _DEMAND.forget(session)
