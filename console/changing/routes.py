"""Changing an order: other units, a line more, another address; shown with what it comes to, and then made."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Response

from api.changing.asking import change, preview
from api.changing.schemas import ChangeAsked
from api.fields import Key
from api.orders.views import OrderView
from console.desk import Desk, DeskDep, Typed, new_key
from console.guard import Visitor, allowed
from console.pages import REFUSALS
from domain.access import Permission

router = APIRouter()
Changer = Annotated[Visitor, allowed(Permission.ORDERS_CHANGE)]
ADDRESS: Final = ("name", "phone", "country", "region", "city", "street", "postal_code")


@router.get("/orders/{order_no}/change")
async def change_form(desk: DeskDep, visitor: Changer, order_no: Key) -> Response:
    return await _form(desk, visitor, await desk.order(visitor, order_no))


@router.post("/orders/{order_no}/change")
async def change_order(desk: DeskDep, visitor: Changer, order_no: Key) -> Response:
    """The order is another one, as it was shown; or what it would come to, where nothing was shown yet."""
    order, typed = await desk.order(visitor, order_no), await desk.typed()
    try:
        seen = await desk.seen(visitor, order_no)
        if typed.shown:
            await change(seen, desk.client, ChangeAsked.model_validate_json(typed.shown))
            return desk.done(order_no, "The order is changed.")
        asked = ChangeAsked.model_validate(_asked(typed, order))
        shown = await preview(seen, asked)
    except REFUSALS as refused:
        return await _form(desk, visitor, order, refused)
    wish = asked.model_copy(update={"version": shown.version}).model_dump_json(exclude_none=True)
    return await _form(desk, visitor, order, shown=shown, wish=wish)


async def _form(
    desk: Desk, visitor: Visitor, order: OrderView, refused: Exception | None = None, **shown: Any
) -> Response:
    return await desk.form("change.html", visitor, order, refused, address=ADDRESS, **shown)


def _asked(typed: Typed, order: OrderView) -> dict[str, Any]:
    """What differs from the order as it is; what was left alone is not asked for."""
    wanted = {line.line_id: typed.whole(f"quantity.{line.line_id}") for line in order.lines}
    now = {line.line_id: line.quantity - line.cancelled for line in order.lines}
    asked: dict[str, Any] = {
        "change_id": new_key(),
        "reason": typed.text("reason") or "",
        "lines": [
            {"line_id": line_id, "quantity": units}
            for line_id, units in wanted.items()
            if units is not None and units != now[line_id]
        ],
        "add": _added(typed, order),
    }
    to = {name: typed.text(name) for name in ADDRESS}
    if to["country"] is not None and to != {name: (order.ship_to or {}).get(name) for name in ADDRESS}:
        asked["ship_to"] = {name: value for name, value in to.items() if value is not None}
    return asked


def _added(typed: Typed, order: OrderView) -> list[dict[str, Any]]:
    if typed.text("sku") is None:
        return []
    taken = {line.line_id for line in order.lines}
    free = next(str(number) for number in range(1, len(taken) + 2) if str(number) not in taken)
    return [{"line_id": free, "sku": typed.text("sku"), "quantity": typed.whole("quantity") or 1}]
