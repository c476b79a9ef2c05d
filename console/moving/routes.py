"""Moving an order that is held to another version of its flow."""

from typing import Annotated

from fastapi import APIRouter, Response

from api.fields import Key
from api.orders.moving import MoveBody, move
from api.orders.views import OrderView
from console.desk import Desk, DeskDep
from console.guard import Visitor, allowed
from console.pages import REFUSALS
from domain.access import Permission
from store import flows
from store.listing import flows as listing

router = APIRouter()
# An order that stands in branches may need several names said.
PAIRS = ("", "_2", "_3", "_4")
Mover = Annotated[Visitor, allowed(Permission.FLOWS_WRITE)]


@router.get("/orders/{order_no}/move")
async def move_form(desk: DeskDep, visitor: Mover, order_no: Key) -> Response:
    return await _form(desk, visitor, await desk.order(visitor, order_no))


@router.post("/orders/{order_no}/move")
async def move_order(desk: DeskDep, visitor: Mover, order_no: Key) -> Response:
    """The order goes on in that version; refused, nothing has changed."""
    order, typed = await desk.order(visitor, order_no), await desk.typed()
    pairs = [(typed.text(f"own{pair}"), typed.text(f"there{pair}")) for pair in PAIRS]
    wanted = {
        "version": typed.whole("version"),
        "nodes": {own: there for own, there in pairs if own and there},
        "reason": typed.text("reason") or "",
    }
    try:
        seen = await desk.seen(visitor, order_no)
        await move(seen, desk.client, MoveBody.model_validate(wanted), None)
    except REFUSALS as refused:
        return await _form(desk, visitor, order, refused)
    return desk.done(order_no, "The order goes on in the other version.")


async def _form(desk: Desk, visitor: Visitor, order: OrderView, refused: Exception | None = None) -> Response:
    async with desk.request.app.state.sessions() as session:
        versions = await listing.versions(session, order.flow.key)
        flow, _hash = await flows.get(session, order.flow.key, order.flow.version)
    others = [row.version for row in versions if row.version != order.flow.version]
    theirs = sorted({name for row in versions for name in row.definition["nodes"]})
    shown = {"versions": others, "own": sorted(flow.nodes), "theirs": theirs, "pairs": PAIRS}
    return await desk.form("move.html", visitor, order, refused, **shown)
