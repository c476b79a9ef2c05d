"""Customs of an order: telling what they ask for, and reporting what they say of the documents."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Response

from api.dependencies import KeysDep
from api.fields import Key
from api.orders.seen import Seen
from api.orders.views import OrderView
from api.trade.customs import CustomsData, CustomsReport, customs_of, declare, report
from console.desk import Desk, DeskDep, Typed, new_key
from console.guard import Visitor, allowed
from console.pages import REFUSALS
from domain import customs
from domain.access import Permission
from domain.customs import Document, DocumentState
from runtime.keyring import KeyRing
from store import identity

router = APIRouter()
Changer = Annotated[Visitor, allowed(Permission.ORDERS_CHANGE)]
Reporter = Annotated[Visitor, allowed(Permission.SHIPPING_REPORT)]
_STATES: Final = tuple(state.value for state in DocumentState)
_DOCUMENTS: Final = tuple(document.value for document in Document)


@router.get("/orders/{order_no}/customs")
async def customs_form(desk: DeskDep, visitor: Changer, keys: KeysDep, order_no: Key) -> Response:
    return await _form(desk, visitor, keys, await desk.order(visitor, order_no))


@router.post("/orders/{order_no}/customs")
async def tell_customs(desk: DeskDep, visitor: Changer, keys: KeysDep, order_no: Key) -> Response:
    """The order says what customs ask for; refused, nothing has changed."""
    order, typed = await desk.order(visitor, order_no), await desk.typed()
    try:
        seen = await desk.seen(visitor, order_no)
        await declare(seen, CustomsData.model_validate(_data(typed, seen, keys)), keys)
    except REFUSALS as refused:
        return await _form(desk, visitor, keys, order, refused)
    return desk.done(order_no, "What customs ask for is on record.")


@router.get("/orders/{order_no}/customs/report")
async def report_form(desk: DeskDep, visitor: Reporter, order_no: Key) -> Response:
    return await _report_form(desk, visitor, await desk.order(visitor, order_no))


@router.post("/orders/{order_no}/customs/report")
async def report_document(desk: DeskDep, visitor: Reporter, order_no: Key) -> Response:
    """What customs said is on its way to the order; sent twice, it was said once."""
    order, typed = await desk.order(visitor, order_no), await desk.typed()
    said = {name: typed.text(name) for name in ("report_id", "document", "state", "reason")}
    try:
        seen = await desk.seen(visitor, order_no)
        await report(seen, CustomsReport.model_validate(said), desk.hand_over)
    except REFUSALS as refused:
        return await _report_form(desk, visitor, order, refused)
    return desk.done(order_no, "What customs said is on its way to the order.")


def _data(typed: Typed, seen: Seen, keys: KeyRing) -> dict[str, Any]:
    """What was typed; a number that was left out is the one that is known, which few may see."""
    lines: dict[str, dict[str, str]] = {}
    for name in typed.fields:
        field, _, line_id = name.partition(".")
        if field in customs.OF_LINE and line_id and (said := typed.text(name)):
            lines.setdefault(line_id, {})[field] = said.upper() if field == "origin" else said
    number = typed.text(customs.IDENTITY) or identity.number_of(keys, seen.order.customs)
    return {"buyer_name": typed.text("buyer_name"), customs.IDENTITY: number, "lines": lines}


async def _form(
    desk: Desk, visitor: Visitor, keys: KeyRing, order: OrderView, refused: Exception | None = None
) -> Response:
    async with desk.request.app.state.sessions() as session:
        seen = await desk.seen(visitor, order.order_no)
        known = await customs_of(Seen(seen.order, visitor.caller, session), keys)
    return await desk.form("customs.html", visitor, order, refused, known=known)


async def _report_form(desk: Desk, visitor: Visitor, order: OrderView, refused: Exception | None = None) -> Response:
    choices = {"documents": _DOCUMENTS, "states": _STATES}
    return await desk.form("customs_report.html", visitor, order, refused, key=new_key(), **choices)
