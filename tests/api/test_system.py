"""Health, readiness, figures, and what callers learn while a part is away."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from cli.local_stack.postgres import LocalPostgres
from domain.flow.vocabulary import Role
from migrations.upgrade import migrate
from runtime.database import create_engine, create_sessions, ensure_database
from runtime.settings import Settings
from runtime.temporal import connect
from store.defaults import ensure_defaults, ensure_demo_rates
from tests.api.conftest import As, give_key
from tests.api.test_problems import problem_of
from tests.conftest import Database, Temporal

PRODUCTION = {
    "env": "prod",
    "database_url": "postgresql://nobody@127.0.0.1:1/orders",
    "carrier_webhook_secret": "a secret of its own",
    "payment_webhook_secrets": {"bank": "a secret of its own"},
    "data_keys": {"own": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
    "carrier": "simulated",
    "einvoice": "simulated",
    "payment_provider": "simulated",
}


def client_of(app: FastAPI, token: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://orderflow.test", headers=headers)


@pytest.fixture
async def own_database(open_dir: Path) -> AsyncIterator[tuple[LocalPostgres, Database]]:
    """A server that the test may stop."""
    server = LocalPostgres(open_dir / "stoppable", durable=False)
    server.start()
    ensure_database(server.url("orders"))
    engine = create_engine(server.url("orders"), pool_size=2)
    await migrate(engine)
    yield server, Database(server.url("orders"), engine, create_sessions(engine))
    await engine.dispose()
    server.stop()


async def test_ready_when_database_schema_and_temporal_are_there(database: Database, temporal: Temporal) -> None:
    app = create_app(Settings(), engine=database.engine, temporal=temporal.client)
    async with app.router.lifespan_context(app), client_of(app) as nobody:
        assert (await nobody.get("/healthz")).json() == {"status": "alive"}
        answer = await nobody.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "temporal": "ok"}},
    )


async def test_not_ready_without_temporal_says_which_part_is_missing(database: Database) -> None:
    away = await connect(address="127.0.0.1:1", lazy=True)
    app = create_app(Settings(), engine=database.engine, temporal=away)
    async with app.router.lifespan_context(app), client_of(app) as nobody:
        answer = await nobody.get("/readyz")
    problem = problem_of(answer, 503, "not_ready")
    assert problem.checks == {"database": "ok", "temporal": "unreachable"}
    assert answer.headers["retry-after"] == "5"


async def test_a_database_that_stops_is_a_503_until_it_is_back(
    own_database: tuple[LocalPostgres, Database],
) -> None:
    server, database = own_database
    token = await give_key(database, "admin", [Role.ADMIN.value])
    app = create_app(Settings(), engine=database.engine)
    async with (
        app.router.lifespan_context(app),
        client_of(app, token) as admin,
        client_of(app, "ofk_a_" + "x" * 43) as new,
    ):
        assert (await admin.put("/v1/products/P", json={"name": "P"})).status_code == 201
        server.stop()
        began = time.monotonic()
        for answer in (
            await admin.get("/v1/products/P"),
            await admin.put("/v1/products/Q", json={"name": "Q"}),
            await admin.get("/v1/products.csv"),
            await new.get("/v1/products/P"),
        ):
            problem_of(answer, 503, "database_unavailable")
            assert answer.headers["retry-after"] == "5"
        assert time.monotonic() - began < 10
        assert (await admin.get("/healthz")).status_code == 200
        checks = problem_of(await admin.get("/readyz"), 503, "not_ready").checks or {}
        assert checks["database"] in {"unreachable", "timeout"}
        server.start()
        assert [row["sku"] for row in (await admin.get("/v1/products")).json()["data"]] == ["P"]


async def test_figures_are_told_in_the_format_of_prometheus(as_role: As) -> None:
    answer = await as_role().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "orderflow_inbox_waiting 0.0" in answer.text
    assert "process_resident_memory_bytes" in answer.text
    assert "orderflow_sql_round_trips_total" in answer.text


async def test_production_shows_no_documentation_and_asks_for_encryption() -> None:
    app = create_app(Settings.model_validate(PRODUCTION))
    async with app.router.lifespan_context(app), client_of(app) as nobody:
        for path in ("/docs", "/openapi.json", "/redoc"):
            problem_of(await nobody.get(path), 404, "not_found")
        alive = await nobody.get("/healthz")
    assert alive.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_documentation_may_load_its_script_and_nothing_else_may(as_role: As) -> None:
    nobody = as_role()
    assert "https://cdn.jsdelivr.net" in (await nobody.get("/docs")).headers["content-security-policy"]
    elsewhere = (await nobody.get("/healthz")).headers
    assert elsewhere["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert elsewhere["cache-control"] == "no-store"


async def test_defaults_can_be_ensured_again_and_keep_what_was_changed(
    admin: httpx.AsyncClient, database: Database
) -> None:
    await admin.put("/v1/payment_methods/alipay", json={"category": "offline_transfer"})
    await admin.put("/v1/warehouses/main", json={"name": "Shanghai"})
    for _ in range(2):
        async with database.sessions() as session, session.begin():
            await ensure_defaults(session)
            await ensure_demo_rates(session)
    assert (await admin.get("/v1/payment_methods/alipay")).json()["category"] == "offline_transfer"
    assert (await admin.get("/v1/warehouses/main")).json()["name"] == "Shanghai"
    rates = (await admin.get("/v1/entities/main/rates")).json()["data"]
    assert {row["currency"]: row["rate"] for row in rates} == {
        "USD": "7",
        "EUR": "8",
        "GBP": "9",
        "JPY": "0.05",
        "HKD": "0.9",
        "BRL": "1.3",
        "KRW": "0.005",
        "KWD": "23",
    }
