"""The story of one order: every change with who made it, when and why; the branches it took; and both as they come."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from api.dependencies import SessionsDep
from api.fields import Moment
from api.orders.seen import Seen, ToRead
from api.orders.streams import Following, a_place, follow, with_key
from api.paging import ExchangeDep, Keyset, ListQuery, Page, page_of
from api.shown import facts
from domain.access import Principal
from models.order import OrderDecision, OrderEvent
from store.listing import orders as listing

router = APIRouter(tags=["orders"])
_SEQ: Final = Keyset("orders/timeline", (int,))
_RETRY_MS: Final = 3000


class EventView(BaseModel):
    """One change of an order: what happened, when, by whom, through which door, and why."""

    seq: int
    kind: str
    at: Moment
    actor: str
    on_behalf_of: str | None
    source: str
    node: str | None
    reason: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, row: OrderEvent, caller: Principal) -> Self:
        return cls.model_validate(row.model_dump() | {"data": facts(caller, row.data)})


class DecisionView(BaseModel):
    """Why the order took a branch: the case, its condition, and the facts it was decided on."""

    node: str
    visit: int
    flow_key: str
    flow_version: int
    chosen: str
    expression: str | None
    facts: dict[str, Any]
    at: Moment

    @classmethod
    def of(cls, row: OrderDecision, caller: Principal) -> Self:
        return cls.model_validate(row.model_dump() | {"facts": facts(caller, row.facts)})


class Decisions(BaseModel):
    """All branches that the order took, in their order; there is no further page."""

    data: list[DecisionView]
    next_cursor: str | None


@router.get("/v1/orders/{order_no}/timeline", summary="Every change of an order")
async def get_timeline(seen: ToRead, query: Annotated[ListQuery, Query()], exchange: ExchangeDep) -> Page[EventView]:
    after = _SEQ.decode(query.cursor)
    rows = await listing.events(seen.session, seen.order_no, after[0] if after else 0, query.limit + 1)
    return page_of(rows, query, exchange, (_SEQ, lambda row: (row.seq,)), lambda row: EventView.of(row, seen.caller))


@router.get("/v1/orders/{order_no}/decisions", summary="Why an order took its branches")
async def get_decisions(seen: ToRead) -> Decisions:
    rows = await listing.decisions(seen.session, seen.order_no)
    return Decisions(data=[DecisionView.of(row, seen.caller) for row in rows], next_cursor=None)


async def _followed(request: Request, seen: ToRead) -> AsyncIterator[Seen]:
    await seen.let_go()
    with a_place(request.app.state.streams):
        yield seen


@router.get(
    "/v1/orders/{order_no}/events", summary="Changes of an order as they happen", response_class=EventSourceResponse
)
async def stream_events(
    seen: Annotated[Seen, Depends(_followed)],
    request: Request,
    sessions: SessionsDep,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: the id is the event's number, after which `Last-Event-ID` goes on. Ends with the order."""
    following = Following(seen.order_no, last_event_id or 0, with_key(request.headers.get("authorization", "")))
    async for event in follow(sessions, following):
        shown = EventView.of(event, seen.caller)
        yield ServerSentEvent(data=shown, event=event.kind, id=str(event.seq), retry=_RETRY_MS)
