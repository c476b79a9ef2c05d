"""Giving money back: for units, of the shipping fee, or out of goodwill; shown first, and then asked for."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Response

from api.fields import Key
from api.orders.views import OrderView
from api.refunding.asking import ask, preview
from api.refunding.schemas import RefundAsked
from console.desk import Desk, DeskDep, Typed, new_key
from console.guard import Visitor, allowed
from console.pages import REFUSALS
from domain.access import Permission
from domain.refunding import REFUND_REASONS, RefundKind

router = APIRouter()
Refunder = Annotated[Visitor, allowed(Permission.REFUNDS_GRANT)]
REASONS: Final = {
    kind.value: {code: (reason.zh, reason.en) for code, reason in REFUND_REASONS.items() if kind in reason.kinds}
    for kind in RefundKind
}


@router.get("/orders/{order_no}/refund")
async def refund_form(desk: DeskDep, visitor: Refunder, order_no: Key) -> Response:
    return await _form(desk, visitor, await desk.order(visitor, order_no))


@router.post("/orders/{order_no}/refund")
async def refund_order(desk: DeskDep, visitor: Refunder, order_no: Key) -> Response:
    """The refund is on its way as it was shown; or what it would come to, where nothing was shown yet."""
    order, typed = await desk.order(visitor, order_no), await desk.typed()
    try:
        seen = await desk.seen(visitor, order_no)
        if typed.shown:
            await ask(seen, RefundAsked.model_validate_json(typed.shown), typed.shown, desk.hand_over)
            return desk.done(order_no, "The money is on its way back.")
        asked = RefundAsked.model_validate(_asked(typed, order))
        shown = await preview(seen, asked)
    except REFUSALS as refused:
        return await _form(desk, visitor, order, refused)
    return await _form(desk, visitor, order, shown=shown, wish=asked.model_dump_json(exclude_none=True))


async def _form(
    desk: Desk, visitor: Visitor, order: OrderView, refused: Exception | None = None, **shown: Any
) -> Response:
    return await desk.form("refund.html", visitor, order, refused, reasons=REASONS, **shown)


def _asked(typed: Typed, order: OrderView) -> dict[str, Any]:
    amount = typed.minor("amount", order.currency)
    units = {line.line_id: typed.whole(f"quantity.{line.line_id}") for line in order.lines}
    lines = [{"line_id": line_id, "quantity": wanted} for line_id, wanted in units.items() if wanted]
    parts: dict[str | None, dict[str, Any]] = {
        RefundKind.UNITS.value: {"lines": lines},
        RefundKind.SHIPPING.value: {"shipping": {"amount_minor": amount}},
        RefundKind.GOODWILL.value: {"goodwill": {"amount_minor": amount}},
    }
    why = {"reason_code": typed.text("reason_code"), "reason": typed.text("reason")}
    return {"refund_id": new_key()} | why | parts.get(typed.text("kind"), {})
