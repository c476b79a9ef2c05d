"""How long `orderflow audit verify` takes, and how much memory, on a database of many orders with true chains."""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import make_url

from cli.local_stack.postgres import LocalPostgres
from domain.chain import genesis, link, moment_text
from migrations.upgrade import migrate
from models.order import Order
from runtime.database import create_unpooled_engine, ensure_database

# The story of an ordinary order, as long as a delivered one's is.
_STORY = (
    "order.received", "order.accepted", "stock.reserved", "order.waiting", "payment.settled", "shipment.booked",
    "order.waiting", "shipment.handed_over", "shipment.delivered", "revenue.recognised", "invoice.issued",
    "order.completed",
)  # fmt: skip
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_EVENT_COLUMNS = (
    "order_no", "seq", "kind", "actor", "on_behalf_of", "source", "intake", "message_id", "node", "flow_key",
    "flow_version", "before", "after", "data", "at", "prev_hash", "hash",
)  # fmt: skip


def main() -> None:
    """Fills a database, runs the commands on it, and prints what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--data", type=Path, default=Path(".bench/audit"))
    wanted = parser.parse_args()
    data: Path = wanted.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    server = LocalPostgres(data / "postgres", durable=False)
    server.start()
    try:
        url = server.url()
        ensure_database(url)
        began = time.monotonic()
        asyncio.run(_migrate(url))
        _seed(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), wanted.orders)
        print(f"seeded {wanted.orders} orders in {time.monotonic() - began:.0f} s")
        env = os.environ | {"ORDERFLOW_DATABASE_URL": url, "ORDERFLOW_ANCHOR_DIR": str(data / "anchors")}
        for command in ("anchor", "verify"):
            _measure(command, env)
    finally:
        server.stop()


async def _migrate(url: str) -> None:
    engine = create_unpooled_engine(url)
    await migrate(engine)
    await engine.dispose()


def _seed(url: str, orders: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO legal_entities (entity_id, name, functional_currency, time_zone, return_window_days,"
            " return_approved_below_minor, return_goods_days, deposit_refundable, updated_at)"
            " VALUES ('main', 'Main', 'CNY', 'Asia/Shanghai', 7, 50000, 14, false, now()) ON CONFLICT DO NOTHING"
        )
        rows = (_order(number) for number in range(orders))
        _copy(connection, "orders", tuple(_order(0)), (tuple(row.values()) for row in rows))
        _copy(connection, "order_events", _EVENT_COLUMNS, _events(orders))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE orders, order_events")


def _copy(connection: psycopg.Connection[Any], table: str, columns: tuple[str, ...], rows: Iterator[Any]) -> None:
    with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([Jsonb(value) if isinstance(value, dict | list) else value for value in row])


def _number(number: int) -> str:
    return f"SO{number:014d}"


def _order(number: int) -> dict[str, Any]:
    order = Order(
        order_no=_number(number),
        voucher_no=f"V2026-{number + 1:08d}",
        channel="web",
        external_id=f"B-{number}",
        source="api",
        placed_by="channel",
        type="normal",
        entity_id="main",
        currency="CNY",
        functional_currency="CNY",
        payment_method="alipay",
        payment_terms="prepaid",
        total_minor=11_300,
        flow_key="normal",
        flow_version=1,
        lifecycle="completed",
        last_event_seq=len(_STORY),
    )
    at = _BEGAN + timedelta(seconds=number)
    return order.model_dump() | {"placed_at": at, "received_at": at, "closed_at": at + timedelta(days=3)}


def _events(orders: int) -> Iterator[tuple[Any, ...]]:
    for number in range(orders):
        order_no = _number(number)
        previous, at = genesis(order_no), _BEGAN + timedelta(seconds=number)
        for seq, kind in enumerate(_STORY, start=1):
            event: dict[str, Any] = {
                "order_no": order_no,
                "seq": seq,
                "kind": kind,
                "actor": "orderflow",
                "on_behalf_of": None,
                "source": "workflow",
                "intake": "api",
                "message_id": f"{kind}/{order_no}/{seq}",
                "node": "node",
                "flow_key": "normal",
                "flow_version": 1,
                "before": {"lifecycle": "accepted"},
                "after": {"lifecycle": "fulfilling", "total_minor": 11_300, "paid_minor": 11_300, "allocated": 1},
                "data": {"units": {"1": 1}, "warehouse": "main", "amount_minor": 11_300, "currency": "CNY"},
            }
            moment = at + timedelta(minutes=seq)
            told = event | {"reason_seal": None, "at": moment_text(moment), "prev_hash": previous.hex()}
            own = link(told)
            yield (*event.values(), moment, previous, own)
            previous = own


def _measure(command: str, env: dict[str, str]) -> None:
    """Runs the command as its user does; its peak of memory is what the kernel has counted for it alone."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "audit", command, "--json"], env=env)
    _pid, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    peak_mb = used.ru_maxrss / 1024
    print(f"audit {command}: exit {os.waitstatus_to_exitcode(status)}, {took:.1f} s, peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
