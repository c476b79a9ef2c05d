"""Goods that come back: announced for a refund or an exchange, and taken in by the warehouse that inspects them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from sqlmodel import col

from api.fields import Key
from api.orders.views import OrderView
from api.problem import Refused
from api.returning.asking import ask, preview, take_in
from api.returning.schemas import ReturnAsked, ReturnReceived, ReturnView
from api.returning.seen import SeenReturn, find_return
from console.desk import Desk, DeskDep, Typed, new_key
from console.guard import HOME, Visitor, allowed
from console.pages import REFUSALS
from domain.access import Permission
from domain.exchanging import EXCHANGE
from domain.returning import RETURN_REASONS
from models.masters import Warehouse
from store import masters, returning

router = APIRouter()
Asker = Annotated[Visitor, allowed(Permission.RETURNS_ASK)]
Reader = Annotated[Visitor, allowed(Permission.ORDERS_READ)]
Receiver = Annotated[Visitor, allowed(Permission.STOCK_RECEIVE)]
_FOUND: Final = ("resellable", "damaged", "refused")
_MOST: Final = 200


@router.get("/orders/{order_no}/return")
async def return_form(desk: DeskDep, visitor: Asker, order_no: Key) -> Response:
    return await _form(desk, visitor, await desk.order(visitor, order_no))


@router.post("/orders/{order_no}/return")
async def announce_return(desk: DeskDep, visitor: Asker, order_no: Key) -> Response:
    """The return is announced as it was shown; or what it would come to, where nothing was shown yet."""
    order, typed = await desk.order(visitor, order_no), await desk.typed()
    try:
        seen = await desk.seen(visitor, order_no)
        if typed.shown:
            await ask(seen, ReturnAsked.model_validate_json(typed.shown), typed.shown, desk.hand_over)
            return desk.done(order_no, "The return is announced.")
        asked = ReturnAsked.model_validate(_asked(typed, order))
        shown = await preview(seen, asked)
    except REFUSALS as refused:
        return await _form(desk, visitor, order, refused)
    return await _form(desk, visitor, order, shown=shown, wish=asked.model_dump_json(exclude_none=True))


@router.get("/returns/{return_no}")
async def show_return(desk: DeskDep, visitor: Reader, return_no: Key) -> Response:
    return await _one(desk, visitor, return_no)


@router.post("/returns/{return_no}/receipt")
async def receive_return(desk: DeskDep, visitor: Receiver, return_no: Key) -> Response:
    """What came in and how it was found is on record, and has its effect by itself."""
    typed = await desk.typed()
    try:
        found = await find_return(desk.session, return_no, visitor.caller)
        sent = ReturnReceived.model_validate(_received(typed, [line.line_id for line in found.lines]))
        if not visitor.caller.sees_warehouse(sent.warehouse):
            raise Refused(403, "warehouse_not_allowed", "This key is not for goods of this warehouse.")
        seen = SeenReturn(found, visitor.caller, desk.session)
        await take_in(seen, sent, sent.model_dump_json(), desk.hand_over)
    except REFUSALS as refused:
        return await _one(desk, visitor, return_no, refused)
    return desk.page.go(f"{HOME}returns/{return_no}", "What came in is on record.")


async def _form(
    desk: Desk, visitor: Visitor, order: OrderView, refused: Exception | None = None, **shown: Any
) -> Response:
    async with desk.request.app.state.sessions() as session:
        most = await returning.returnable(session, order.order_no)
    return await desk.form("return.html", visitor, order, refused, most=most, reasons=RETURN_REASONS, **shown)


async def _one(desk: Desk, visitor: Visitor, return_no: str, refused: Exception | None = None) -> Response:
    status, trouble = (200, "") if refused is None else desk.page.refusal(refused)
    async with desk.request.app.state.sessions() as session:
        found = await find_return(session, return_no, visitor.caller)
        rows = await masters.page(session, Warehouse, None, _MOST, [col(Warehouse.active).is_(True)])
    typed = (await desk.typed()).fields if refused else {}
    return desk.page.show(
        "acts/received.html",
        visitor,
        status,
        one=ReturnView.of(found, visitor.caller),
        warehouses=[row.code for row in rows if visitor.caller.sees_warehouse(row.code)],
        reasons=RETURN_REASONS,
        receipt_id=typed.get("receipt_id") or new_key(),
        typed=typed,
        trouble=trouble,
    )


def _asked(typed: Typed, order: OrderView) -> dict[str, Any]:
    units = {line.line_id: typed.whole(f"quantity.{line.line_id}") for line in order.lines}
    chosen = {line_id: wanted for line_id, wanted in units.items() if wanted}
    asked: dict[str, Any] = {
        "return_id": new_key(),
        "kind": typed.text("kind"),
        "reason": typed.text("reason"),
        "lines": [
            {"line_id": line_id, "quantity": wanted, "reason_code": typed.text(f"reason.{line_id}") or "other"}
            for line_id, wanted in chosen.items()
        ],
    }
    if asked["kind"] == EXCHANGE:
        own = {line.line_id: line.sku for line in order.lines}
        asked["instead"] = [
            {"line_id": line_id, "sku": typed.text(f"sku.{line_id}") or own[line_id], "quantity": wanted}
            for line_id, wanted in chosen.items()
        ]
    return asked


def _received(typed: Typed, line_ids: list[str]) -> dict[str, Any]:
    counted = {one: {name: typed.whole(f"{name}.{one}") or 0 for name in _FOUND} for one in line_ids}
    return {
        "receipt_id": typed.text("receipt_id"),
        "warehouse": typed.text("warehouse"),
        "lines": [{"line_id": one, **units} for one, units in counted.items() if any(units.values())],
        "last": typed.text("last") is not None,
    }
