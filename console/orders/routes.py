"""Orders: finding them, one with its whole story while it goes on, and what a person may do to it."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import ClientDep, SessionDep, SessionsDep, SettingsDep
from api.fields import Key, Text
from api.holds.schemas import DecisionTaken
from api.inbox.door import HandOverDep
from api.orders.lists import OrderQuery, list_page
from api.orders.resolving import hold, resolve
from api.orders.schemas import HoldOrder, ResolveHold
from api.orders.seen import Seen
from api.orders.streams import Following, a_place, follow
from api.paging import Exchange
from api.problem import Refused
from console.guard import HOME, Visitor, allowed
from console.orders.sight import sight_of
from console.pages import REFUSALS, Page, PageDep
from domain.access import Permission
from domain.flow.vocabulary import HOLD_REASONS
from domain.order import Lifecycle
from runtime.settings import Settings
from store import logins
from store.listing.orders import OrderFilter
from store.listing.sight import order_in_sight

router = APIRouter()
Reader = Annotated[Visitor, allowed(Permission.ORDERS_READ)]
Resolver = Annotated[Visitor, allowed(Permission.ORDERS_RESOLVE)]
Line = Annotated[str, Form(max_length=4000)]
_TYPES: Final = ("normal", "presale", "sample", "group_buy", "cross_border", "gift", "replacement")
_PAGE: Final = 25
_RETRY_MS: Final = 3000
# What htmx takes for the last answer of those that it asks for every few seconds.
_STOP_ASKING: Final = 286
_LOOKED_AT_S: Final = 60


class OrderSearch(OrderQuery):
    """The filters of the API's list, and what somebody typed into the search field."""

    called: Text | None = None

    def wanted(self) -> OrderFilter:
        return OrderFilter(**self.model_dump(exclude={"limit", "cursor", "sort"}))


@router.get("/orders")
async def list_orders(request: Request, page: PageDep, visitor: Reader, session: SessionDep) -> Response:
    asked: dict[str, Any] = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    asked["lifecycle"] = [one for one in request.query_params.getlist("lifecycle") if one]
    trouble, found = "", None
    try:
        query = OrderSearch.model_validate({"limit": _PAGE} | asked)
        found = await list_page(session, visitor.caller, query, Exchange(request, Response()))
    except (ValidationError, Refused):
        trouble = page.words.text("Nothing can be searched for like this.")
    following = str(request.url.include_query_params(cursor=found.next_cursor)) if found and found.next_cursor else ""
    return page.show(
        "orders/list.html",
        visitor,
        422 if trouble else 200,
        orders=found.data if found else [],
        following=following,
        asked=defaultdict(str, asked),
        trouble=trouble,
        lifecycles=list(Lifecycle),
        types=_TYPES,
        reasons=sorted(HOLD_REASONS),
    )


@router.get("/orders/{order_no}")
async def show_order(request: Request, page: PageDep, visitor: Reader, order_no: Key) -> Response:
    return await _shown(request, page, visitor, order_no)


@router.get("/orders/{order_no}/live")
async def live_part(
    request: Request,
    page: PageDep,
    visitor: Reader,
    order_no: Key,
    until: Annotated[int | None, Query(ge=0, le=2**40)] = None,
) -> Response:
    """What of the page changes while one looks at it; after the moment `until` a browser asks no more."""
    status = 200 if until is None or time.time() < until else _STOP_ASKING
    return page.show("orders/live.html", visitor, status, seen=await sight_of(request, visitor, order_no))


@router.get("/orders/{order_no}/events", response_class=EventSourceResponse)
async def stream_changes(
    request: Request,
    visitor: Reader,
    sessions: SessionsDep,
    order_no: Key,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """A message for each change, without its content: the page asks for what it shows. Ends with the order."""
    async with sessions() as session:
        await order_in_sight(session, order_no, visitor.caller)

    async def still_may(session: AsyncSession) -> bool:
        return await logins.entered(session, visitor.token, seen=False) is not None

    with a_place(request.app.state.streams):
        async for event in follow(sessions, Following(order_no, last_event_id or after, still_may)):
            yield ServerSentEvent(raw_data=event.kind, event="change", id=str(event.seq), retry=_RETRY_MS)
    yield ServerSentEvent(raw_data="over", event="over")


@router.post("/orders/{order_no}/resolve")
async def resolve_hold(
    request: Request,
    page: PageDep,
    visitor: Resolver,
    session: SessionDep,
    settings: SettingsDep,
    client: ClientDep,
    hand_over: HandOverDep,
    order_no: Key,
    choice: Line,
    reason: Line,
    hold_id: Line = "",
    target: Line = "",
) -> Response:
    """The hold is settled as chosen; the same command as that of the API."""
    try:
        seen = await _seen(session, visitor, order_no, settings)
        said = {"choice": choice, "reason_code": "console", "reason": reason.strip()}
        # A choice about what the order stands at names no hold, as in the API.
        named = {"hold_id": hold_id} if hold_id and choice in ("retry", "refund", "resend") else {}
        jump = {"target": target} if choice == "jump" else {}
        done = await resolve(seen, client, hand_over, ResolveHold.model_validate(said | named | jump), None)
    except REFUSALS as refused:
        return await _shown(request, page, visitor, order_no, refused)
    words = "Your decision is on its way." if isinstance(done, DecisionTaken) else "Done: the order goes on."
    return page.go(f"{HOME}orders/{order_no}", words)


@router.post("/orders/{order_no}/hold")
async def hold_order(
    request: Request,
    page: PageDep,
    visitor: Resolver,
    session: SessionDep,
    settings: SettingsDep,
    client: ClientDep,
    order_no: Key,
    reason: Line,
) -> Response:
    try:
        seen = await _seen(session, visitor, order_no, settings)
        await hold(seen, client, HoldOrder.model_validate({"reason": reason.strip()}), None)
    except REFUSALS as refused:
        return await _shown(request, page, visitor, order_no, refused)
    return page.go(f"{HOME}orders/{order_no}", "The order will not be shipped before the hold is settled.")


async def _seen(session: AsyncSession, visitor: Visitor, order_no: str, settings: Settings) -> Seen:
    return Seen(await order_in_sight(session, order_no, visitor.caller), visitor.caller, session, settings.time_scale)


async def _shown(
    request: Request, page: Page, visitor: Visitor, order_no: str, refused: Exception | None = None
) -> Response:
    status, trouble = (200, "") if refused is None else page.refusal(refused)
    seen = await sight_of(request, visitor, order_no)
    until_then = int(time.time()) + _LOOKED_AT_S
    return page.show("orders/one.html", visitor, status, seen=seen, trouble=trouble, until_then=until_then)
