"""Moving an order that is held to another version of its flow: asked of the order itself, and on record."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from temporalio.client import Client, WorkflowUpdateFailedError

from api.dependencies import ClientDep, SessionDep, SettingsDep, requires
from api.errors import SITUATIONS
from api.fields import Body, Key, LongText
from api.idempotency import KeyDep
from api.inbox.door import asked, note
from api.orders.reaching import OrderHasEnded, handle_of, reached, reason_of
from api.orders.seen import Seen
from api.problem import Refused
from domain.access import Permission, Principal
from domain.flow.definition import FlowSnapshot
from domain.flow.parts import NodeId
from domain.flow.scaling import scaled
from store import flow_library, flows
from store.flows import FlowNotFound
from store.listing.sight import order_in_sight
from workflows.order.contract import MoveRequest

router = APIRouter(tags=["orders"])
Mover = Annotated[Principal, requires(Permission.FLOWS_WRITE)]
_WAIT: Final = timedelta(seconds=8)


class MoveBody(Body):
    """The version, and which of its nodes stands for which of the order's own, where their names differ."""

    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    nodes: Annotated[dict[NodeId, NodeId], Field(max_length=500)] = Field(default_factory=dict)
    reason: LongText


class Moved(BaseModel):
    """The version of its flow that the order goes on in, and the node; of branches, the node of each before and now."""

    order_no: str
    flow_key: str
    version: int
    node: str
    branches: dict[str, str]


async def _to_move(order_no: Key, caller: Mover, session: SessionDep, settings: SettingsDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session, settings.time_scale)


@router.post("/v1/orders/{order_no}/flow", summary="Move a held order to another version of its flow")
async def move_order(seen: Annotated[Seen, Depends(_to_move)], body: MoveBody, key: KeyDep, client: ClientDep) -> Moved:
    """It goes on at the node that stands for the one it is held at, and in each of its branches likewise.

    409: it is not held, or may not go on there.
    """
    return await move(seen, client, body, key)


async def move(seen: Seen, client: Client | None, body: MoveBody, key: str | None) -> Moved:
    """The order, as it goes on in that version. Raises FlowNotFound; Refused (409) with what speaks against it."""
    flow_key = seen.order.flow_key
    request = await _request(seen, body, key)
    await seen.let_go()
    try:
        done = await reached(seen, handle_of(client, seen.order_no), lambda handle: handle.move(request, _WAIT))
    except OrderHasEnded:
        raise _refused("order_not_parked") from None
    except WorkflowUpdateFailedError as failed:
        raise _refused(reason_of(failed)) from None
    return Moved(
        order_no=done.order_no, flow_key=flow_key, version=done.version, node=done.node, branches=done.branches
    )


def _refused(code: str) -> Refused:
    status, title = SITUATIONS.get(code, (409, "The order cannot be moved"))
    return Refused(status, code, title)


async def _request(seen: Seen, body: MoveBody, key: str | None) -> MoveRequest:
    try:
        flow, fingerprint = await flows.get(seen.session, seen.order.flow_key, body.version)
    except LookupError:
        raise FlowNotFound(key=seen.order.flow_key, version=body.version) from None
    whole = scaled(await flow_library.resolved(seen.session, flow), seen.time_scale)
    request_id = f"move/{key}" if key is not None else f"move/{seen.order.last_event_seq}/{body.version}"
    said: dict[str, Any] = body.model_dump(mode="json")
    noted = await note(seen.session, asked("flow.requested", seen.order_no, request_id, said, seen.caller.actor))
    snapshot = FlowSnapshot(flow=whole, fingerprint=fingerprint)
    return MoveRequest(request_id, seen.caller.actor, noted.inbox_id, snapshot, dict(body.nodes))
