"""Payment facts for tests: inbox rows as our doors write them, and what became of them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from sqlmodel import select

from activities.step import Fact
from models.inbox import InboxMessage
from models.order import Order, OrderEvent, OrderHold
from models.payment import Payment, Refund
from runtime.database import Sessions

PAID_AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


async def report(
    sessions: Sessions,
    amount_minor: int,
    payment_id: str = "P-1",
    order_no: str = "SO-1",
    *,
    method: str = "alipay",
    currency: str = "CNY",
    kind: str | None = None,
    source: str = "api",
    paid_at: datetime = PAID_AT,
    fee_minor: int = 0,
) -> Fact:
    """A committed payment message for the order."""
    said = {
        "payment_id": payment_id,
        "method": method,
        "kind": kind,
        "amount_minor": amount_minor,
        "fee_minor": fee_minor,
        "currency": currency,
        "paid_at": paid_at.isoformat(),
        "order_no": order_no,
    }
    return await bring(sessions, json.dumps(said), f"{source}/{payment_id}", order_no)


async def bring(sessions: Sessions, body: str, message_id: str, order_no: str, kind: str = "payment.settled") -> Fact:
    """A committed message with this very body."""
    message = InboxMessage(
        source="tests",
        message_id=f"{order_no}/{message_id}",
        kind=kind,
        order_no=order_no,
        fingerprint=sha256(body.encode()).hexdigest(),
        body=body,
        actor="gateway",
    )
    async with sessions() as session, session.begin():
        session.add(message)
    return Fact(order_no, message.inbox_id or 0)


async def order_row(sessions: Sessions, order_no: str = "SO-1") -> Order:
    """The order as it is now."""
    async with sessions() as session:
        return await session.get_one(Order, order_no)


async def set_order(sessions: Sessions, order_no: str = "SO-1", **columns: object) -> None:
    """Afterwards the order's row has these values."""
    async with sessions() as session, session.begin():
        order = await session.get_one(Order, order_no)
        for name, value in columns.items():
            setattr(order, name, value)


async def payments(sessions: Sessions, order_no: str = "SO-1") -> dict[str, str]:
    """Payment id to state."""
    async with sessions() as session:
        rows: Sequence[Payment] = (await session.exec(select(Payment).where(Payment.order_no == order_no))).all()
    return {row.payment_id: row.state for row in rows}


async def refunds(sessions: Sessions, order_no: str = "SO-1") -> dict[str, tuple[str, int, str]]:
    """Refund id to payment id, amount and state."""
    async with sessions() as session:
        rows: Sequence[Refund] = (await session.exec(select(Refund).where(Refund.order_no == order_no))).all()
    return {row.refund_id: (row.payment_id, row.amount_minor, row.state) for row in rows}


async def open_holds(sessions: Sessions, order_no: str = "SO-1") -> dict[str, dict[str, object]]:
    """Reason of every open hold, with its facts."""
    async with sessions() as session:
        rows: Sequence[OrderHold] = (await session.exec(select(OrderHold).where(OrderHold.order_no == order_no))).all()
    return {row.reason_code: row.facts for row in rows if row.resolved_at is None}


async def story(sessions: Sessions, order_no: str = "SO-1") -> list[str]:
    """The kinds of the order's events, oldest first."""
    async with sessions() as session:
        rows: Sequence[OrderEvent] = (
            await session.exec(select(OrderEvent).where(OrderEvent.order_no == order_no))
        ).all()
    return [row.kind for row in sorted(rows, key=lambda row: row.seq)]
