"""Putting flows into force and taking them back. Orders on their way keep theirs."""

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep
from api.flows.drafting import Writer
from api.flows.schemas import (
    FlowKey,
    NumberInPath,
    PublishBody,
    Reason,
    ReleaseBody,
    Released,
    ReleaseTerms,
    VersionView,
)
from domain.access import Principal
from domain.flow.releases import Release
from models.columns import now
from models.flow import FlowRelease
from store import flow_publishing, flows
from store.flow_publishing import ReleaseWanted

router = APIRouter(tags=["flows"])


@router.post("/v1/flows/{key}/publish", status_code=201, summary="Publish the draft of a flow")
async def publish_flow(
    key: FlowKey, body: PublishBody, caller: Writer, session: SessionDep, request: Request, response: Response
) -> Released:
    """The hash is that of the draft, and a sandbox run of it has passed. Orders on their way keep their flow."""
    row = await flow_publishing.publish_draft(session, key, body.sha256, _wanted(body, caller))
    return await _released(session, row, request, response)


@router.post("/v1/flows/{key}/release", status_code=201, summary="Release a published version once more")
async def release_flow(
    key: FlowKey, body: ReleaseBody, caller: Writer, session: SessionDep, request: Request, response: Response
) -> Released:
    row = await flow_publishing.release(session, key, body.version, _wanted(body, caller))
    return await _released(session, row, request, response)


@router.post("/v1/flows/{key}/rollback", summary="Go back to what was in force before")
async def roll_back_flow(
    key: FlowKey, body: Reason, caller: Writer, session: SessionDep, request: Request, response: Response
) -> Released | None:
    """Ends the newest release that people made. Null: nothing of this flow is in force any more."""
    await flow_publishing.roll_back(session, key, caller.actor, body.reason)
    await session.commit()
    request.app.state.flows.forget()
    left = [one for one in await flows.releases(session) if one.flow.key == key and one.starts_at <= now()]
    if not left:
        return None
    newest: Release = max(left, key=lambda one: one.rank)
    response.headers["Location"] = _address(key, newest.flow.version)
    return Released(key=key, version=newest.flow.version, release_id=newest.release_id, sha256=newest.flow.fingerprint)


@router.post("/v1/flows/{key}/versions/{version}/retire", summary="Let no new order take a version")
async def retire_flow_version(
    key: FlowKey, version: NumberInPath, body: Reason, caller: Writer, session: SessionDep, request: Request
) -> VersionView:
    row = await flow_publishing.retire(session, key, version, caller.actor, body.reason)
    await session.commit()
    await session.refresh(row)
    request.app.state.flows.forget()
    return VersionView.of(row, await flows.open_orders(session, key, version))


def _wanted(body: ReleaseTerms, caller: Principal) -> ReleaseWanted:
    channels = None if body.channels is None else tuple(body.channels)
    return ReleaseWanted(caller.actor, body.reason, body.starts_at, channels, body.percent)


async def _released(session: AsyncSession, row: FlowRelease, request: Request, response: Response) -> Released:
    await session.commit()
    await session.refresh(row)
    request.app.state.flows.forget()
    version = await flows.version_of(session, row.key, row.version)
    response.headers["Location"] = _address(row.key, row.version)
    return Released(key=row.key, version=row.version, release_id=row.release_id or 0, sha256=version.sha256)


def _address(key: str, version: int) -> str:
    return quote(f"/v1/flows/{key}/versions/{version}")
