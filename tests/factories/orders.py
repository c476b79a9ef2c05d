"""Order rows for tests, written straight through the models, with everything they refer to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.money import net_of_gross
from models.columns import now
from models.inbox import InboxMessage
from models.masters import LegalEntity, Warehouse
from models.order import Order, OrderLine, OrderSource
from runtime.database import Sessions
from store.entities import ensure_accounts


@dataclass(frozen=True)
class Line:
    """One line of an order; the price includes tax."""

    line_id: str = "1"
    sku: str = "SKU-1"
    quantity: int = 1
    unit_price_minor: int = 11_300
    tax_rate: Decimal = Decimal("0.13")
    gift_of: str | None = None
    sold_as: str = "principal"
    category: str | None = None


async def add_masters(session: AsyncSession, *warehouses: str, currency: str = "CNY") -> None:
    """Afterwards the entity `main` has its accounts, and the warehouses are there, `main` if none is named."""
    entity = {
        "entity_id": "main",
        "name": "Main",
        "functional_currency": currency,
        "time_zone": "Asia/Shanghai",
        "updated_at": now(),
    }
    await session.execute(insert(LegalEntity).values(entity).on_conflict_do_nothing())
    await ensure_accounts(session, "main")
    rows = [
        {"code": code, "name": code, "priority": priority, "active": True, "updated_at": now()}
        for priority, code in enumerate(warehouses or ("main",), start=1)
    ]
    await session.execute(insert(Warehouse).values(rows).on_conflict_do_nothing())


async def place(sessions: Sessions, order_no: str = "SO-1", lines: Sequence[Line] = (Line(),), **columns: Any) -> Order:
    """A committed order, received and unpaid unless `columns` say otherwise."""
    async with sessions() as session, session.begin():
        return await add(session, order_no, lines, **columns)


async def add(session: AsyncSession, order_no: str, lines: Sequence[Line] = (Line(),), **columns: Any) -> Order:
    """An order in the caller's transaction, with masters, inbox row and lines. Totals follow from the lines.

    `columns` are columns of the order and win over what is made up here.
    """
    return (await add_all(session, {order_no: lines}, **columns))[0]


async def add_all(session: AsyncSession, wanted: Mapping[str, Sequence[Line]], **columns: Any) -> list[Order]:
    """Orders in the caller's transaction, as `add` makes one, in few round trips."""
    currency = columns.get("currency", "CNY")
    await add_masters(session, currency=columns.get("functional_currency", "CNY"))
    messages = [_message(order_no) for order_no in wanted]
    rows = {
        order_no: [_line(order_no, position, line) for position, line in enumerate(lines, start=1)]
        for order_no, lines in wanted.items()
    }
    orders = [Order(**(_order(order_no, currency, lines) | columns)) for order_no, lines in rows.items()]
    session.add_all([*messages, *orders])
    await session.flush()
    sources = [OrderSource(order_no=one.order_no or "", inbox_id=one.inbox_id or 0) for one in messages]
    session.add_all([*sources, *(line for lines in rows.values() for line in lines)])
    await session.flush()
    return orders


def _message(order_no: str) -> InboxMessage:
    body = json.dumps({"order_no": order_no})
    return InboxMessage(
        source="api",
        message_id=f"order/{order_no}",
        kind="order.placed",
        order_no=order_no,
        fingerprint=sha256(body.encode()).hexdigest(),
        body=body,
        actor="tests",
        handed_over_at=now(),
    )


def _line(order_no: str, position: int, line: Line) -> OrderLine:
    gross = line.quantity * line.unit_price_minor
    net = net_of_gross(gross, line.tax_rate)
    return OrderLine(
        order_no=order_no,
        line_id=line.line_id,
        position=position,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        tax_rate=line.tax_rate,
        category=line.category,
        gift_of=line.gift_of,
        sold_as=line.sold_as,
        list_minor=gross,
        payable_minor=gross,
        gross_minor=gross,
        net_minor=net,
        tax_minor=gross - net,
    )


def _order(order_no: str, currency: str, lines: Sequence[OrderLine]) -> dict[str, Any]:
    total = sum(line.gross_minor for line in lines)
    return {
        "order_no": order_no,
        "voucher_no": f"V-{order_no}",
        "channel": "web",
        "external_id": order_no,
        "source": "api",
        "placed_by": "tests",
        "type": "normal",
        "entity_id": "main",
        "currency": currency,
        "functional_currency": "CNY",
        "fx_rate": Decimal(1) if currency == "CNY" else None,
        "customer_id": "C-7",
        "payment_method": "alipay",
        "payment_terms": "prepaid",
        "flow_key": "normal",
        "flow_version": 1,
        "list_minor": total,
        "total_minor": total,
        "transaction_minor": total,
        "net_minor": sum(line.net_minor for line in lines),
        "tax_minor": sum(line.tax_minor for line in lines),
    }
