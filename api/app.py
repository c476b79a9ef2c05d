"""The HTTP application: its parts, in the order in which a request meets them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.approvals import routes as approvals
from api.batch import ITEMS_AT_ONCE
from api.body import BodyGuard, BodyLimits
from api.calendars import days as calendar_days
from api.calendars import routes as calendars
from api.changing import routes as changing
from api.checks import routes as checks
from api.customers import routes as customers
from api.dependencies import PrincipalCache, refuse_undeclared
from api.entities import accounts, rates
from api.entities import routes as entities
from api.errors import add_error_handlers
from api.flows import drafting as flow_drafting
from api.flows import publishing as flow_publishing
from api.flows import reading as flow_reading
from api.flows import ready as flow_ready
from api.flows import sandbox as flow_sandbox
from api.flows import trying as flow_trying
from api.flows import vocabulary as flow_vocabulary
from api.frame import RequestFrame
from api.holds import routes as holds
from api.inbox.hand_over import HandOver
from api.invoices import routes as invoices
from api.ledger import routes as ledger
from api.openapi import DescribedApp
from api.orders import commands, moving, story
from api.orders import routes as orders
from api.orders.intake import FlowsInForce
from api.orders.streams import Streams
from api.payment_methods import routes as payment_methods
from api.payments import routes as payments
from api.payments import webhook as payment_webhook
from api.people import absences, keys
from api.people import routes as people
from api.products import routes as products
from api.refunding import routes as refunding
from api.returning import routes as returning
from api.shipping import routes as shipping
from api.shipping import webhook as carrier_webhook
from api.stock import routes as stock
from api.system import routes as system
from api.system.figures import Figures
from api.trade import customs, groups
from api.turnstile import Turnstile
from api.warehouses import routes as warehouses
from api.webhooks import routes as webhooks
from runtime.database import create_engine, create_sessions
from runtime.sealing import sealing
from runtime.settings import Settings, load_settings
from runtime.temporal import connect
from runtime.tracing import interceptors, trace_statements
from runtime.version import identity

ROUTERS: Final[Sequence[APIRouter]] = (
    orders.router,
    story.router,
    commands.router,
    moving.router,
    changing.router,
    payments.router,
    refunding.router,
    returning.router,
    shipping.router,
    customs.router,
    groups.router,
    stock.router,
    invoices.router,
    ledger.router,
    holds.router,
    checks.router,
    approvals.router,
    payment_webhook.router,
    carrier_webhook.router,
    products.router,
    customers.router,
    warehouses.router,
    people.router,
    keys.router,
    absences.router,
    entities.router,
    accounts.router,
    rates.router,
    payment_methods.router,
    webhooks.router,
    calendars.router,
    calendar_days.router,
    flow_reading.router,
    flow_drafting.router,
    flow_trying.router,
    flow_sandbox.router,
    flow_ready.router,
    flow_publishing.router,
    flow_vocabulary.router,
    system.router,
)

# Requests of many items.
_BATCH_BYTES: Final = 4 * 1024 * 1024
# A file of orders of the largest size, and what a browser wraps it in.
_FILE_BYTES: Final = 9 * 1024 * 1024
_LARGER: Final = dict.fromkeys(
    ("/v1/orders:batch", "/v1/payments:batch", "/v1/stock/receipts", "/v1/approvals:decide", "/console/codec/decode"),
    _BATCH_BYTES,
) | {"/console/imports": _FILE_BYTES}
_SIGNED: Final = ("/v1/webhooks/payments/", "/v1/webhooks/carrier")


def create_app(
    settings: Settings | None = None, *, engine: AsyncEngine | None = None, temporal: Client | None = None
) -> FastAPI:
    """The application; `engine` and `temporal` are used as they are and left open, otherwise it makes its own.

    Raises RuntimeError for a route that does not say who may call it.
    """
    settings = settings or load_settings()
    shown = settings.env == "dev"
    app = DescribedApp(
        title="Orderflow",
        version="1",
        summary="Order management in which every order is a durable Temporal workflow.",
        docs_url="/docs" if shown else None,
        redoc_url=None,
        openapi_url="/openapi.json" if shown else None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        lifespan=_lifespan,
        # What did not validate would be told word by word.
        telemetry={"tracing": bool(settings.otlp_endpoint), "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.settings, app.state.principals, app.state.hand_over = settings, PrincipalCache(), None
    app.state.flows, app.state.streams, app.state.keyring = FlowsInForce(), Streams(), settings.keyring
    app.state.figures = Figures(settings.metrics_interval_s)
    app.state.batch_gate = asyncio.Semaphore(ITEMS_AT_ONCE)
    app.state.given_engine, app.state.given_temporal = engine, temporal
    add_error_handlers(app)
    # The last one added is the first one met. A turn begins once the body is there: slow senders take none.
    app.add_middleware(Turnstile, connections=settings.database_pool_size)
    app.add_middleware(BodyGuard, limits=BodyLimits(settings.max_body_bytes, _LARGER, _SIGNED))
    app.add_middleware(RequestFrame, strict_transport=settings.env == "prod")
    for router in ROUTERS:
        app.include_router(router)
    refuse_undeclared(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as open_parts:
        engine = app.state.given_engine
        if engine is None:
            engine = _own_engine(app.state.settings)
            open_parts.push_async_callback(engine.dispose)
        app.state.engine, app.state.sessions = engine, create_sessions(engine)
        # Lazy: the API starts, takes orders in and answers reads while Temporal is away.
        app.state.temporal = app.state.given_temporal or await _own_client(app.state.settings)
        app.state.hand_over = HandOver(app.state.sessions, app.state.temporal, app.state.settings.time_scale)
        await app.state.hand_over.start()
        open_parts.push_async_callback(app.state.hand_over.stop)
        yield


async def _own_client(settings: Settings) -> Client:
    return await connect(
        lazy=True, identity=identity("orderflow-api"), interceptors=interceptors(settings), codec=sealing(settings)
    )


def _own_engine(settings: Settings) -> AsyncEngine:
    if settings.database_url is None:
        raise RuntimeError("the API needs ORDERFLOW_DATABASE_URL")
    url = settings.database_url.get_secret_value()
    engine = create_engine(url, pool_size=settings.database_pool_size, application_name="orderflow-api")
    trace_statements(settings, engine)
    return engine


def _operation_id(route: APIRoute) -> str:
    return route.name
