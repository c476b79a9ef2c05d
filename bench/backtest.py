"""How long a drafted flow's backtest takes over many different orders in PostgreSQL, asked as the console asks."""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from temporalio.client import Client

from api.app import create_app
from bench.flows import with_approval
from cli.access import give_key
from cli.local_stack.postgres import LocalPostgres
from cli.migrate import bring_up_to_date
from models.order import Order, OrderLine
from runtime.database import create_engine, create_sessions
from runtime.settings import load_settings
from store.access import Grant

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_CHANNELS = ("web", "app", "marketplace", "store")
_LEVELS = ("standard", "standard", "standard", "silver", "VIP")


def main() -> None:
    """Fills a database, asks three times, and prints how long each answer took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--more", type=int, default=0, help="orders that are older and not looked at")
    parser.add_argument("--data", type=Path, default=Path(".bench/backtest"))
    wanted = parser.parse_args()
    data: Path = wanted.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    server = LocalPostgres(data / "postgres", durable=False)
    server.start()
    try:
        asyncio.run(_measure(server.url(), wanted.orders, wanted.more))
    finally:
        server.stop()


async def _measure(url: str, orders: int, more: int) -> None:
    await bring_up_to_date(url)
    seed(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), orders + more)
    settings = load_settings(database_url=url, env="dev")
    engine: AsyncEngine = create_engine(url)
    # Nothing is sent to it: trying a flow asks the database alone.
    nobody = await Client.connect("127.0.0.1:1", lazy=True)
    app = create_app(settings, engine=engine, temporal=nobody)
    token = await give_key(create_sessions(engine), "bench", Grant(roles=("operations",)))
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers, timeout=600) as http,
    ):
        drawn = {"definition": with_approval()}
        (await http.put("/v1/flows/normal/draft", json=drawn, headers={"If-None-Match": "*"})).raise_for_status()
        for _ in range(3):
            began, worked = time.monotonic(), time.process_time()
            answer = await http.post("/v1/flows/normal/draft/backtest", json={"limit": orders})
            found = answer.raise_for_status().json()
            took, own = time.monotonic() - began, time.process_time() - worked
            if found["orders"] != orders or not found["changed"] or found["undecided"]:
                raise RuntimeError(f"not what was to be measured: {found['orders']}, {found['changed']}")
            print(
                f"{orders} orders, {found['changed']} change: {took:.1f} s, of it {own:.1f} s CPU of ours", flush=True
            )
    await engine.dispose()


def seed(url: str, count: int) -> None:
    """Afterwards so many orders are there, hardly two of them alike: buyers, amounts, lines, levels, countries."""
    chance = random.Random(6)
    with psycopg.connect(url) as connection:
        # Foreign keys and guards would be asked for each row; what is written here agrees with itself.
        connection.execute("SET session_replication_role = replica")
        pairs = [_order(chance, at) for at in range(count)]
        _copy(connection, (order for order, _ in pairs))
        _copy(connection, (line for _, lines in pairs for line in lines))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE orders, order_lines")


def _order(chance: random.Random, at: int) -> tuple[Order, list[OrderLine]]:
    order_no, total_minor = f"SO{at:014d}", round(chance.lognormvariate(12, 1.5))
    order = Order(
        order_no=order_no,
        voucher_no=f"V2026-{at}",
        channel=chance.choice(_CHANNELS),
        external_id=f"B-{at}",
        source="api",
        placed_by="channel",
        type="presale" if chance.random() < 0.05 else "normal",
        entity_id="main",
        currency="CNY",
        functional_currency="CNY",
        customer_id=f"C-{chance.randrange(1 + at // 3)}",
        customer_level=chance.choice(_LEVELS),
        ship_to={"country": chance.choice(("CN", "CN", "SG", "JP"))},
        salesperson=f"S-{chance.randrange(40)}",
        payment_method="alipay",
        payment_terms=chance.choice(("prepaid", "prepaid", "on_credit", "cash_on_delivery")),
        total_minor=total_minor,
        paid_minor=total_minor,
        flow_key="normal",
        flow_version=1,
        lifecycle="completed",
        placed_at=_BEGAN + timedelta(minutes=at),
        received_at=_BEGAN + timedelta(minutes=at),
        closed_at=_BEGAN + timedelta(minutes=at, days=3),
    )
    lines = [
        OrderLine(
            order_no=order_no,
            line_id=str(position),
            position=position,
            sku=f"SKU-{chance.randrange(2_000)}",
            quantity=chance.randrange(1, 5),
            tax_rate=Decimal("0.13"),
            category=f"category-{chance.randrange(70)}",
        )
        for position in range(1, chance.randrange(2, 6))
    ]
    return order, lines


def _copy(connection: psycopg.Connection[Any], rows: Iterator[SQLModel]) -> None:
    first = next(rows)
    names = list(first.model_dump())
    table = first.__tablename__
    with connection.cursor().copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in (first, *rows):
            values = row.model_dump()
            # Lists of text are arrays, all other collections are documents.
            copy.write_row([_written(name, values[name]) for name in names])


def _written(name: str, value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) or name == "discounts" else value


if __name__ == "__main__":
    main()
