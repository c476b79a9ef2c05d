"""Orders that can be shipped, and carriers' reports as our door lets them in."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from activities.step import Fact
from models.columns import now
from models.inbox import InboxMessage
from runtime.database import Sessions
from store import stock
from store.stock import ReceiptLine
from tests.factories.orders import Line, place
from tests.factories.stock import receive

MORNING = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SHIP_TO = {
    "name": "王小明",
    "phone": "13800000000",
    "country": "CN",
    "region": "浙江省",
    "city": "杭州市",
    "street": "西湖区文三路 1 号",
    "postal_code": "310000",
}


async def ready_to_ship(
    sessions: Sessions, order_no: str = "SO-1", lines: Sequence[Line] = (Line(),), *, at: str = "main", **columns: Any
) -> None:
    """An accepted order whose units are reserved, 60.00 each. `at`: the warehouse of every line.

    A line of a SKU that ends in `-north` lies in the warehouse `north` instead.
    """
    await place(sessions, order_no, lines, **({"lifecycle": "accepted", "ship_to": SHIP_TO} | columns))
    for line in lines:
        warehouse = "north" if line.sku.endswith("-north") else at
        receipt = ReceiptLine(line.sku, line.quantity, 6_000)
        await receive(sessions, [receipt], f"R-{order_no}-{line.line_id}", warehouse)
    async with sessions() as session, session.begin():
        reserved = await stock.reserve(session, order_no)
    assert isinstance(reserved, stock.Reserved)


async def reported(
    sessions: Sessions, status: str, shipment_no: str = "SO-1-S1", *, event_id: str | None = None, hours: int = 0
) -> Fact:
    """A carrier's report of this status, so many hours after the morning, in the inbox of the shipment's order."""
    said = {
        "event_id": event_id or f"{shipment_no}-{status}",
        "shipment_no": shipment_no,
        "status": status,
        "occurred_at": (MORNING + timedelta(hours=hours)).isoformat(),
    }
    return await message(sessions, shipment_no.rsplit("-", 1)[0], said)


async def message(sessions: Sessions, order_no: str, said: dict[str, Any], kind: str = "parcel.scanned") -> Fact:
    """Any fact in the inbox of an order."""
    body = json.dumps(said)
    async with sessions() as session, session.begin():
        row = InboxMessage(
            source="carrier",
            message_id=f"{sha256(body.encode()).hexdigest()[:12]}/{now().timestamp()}",
            kind=kind,
            order_no=order_no,
            fingerprint=sha256(body.encode()).hexdigest(),
            body=body,
            actor="simulated",
        )
        session.add(row)
        await session.flush()
        assert row.inbox_id is not None
        return Fact(order_no, row.inbox_id)
