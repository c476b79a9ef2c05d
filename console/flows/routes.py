"""Flows: which there are, one with its versions and what differs, taking one back, and the page where one is drawn."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request, Response

from api.dependencies import SessionDep, SnapshotDep
from api.flows import publishing, reading, ready
from api.flows.reading import DiffQuery
from api.flows.schemas import FlowKey, Reason
from api.paging import Exchange, ListQuery
from console.guard import HOME, Visitor, allowed
from console.pages import REFUSALS, Page, PageDep
from domain.access import Permission
from store.flows import FlowNotFound

router = APIRouter()
Reader = Annotated[Visitor, allowed(Permission.FLOWS_READ)]
Writer = Annotated[Visitor, allowed(Permission.FLOWS_WRITE)]
Line = Annotated[str, Form(max_length=4000)]
Side = Annotated[str, Query(max_length=10)]
Ready = Annotated[str, Query(pattern="^[a-z0-9_]{0,64}$")]
FLOWS: Final = f"{HOME}flows"
_CHANGES: Final = 20


@router.get("/flows")
async def list_flows(page: PageDep, visitor: Reader, session: SnapshotDep) -> Response:
    found = await reading.list_flows(visitor.caller, session)
    templates = (await ready.list_flow_templates(visitor.caller)).data
    return page.show("flows/list.html", visitor, flows=found.data, templates=templates)


@router.get("/flows/{key}")
async def show_flow(
    request: Request,
    page: PageDep,
    visitor: Reader,
    key: FlowKey,
    before: Side = "",
    after: Side = "",
) -> Response:
    """With `before` and `after` also what differs between these two versions."""
    sides = (before, after) if before and after else None
    return await _one(request, page, visitor, key, sides)


@router.post("/flows/{key}/rollback")
async def roll_back(
    request: Request,
    page: PageDep,
    visitor: Writer,
    session: SessionDep,
    key: FlowKey,
    reason: Line,
) -> Response:
    """New orders take what they took before the newest release of people; orders on their way keep their flow."""
    try:
        body = Reason.model_validate({"reason": reason.strip()})
        await publishing.roll_back_flow(key, body, visitor.caller, session, request, Response())
    except REFUSALS as refused:
        return await _one(request, page, visitor, key, None, refused)
    return page.go(f"{FLOWS}/{key}", "Taken back: new orders go the way they went before.")


@router.get("/flows/{key}/design")
async def design_flow(page: PageDep, visitor: Reader, key: FlowKey, template: Ready = "") -> Response:
    """The drawing board; what it shows and does, it asks the API for."""
    return page.show("flows/design.html", visitor, key=key, template=template, writes=visitor.may("flows:write"))


async def _one(
    request: Request,
    page: Page,
    visitor: Visitor,
    key: str,
    sides: tuple[str, str] | None,
    refused: Exception | None = None,
) -> Response:
    status, trouble = (200, "") if refused is None else page.refusal(refused)
    content: dict[str, Any] = {"diff": None}
    async with request.app.state.sessions() as session:
        content["flow"] = await reading.get_flow(key, visitor.caller, session)
        query = ListQuery(limit=_CHANGES)
        history = await reading.get_flow_history(key, query, visitor.caller, session, Exchange(request, Response()))
        if sides is not None:
            try:
                asked = DiffQuery.model_validate({"from": sides[0], "to": sides[1]})
                content["diff"] = await reading.get_flow_diff(key, asked, visitor.caller, session)
            except (*REFUSALS, FlowNotFound) as unknown:
                status, trouble = page.refusal(unknown)
    content |= {"history": history.data, "sides": sides, "trouble": trouble}
    return page.show("flows/one.html", visitor, status, **content)
