"""Orders that wait for stock: which of them could be filled now, oldest first, and waking those."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allocation import Shortage, WantedLine, allocate
from models.columns import now
from models.inbox import InboxMessage
from store.inbox import Incoming

_SOURCE = "stock"
_PAGE = 200
# An order that was woken and has not reserved for longer than this no longer keeps younger ones from being woken.
_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order held for stock, and how many times reserving has failed under this hold."""

    order_no: str
    hold_id: str
    attempts: int

    @property
    def message_id(self) -> str:
        """One per failed attempt: an order that is woken and again finds too little can be woken again."""
        return f"replenished/{self.hold_id}/{self.attempts}"


@dataclass(frozen=True, slots=True)
class Woken:
    """A message that tells an order of new stock; it lies in the inbox and is still to be handed over."""

    inbox_id: int
    order_no: str


@dataclass(slots=True)
class _Supply:
    """What is free while waiting orders are served in thought, one after the other."""

    free: dict[tuple[str, str], int]
    warehouses: list[str]
    skus: set[str]

    def serve(self, lines: Sequence[WantedLine]) -> bool:
        """Take what these lines need, if all of it is there."""
        wanted = {line.sku for line in lines}
        part = {(sku, at): self.free.get((sku, at), 0) for sku in wanted for at in self.warehouses}
        chosen = allocate(lines, part, self.warehouses)
        if isinstance(chosen, Shortage):
            return False
        for one in chosen:
            self.free[one.sku, one.warehouse] -= one.quantity
        return True

    def used_up(self) -> list[str]:
        left = {sku for (sku, _at), units in self.free.items() if units > 0}
        return sorted(self.skus - left)


# A page of orders each of whose SKUs is there in number, all warehouses together. Who is short of anything is left out
# here, so that thousands of orders that wait for other goods are neither fetched nor thought through.
_CANDIDATES = text("""
WITH waiting AS MATERIALIZED (
    SELECT DISTINCT ON (o.received_at, o.order_no) o.received_at, o.order_no, h.hold_id, h.attempts
    FROM order_holds h JOIN orders o ON o.order_no = h.order_no
    WHERE h.resolved_at IS NULL AND h.reason_code IN ('out_of_stock', 'unknown_sku')
      AND o.closed_at IS NULL AND o.cancel_requested_at IS NULL
      AND (o.received_at, o.order_no) > (:received_at, :order_no)
    ORDER BY o.received_at, o.order_no, h.hold_id
), needed AS MATERIALIZED (
    SELECT waiting.*, l.sku, sum(l.quantity - l.cancelled - l.allocated) AS units
    FROM waiting JOIN order_lines l ON l.order_no = waiting.order_no
    WHERE l.quantity - l.cancelled - l.allocated > 0
    GROUP BY waiting.received_at, waiting.order_no, waiting.hold_id, waiting.attempts, l.sku
), supply AS MATERIALIZED (
    SELECT s.sku, sum(s.on_hand - s.reserved) AS units
    FROM stock_levels s JOIN warehouses w ON w.code = s.warehouse AND w.active
    WHERE s.on_hand > s.reserved AND s.sku IN (SELECT sku FROM needed) AND s.sku <> ALL(CAST(:used_up AS text[]))
    GROUP BY s.sku
), page AS MATERIALIZED (
    SELECT received_at, order_no, hold_id, attempts FROM needed LEFT JOIN supply USING (sku)
    GROUP BY received_at, order_no, hold_id, attempts HAVING bool_and(coalesce(supply.units, 0) >= needed.units)
    ORDER BY received_at, order_no LIMIT :page
)
SELECT page.*,
       (SELECT m.received_at FROM inbox_messages m
        WHERE m.source = 'stock' AND m.message_id = 'replenished/' || hold_id || '/' || attempts) AS told_at,
       (SELECT json_agg(json_build_array(line_id, sku, quantity - cancelled - allocated, gift_of) ORDER BY position)
        FROM order_lines l WHERE l.order_no = page.order_no AND quantity - cancelled - allocated > 0) AS lines
FROM page ORDER BY received_at, order_no
""")

