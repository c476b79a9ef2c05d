"""How long `orderflow audit verify` takes, and how much memory, on a database of many orders with true chains."""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from cli.local_stack.postgres import LocalPostgres
from migrations.upgrade import migrate
from models.masters import LegalEntity
from models.order import Order
from runtime.database import create_sessions, create_unpooled_engine, ensure_database

# The story of an ordinary order, as long as a delivered one's is.
_STORY = (
    "order.received", "order.accepted", "stock.reserved", "order.waiting", "payment.settled", "shipment.booked",
    "order.waiting", "shipment.handed_over", "shipment.delivered", "revenue.recognised", "invoice.issued",
    "order.completed",
)  # fmt: skip
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
# As many orders as wanted, each like the one that is there.
_MORE_ORDERS = """
INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object(
    'order_no', 'SO' || lpad(n::text, 14, '0'), 'external_id', 'B-' || n, 'voucher_no', 'V2026-' || n))).*
FROM orders o CROSS JOIN generate_series(2, %s) n
"""
# One more event for every order, chained to the one before: what is hashed is the text of the row as `jsonb`.
_EVENT = """
WITH told AS (
    SELECT o.order_no, %(seq)s AS seq, %(kind)s AS kind, 'orderflow' AS actor, 'workflow' AS source, 'api' AS intake,
           %(kind)s || '/' || o.order_no AS message_id, 'node' AS node, 'normal' AS flow_key, 1 AS flow_version,
           '{"lifecycle": "accepted"}'::jsonb AS before,
           '{"lifecycle": "fulfilling", "total_minor": 11300, "paid_minor": 11300, "allocated": 1}'::jsonb AS after,
           '{"units": {"1": 1}, "warehouse": "main", "amount_minor": 11300, "currency": "CNY"}'::jsonb AS data,
           o.placed_at + %(seq)s * interval '1 minute' AS at,
           coalesce(p.hash, sha256(convert_to('orderflow/' || o.order_no, 'UTF8'))) AS prev_hash
    FROM orders o LEFT JOIN order_events p ON p.order_no = o.order_no AND p.seq = %(seq)s - 1
)
INSERT INTO order_events (order_no, seq, kind, actor, source, intake, message_id, node, flow_key, flow_version, before,
                          after, data, at, prev_hash, hash)
SELECT told.*, sha256(convert_to((to_jsonb(told) || jsonb_build_object(
    'on_behalf_of', NULL, 'reason_seal', NULL, 'prev_hash', encode(prev_hash, 'hex'),
    'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'))::text, 'UTF8'))
FROM told
"""


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
        asyncio.run(_begin(url))
        _seed(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), wanted.orders)
        print(f"seeded {wanted.orders} orders in {time.monotonic() - began:.0f} s", flush=True)
        env = os.environ | {"ORDERFLOW_DATABASE_URL": url, "ORDERFLOW_ANCHOR_DIR": str(data / "anchors")}
        for command in ("anchor", "verify"):
            _measure(command, env)
    finally:
        server.stop()


async def _begin(url: str) -> None:
    """Afterwards the database has its tables, and one order."""
    engine = create_unpooled_engine(url)
    await migrate(engine)
    async with create_sessions(engine)() as session, session.begin():
        session.add(LegalEntity(entity_id="main", name="Main", functional_currency="CNY", time_zone="Asia/Shanghai"))
        await session.flush()
        session.add(_order())
    await engine.dispose()


def _seed(url: str, orders: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(_MORE_ORDERS, [orders])
        for seq, kind in enumerate(_STORY, start=1):
            connection.execute(_EVENT, {"seq": seq, "kind": kind})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE orders, order_events")


def _order() -> Order:
    return Order(
        order_no=f"SO{1:014d}",
        voucher_no="V2026-1",
        channel="web",
        external_id="B-1",
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
        placed_at=_BEGAN,
        received_at=_BEGAN,
        closed_at=_BEGAN + timedelta(days=3),
    )


def _measure(command: str, env: dict[str, str]) -> None:
    """Runs the command as its user does; its peak of memory is what the kernel has counted for it alone."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "audit", command, "--json"], env=env)
    _pid, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    peak_mb = used.ru_maxrss / 1024
    print(f"audit {command}: exit {os.waitstatus_to_exitcode(status)}, {took:.1f} s, peak {peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
