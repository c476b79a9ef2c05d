"""/v1/orders: placing orders, finding them, and one with everything that hangs on it."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request, Response

from api.batch import BatchResult, Taken, one_by_one
from api.dependencies import SettingsDep, SnapshotDep, requires
from api.fields import Key
from api.idempotency import REPLAYED, KeyDep
from api.orders.intake import IntakeDep, Submission, own, sender
from api.orders.lists import OrderQuery, list_page
from api.orders.parts import parts_of, temporal_link
from api.orders.schemas import OrderBatch, PlaceOrder
from api.orders.views import OrderPlaced, OrderSummary, OrderView, order_view
from api.paging import ExchangeDep, Page
from api.verbatim import verbatim
from domain.access import Permission, Principal
from store.listing.sight import order_in_sight

router = APIRouter(tags=["orders"])
Placer = Annotated[Principal, requires(Permission.ORDERS_PLACE)]
Reader = Annotated[Principal, requires(Permission.ORDERS_READ)]


@router.post("/v1/orders", status_code=202, summary="Place an order")
async def place_order(
    order: PlaceOrder, request: Request, response: Response, caller: Placer, key: KeyDep, intake: IntakeDep
) -> OrderPlaced:
    """Committed once it is answered. The same request again gets the same answer, another under the same key 422."""
    placed = await intake.place(Submission(own(order, caller), await verbatim(request), key), sender(caller))
    structlog.contextvars.bind_contextvars(order_no=placed.order_no)
    response.headers["Location"] = f"/v1/orders/{placed.order_no}"
    if placed.repeated:
        response.headers.update(REPLAYED)
    return OrderPlaced.of(placed.order_no)


@router.post("/v1/orders:batch", summary="Place up to 500 orders")
async def place_orders(batch: OrderBatch, request: Request, caller: Placer, intake: IntakeDep) -> BatchResult:
    """Each order is placed or refused by itself; an item needs an `external_id`."""

    async def take(item: dict[str, Any]) -> Taken:
        placed = await intake.take(item, caller, batch.source)
        return placed.order_no, placed.repeated

    return await one_by_one(request, batch.orders, take)


@router.get("/v1/orders", summary="List orders")
async def list_orders(
    query: Annotated[OrderQuery, Query()], caller: Reader, session: SnapshotDep, exchange: ExchangeDep
) -> Page[OrderSummary]:
    return await list_page(session, caller, query, exchange)


@router.get("/v1/orders/{order_no}", summary="One order")
async def get_order(
    order_no: Key, caller: Reader, session: SnapshotDep, settings: SettingsDep, request: Request
) -> OrderView:
    parts = await parts_of(session, await order_in_sight(session, order_no, caller))
    return order_view(parts, caller, temporal_link(request, settings, caller, order_no))