_FREE = text("""
SELECT s.sku, s.warehouse, s.on_hand - s.reserved AS available, w.priority
FROM stock_levels s JOIN warehouses w ON w.code = s.warehouse AND w.active
WHERE s.sku = ANY(:skus) AND s.on_hand > s.reserved
""")


async def fillable(session: AsyncSession, limit: int) -> list[Waiting]:
    """Orders held for stock that could now be reserved as a whole, oldest first, and have not been told yet.

    Each leaves to the older ones what they need; so do those that were told and are about to reserve.
    """
    await session.flush()
    found: list[Waiting] = []
    supply = _Supply({}, [], set())
    after: dict[str, Any] = {"received_at": datetime.min.replace(tzinfo=UTC), "order_no": ""}
    while len(found) < limit:
        bounds = {"used_up": supply.used_up(), "page": _PAGE}
        page = (await session.execute(_CANDIDATES, after | bounds)).all()
        if not page:
            break
        await _learn(session, supply, page)
        for row in page:
            lines = _wanted(row.lines)
            overdue = row.told_at is not None and row.told_at < now() - _PATIENCE
            if not overdue and supply.serve(lines) and row.told_at is None:
                found.append(Waiting(row.order_no, row.hold_id, row.attempts))
        after = {"received_at": page[-1].received_at, "order_no": page[-1].order_no}
    return found[:limit]


async def _learn(session: AsyncSession, supply: _Supply, page: Sequence[Any]) -> None:
    """Afterwards `supply` knows every SKU of the page; what it knew, less what was taken, stays."""
    skus = sorted({sku for row in page for _line_id, sku, _needed, _gift_of in row.lines} - supply.skus)
    rows = (await session.execute(_FREE, {"skus": skus})).all() if skus else []
    supply.skus.update(skus)
    supply.free.update({(row.sku, row.warehouse): row.available for row in rows})
    if not supply.warehouses:
        supply.warehouses = await _by_priority(session)


async def _by_priority(session: AsyncSession) -> list[str]:
    found = await session.execute(text("SELECT code FROM warehouses WHERE active ORDER BY priority, code"))
    return list(found.scalars())


def _wanted(lines: Sequence[Any]) -> list[WantedLine]:
    waiting = {line_id for line_id, *_rest in lines}
    return [
        WantedLine(line_id, sku, needed, gift_of if gift_of in waiting else None)
        for line_id, sku, needed, gift_of in lines
    ]


async def wake(session: AsyncSession, limit: int = 100) -> list[Woken]:
    """Afterwards up to `limit` orders that can be filled are told so in the inbox; returns the new messages.

    To be called last in a transaction: it takes no lock but on the messages it adds, oldest order first.
    """
    waiting = await fillable(session, limit)
    if not waiting:
        return []
    statement = (
        insert(InboxMessage)
        .values([_message(one) for one in waiting])
        .on_conflict_do_nothing()
        .returning(col(InboxMessage.inbox_id), col(InboxMessage.order_no))
    )
    return [Woken(inbox_id, order_no) for inbox_id, order_no in (await session.execute(statement)).all()]


def _message(waiting: Waiting) -> Mapping[str, Any]:
    meaning = {"hold_id": waiting.hold_id, "attempts": waiting.attempts}
    message = Incoming(
        _SOURCE, waiting.message_id, "stock.replenished", waiting.order_no, json.dumps(meaning), meaning, "orderflow"
    )
    return {
        "source": message.source,
        "message_id": message.message_id,
        "kind": message.kind,
        "order_no": message.order_no,
        "fingerprint": message.fingerprint,
        "body": message.body,
        "actor": message.actor,
        "received_at": now(),
        "hand_over_attempts": 0,
    }
