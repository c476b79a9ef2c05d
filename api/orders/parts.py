"""Everything that the view of one order is made of."""

from urllib.parse import quote

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.orders.views import OrderParts
from domain.access import Permission, Principal
from domain.exchanging import REPLACEMENT
from models.order import Order
from runtime.settings import Settings
from store import entities, exchanging, invoices, orders, payments, returning, shipping
from store.listing import orders as listing
from workflows.order.contract import order_workflow_id


async def parts_of(session: AsyncSession, order: Order) -> OrderParts:
    """The order with its lines, holds, parcels, money and invoices as they are now."""
    order_no = order.order_no
    return OrderParts(
        order=order,
        axes=(await orders.axes(session, [order_no]))[order_no],
        lines=await orders.lines(session, order_no),
        holds=(await listing.open_holds(session, [order_no])).get(order_no, ()),
        parcels=await shipping.parcels(session, order_no),
        payments=await payments.of_order(session, order_no),
        refunds=await payments.refunds_of(session, order_no),
        invoices=await invoices.of_order(session, order_no),
        returns=await returning.of_order(session, order_no),
        replaces=await exchanging.replaced_by(session, order_no) if order.type == REPLACEMENT else None,
        time_zone=await entities.time_zone(session, order.entity_id),
    )


def temporal_link(request: Request, settings: Settings, caller: Principal, order_no: str) -> str | None:
    """The order's page in Temporal's Web UI, for operators, where there is one."""
    if settings.temporal_ui_url is None or not caller.may(Permission.SYSTEM_READ):
        return None
    workflow = quote(order_workflow_id(order_no), safe="")
    namespace = quote(request.app.state.temporal.namespace, safe="")
    return f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{workflow}"
