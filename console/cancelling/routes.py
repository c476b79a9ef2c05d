"""Undoing an order: shown with the goods and the money that it sets free, and then done."""

from typing import Annotated

from fastapi import APIRouter, Response

from api.fields import Key
from api.orders.cancelling import cancel
from api.orders.preview import preview_of
from api.orders.schemas import CancelOrder
from console.desk import Desk, DeskDep
from console.guard import Visitor, allowed
from console.pages import REFUSALS
from domain.access import Permission

router = APIRouter()
Canceller = Annotated[Visitor, allowed(Permission.ORDERS_CANCEL)]


@router.get("/orders/{order_no}/cancel")
async def cancel_form(desk: DeskDep, visitor: Canceller, order_no: Key) -> Response:
    return await _form(desk, visitor, order_no)


@router.post("/orders/{order_no}/cancel")
async def cancel_order(desk: DeskDep, visitor: Canceller, order_no: Key) -> Response:
    typed = await desk.typed()
    said = {"reason": typed.text("reason") or "", "deposit": typed.text("deposit") or "policy"}
    try:
        seen = await desk.seen(visitor, order_no)
        await cancel(seen, desk.client, CancelOrder.model_validate(said), None)
    except REFUSALS as refused:
        return await _form(desk, visitor, order_no, refused)
    return desk.done(order_no, "The order is being undone.")


async def _form(desk: Desk, visitor: Visitor, order_no: str, refused: Exception | None = None) -> Response:
    order = await desk.order(visitor, order_no)
    await desk.session.rollback()
    shown = await preview_of(await desk.seen(visitor, order_no))
    return await desk.form("cancel.html", visitor, order, refused, shown=shown)
