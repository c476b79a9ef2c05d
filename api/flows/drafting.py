"""Drawing a flow: its draft, which two people cannot overwrite unseen, and where its boxes stand."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, requires
from api.etags import IfMatch, IfNoneMatch, etag, expected_revision
from api.flows.documents import document_of, drawn
from api.flows.reading import Reader
from api.flows.schemas import DiffView, DraftView, FlowKey, FlowSent, LayoutBody, ProblemView, Spot, Verdict
from api.problem import Refused, in_body, unprocessable
from domain.access import Permission, Principal
from domain.flow.diff import diff
from models.flow import FlowDraft
from store import flow_drafts, flows
from store.flow_drafts import FlowDraftChanged

router = APIRouter(tags=["flows"])
Writer = Annotated[Principal, requires(Permission.FLOWS_WRITE)]


@router.post("/v1/flows:validate", summary="Everything that is wrong with a flow")
async def validate_flow(body: FlowSent, _caller: Reader, session: SessionDep) -> Verdict:
    """Keeps nothing."""
    found = await drawn(session, document_of(body))
    return Verdict(sha256=found.sha256, problems=[ProblemView.of(problem) for problem in found.problems])


@router.get("/v1/flows/{key}/draft", summary="The draft of a flow")
async def get_flow_draft(key: FlowKey, _caller: Reader, session: SessionDep, response: Response) -> DraftView:
    return await _shown(session, await flow_drafts.find(session, key), response)


@router.put("/v1/flows/{key}/draft", summary="Save the draft of a flow", responses={201: {"model": DraftView}})
async def put_flow_draft(
    key: FlowKey,
    body: FlowSent,
    caller: Writer,
    session: SessionDep,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> DraftView:
    """Kept with its problems. 412: somebody has saved it meanwhile; `facts.diff` says what is different there."""
    document = document_of(body)
    if document.get("key") != key:
        raise unprocessable([in_body("#/definition/key", "other_key", "The flow says another key than its address.")])
    expected = expected_revision(if_match, if_none_match)
    try:
        row = await flow_drafts.save(session, key, await drawn(session, document), expected, caller.actor)
    except FlowDraftChanged as changed:
        raise _changed(document, changed.theirs) from None
    await session.commit()
    await session.refresh(row)
    response.status_code = 201 if expected is None else 200
    return await _shown(session, row, response)


@router.delete("/v1/flows/{key}/draft", status_code=204, summary="Throw the draft of a flow away")
async def delete_flow_draft(key: FlowKey, caller: Writer, session: SessionDep, if_match: IfMatch = None) -> None:
    expected = expected_revision(if_match) or 0
    try:
        await flow_drafts.discard(session, key, expected, caller.actor)
    except FlowDraftChanged as changed:
        raise _changed({}, changed.theirs) from None
    await session.commit()


@router.get("/v1/flows/{key}/layout", summary="Where the boxes of a flow stand")
async def get_flow_layout(key: FlowKey, _caller: Reader, session: SessionDep) -> LayoutBody:
    found = await flow_drafts.layout(session, key)
    return LayoutBody(nodes={node: Spot.model_validate(spot) for node, spot in found.items()})


@router.put("/v1/flows/{key}/layout", summary="Move the boxes of a flow")
async def put_flow_layout(key: FlowKey, body: LayoutBody, caller: Writer, session: SessionDep) -> LayoutBody:
    """No part of any version: moving a box changes no hash."""
    await flow_drafts.put_layout(session, key, body.model_dump(mode="json")["nodes"], caller.actor)
    await session.commit()
    return body


async def _shown(session: AsyncSession, row: FlowDraft, response: Response) -> DraftView:
    response.headers["ETag"] = etag(row.revision)
    passed = await flow_drafts.has_passed(session, row.key, row.sha256)
    newest = await flows.newest_number(session, row.key)
    published = await flows.version_of(session, row.key, newest) if newest else None
    changed = published is None or published.sha256 != row.sha256
    return DraftView.of(row, passed=passed, changed=changed)


def _changed(yours: dict[str, Any], theirs: FlowDraft | None) -> Refused:
    if theirs is None:
        return Refused(412, "flow_draft_changed", "There is no draft any more.")
    found = DiffView.of(diff(yours, theirs.definition), "yours", "theirs")
    facts = {
        "revision": theirs.revision,
        "updated_by": theirs.updated_by,
        "updated_at": theirs.updated_at.isoformat(),
        "diff": found.model_dump(mode="json"),
    }
    detail = f"{theirs.updated_by} has saved the draft meanwhile."
    return Refused(412, "flow_draft_changed", detail, facts=facts, headers={"ETag": etag(theirs.revision)})
