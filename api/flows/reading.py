"""Reading flows: lists, one flow, one version, what differs, and who did what."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, SnapshotDep, requires
from api.fields import Body
from api.flows.documents import as_yaml
from api.flows.schemas import (
    ChangeView,
    DiffView,
    DraftSummary,
    FlowKey,
    FlowList,
    FlowSummary,
    FlowView,
    MatchView,
    NumberInPath,
    ReleaseView,
    Spot,
    TitleView,
    VersionContent,
    VersionView,
    status_of,
)
from api.paging import ExchangeDep, Keyset, ListQuery, Page, page_of
from domain.access import Permission, Principal
from domain.flow.diff import diff
from domain.flow.releases import Release
from models.columns import now
from models.flow import FlowRelease
from store import flow_drafts, flows
from store.flows import FlowNotFound
from store.listing import flows as listing
from store.listing.flows import Flows

router = APIRouter(tags=["flows"])
Reader = Annotated[Principal, requires(Permission.FLOWS_READ)]
_NEWEST: Final = Keyset("flows/history", (int,))
Side = Annotated[str, Field(pattern=r"^(draft|[1-9][0-9]{0,8})$")]


class DiffQuery(Body):
    """Two versions, by number; `draft` is what is being drawn."""

    before: Annotated[Side, Field(alias="from")]
    after: Annotated[Side, Field(alias="to")] = "draft"


@router.get("/v1/flows", summary="List flows")
async def list_flows(_caller: Reader, session: SnapshotDep) -> FlowList:
    found = await listing.all_flows(session)
    return FlowList(data=[await _summary(session, found, key) for key in found.keys], next_cursor=None)


@router.get("/v1/flows/{key}", summary="One flow with its versions and releases")
async def get_flow(key: FlowKey, _caller: Reader, session: SnapshotDep) -> FlowView:
    found = await listing.all_flows(session)
    if key not in found.keys:
        raise FlowNotFound(key=key)
    summary = await _summary(session, found, key)
    versions = await listing.versions(session, key)
    layout = await flow_drafts.layout(session, key)
    return FlowView(
        **summary.model_dump(),
        versions=[VersionView.of(row, found.open_orders.get((key, row.version), 0)) for row in versions],
        releases=_releases(await listing.releases_of(session, key)),
        layout={node: Spot.model_validate(spot) for node, spot in layout.items()},
    )


@router.get("/v1/flows/{key}/versions/{version}", summary="One version of a flow")
async def get_flow_version(key: FlowKey, version: NumberInPath, _caller: Reader, session: SessionDep) -> VersionContent:
    row = await flows.version_of(session, key, version)
    known = row.model_dump(include={"key", "version", "sha256", "definition"})
    status = "published" if row.retired_at is None else "retired"
    return VersionContent(**known, status=status, yaml=as_yaml(row.definition))


@router.get("/v1/flows/{key}/diff", summary="What differs between two versions")
async def get_flow_diff(
    key: FlowKey, query: Annotated[DiffQuery, Query()], _caller: Reader, session: SnapshotDep
) -> DiffView:
    found = diff(await _side(session, key, query.before), await _side(session, key, query.after))
    return DiffView.of(found, query.before, query.after)


@router.get("/v1/flows/{key}/history", summary="Who did what to a flow")
async def get_flow_history(
    key: FlowKey, query: Annotated[ListQuery, Query()], _caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[ChangeView]:
    after = _NEWEST.decode(query.cursor)
    rows = await flow_drafts.changes(session, key, after[0] if after else None, query.limit + 1)
    return page_of(rows, query, exchange, (_NEWEST, lambda row: (row.change_id or 0,)), ChangeView.of)


async def _side(session: AsyncSession, key: str, side: str) -> dict[str, Any]:
    if side == "draft":
        return (await flow_drafts.find(session, key)).definition
    return (await flows.version_of(session, key, int(side))).definition


async def _summary(session: AsyncSession, found: Flows, key: str) -> FlowSummary:
    present = now()
    release = next((one for one in found.releases.get(key, ()) if one.starts_at <= present), None)
    row, draft = found.newest.get(key), found.drafts.get(key)
    known = [release.flow.model_dump(mode="json")] if release else []
    known += [one.definition for one in (row, draft) if one is not None]
    summary = None
    if draft is not None:
        passed = await flow_drafts.has_passed(session, key, draft.sha256)
        summary = DraftSummary(
            revision=draft.revision,
            status=status_of(draft, passed=passed),
            updated_by=draft.updated_by,
            updated_at=draft.updated_at,
        )
    return FlowSummary(
        key=key,
        title=_title(known[0]),
        match=MatchView.model_validate(release.flow.match.model_dump()) if release and release.flow.match else None,
        version=release.flow.version if release else None,
        origin=_origin(release),
        draft=summary,
        orders_open=found.orders_of(key),
    )


def _title(definition: dict[str, Any]) -> TitleView | None:
    title = definition.get("title")
    known = isinstance(title, dict) and all(isinstance(title.get(language), str) for language in ("zh", "en"))
    return TitleView(zh=title["zh"], en=title["en"]) if known and isinstance(title, dict) else None


def _origin(release: Release | None) -> str | None:
    if release is None:
        return None
    return flows.PEOPLE if release.by_people else flows.BUILT_IN


def _releases(rows: Sequence[FlowRelease]) -> list[ReleaseView]:
    """In the order in which they are asked: what people released first, then the newest."""
    shadowed, shown = False, []
    for row in sorted(rows, key=lambda one: (one.origin == flows.PEOPLE, one.release_id), reverse=True):
        shown.append(ReleaseView.of(row, _state(row, shadowed=shadowed)))
        for_all = row.channels is None and row.percent == 100
        shadowed = shadowed or (shown[-1].state == "active" and for_all)
    return shown


def _state(row: FlowRelease, *, shadowed: bool) -> str:
    if row.ended_at is not None:
        return "ended"
    if shadowed:
        return "shadowed"
    return "active" if row.starts_at <= now() else "scheduled"
