"""Putting a flow into force and taking it back: what is asked before, and the rows that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.flow.checks import check_flow
from domain.flow.definition import FlowDefinition
from domain.flow.releases import require_fallback
from domain.flow.resolve import resolved
from domain.flow.staffing import Staff, require_staffed
from models.access import Person
from models.columns import now
from models.flow import FlowRelease, FlowVersion
from store import calendars, flow_drafts, flows
from store.flow_library import calls_of, library_for
from store.flows import PEOPLE, Published


class FlowHasProblems(DomainError):
    """A flow with problems is neither tried in the sandbox nor published."""

    code = "flow_has_problems"


class SandboxNotPassed(DomainError):
    """No sandbox run of this very content has passed since it was drawn."""

    code = "sandbox_not_passed"


class DraftNotOfThisHash(DomainError):
    """The draft is another one than was asked to be published."""

    code = "draft_not_of_this_hash"


class NothingToRollBack(DomainError):
    """People have released nothing that could be taken back."""

    code = "nothing_to_roll_back"


@dataclass(frozen=True, slots=True)
class ReleaseWanted:
    """Who releases a version, why, and for which orders."""

    by: str
    reason: str
    starts_at: datetime | None = None
    channels: tuple[str, ...] | None = None
    percent: int = 100


async def publish_draft(session: AsyncSession, key: str, sha256: str, wanted: ReleaseWanted) -> FlowRelease:
    """Afterwards the draft's content is a published version and orders take it as wanted.

    Raises DraftNotOfThisHash, FlowHasProblems, SandboxNotPassed, RoleWithoutPeople and NoFallbackFlow.
    """
    await flows.lock(session, key)
    draft = await flow_drafts.find(session, key)
    if draft.sha256 != sha256:
        raise DraftNotOfThisHash(sha256=draft.sha256 or "")
    if draft.problems:
        raise FlowHasProblems(key=key, problems=len(draft.problems))
    if not await flow_drafts.has_passed(session, key, sha256):
        raise SandboxNotPassed(key=key, sha256=sha256)
    flow = FlowDefinition.model_validate(draft.definition)
    version = await flows.store(session, flow, Published(wanted.by, PEOPLE, wanted.reason))
    version.retired_at = None
    return await _release(session, version, wanted, "published")


async def release(session: AsyncSession, key: str, number: int, wanted: ReleaseWanted) -> FlowRelease:
    """Afterwards orders take this version as wanted. Raises FlowNotFound and what publishing raises."""
    await flows.lock(session, key)
    version = await flows.version_of(session, key, number)
    version.retired_at = None
    return await _release(session, version, wanted, "published")


async def _release(session: AsyncSession, version: FlowVersion, wanted: ReleaseWanted, kind: str) -> FlowRelease:
    flow = FlowDefinition.model_validate(version.definition)
    library = await library_for(session, calls_of(flow))
    problems = check_flow(flow, library, await calendars.held(session, calendars.names_in(flow.nodes.values())))
    if problems:
        raise FlowHasProblems(key=version.key, problems=len(problems))
    whole = resolved(flow, library)
    named = calendars.names_in(whole.nodes.values())
    if gone := named - await calendars.held(session, named):
        raise FlowHasProblems(f"A flow that it calls names {', '.join(sorted(gone))}", key=version.key, problems=1)
    require_staffed(whole, await staff(session))
    row = FlowRelease(
        key=version.key,
        version=version.version,
        origin=PEOPLE,
        starts_at=wanted.starts_at or now(),
        channels=None if wanted.channels is None else sorted(set(wanted.channels)),
        percent=wanted.percent,
        released_by=wanted.by,
    )
    session.add(row)
    await session.flush()
    require_fallback(await flows.releases(session), now())
    told = {
        "starts_at": row.starts_at.isoformat(),
        "channels": row.channels,
        "percent": row.percent,
        "release_id": row.release_id,
    }
    flow_drafts.note(
        session, row.key, kind, wanted.by, version=row.version, sha256=version.sha256, reason=wanted.reason, data=told
    )
    return row


async def roll_back(session: AsyncSession, key: str, by: str, reason: str) -> FlowRelease:
    """Afterwards orders take what they took before the newest release that people made; returns that release.

    Raises NothingToRollBack, and NoFallbackFlow when there was nothing before it that all need.
    """
    await flows.lock(session, key)
    newest = next((row for row in await open_releases(session, key) if row.origin == PEOPLE), None)
    if newest is None:
        raise NothingToRollBack(key=key)
    newest.ended_at, newest.ended_by = now(), by
    await session.flush()
    require_fallback(await flows.releases(session), now())
    told = {"release_id": newest.release_id}
    flow_drafts.note(session, key, "rolled_back", by, version=newest.version, reason=reason, data=told)
    return newest


async def retire(session: AsyncSession, key: str, number: int, by: str, reason: str) -> FlowVersion:
    """Afterwards no new order takes the version. Raises FlowNotFound and NoFallbackFlow."""
    await flows.lock(session, key)
    version = await flows.version_of(session, key, number)
    if version.retired_at is None:
        version.retired_at = now()
        for row in await open_releases(session, key):
            if row.version == number:
                row.ended_at, row.ended_by = version.retired_at, by
        await session.flush()
        require_fallback(await flows.releases(session), now())
        flow_drafts.note(session, key, "retired", by, version=number, sha256=version.sha256, reason=reason)
    return version


async def open_releases(session: AsyncSession, key: str) -> Sequence[FlowRelease]:
    """The releases of the flow that have not ended, the newest first."""
    found = select(FlowRelease).where(col(FlowRelease.key) == key, col(FlowRelease.ended_at).is_(None))
    return (await session.exec(found.order_by(col(FlowRelease.release_id).desc()))).all()


async def staff(session: AsyncSession) -> Staff:
    """Who works here now."""
    people = (await session.exec(select(Person).where(col(Person.active)))).all()
    roles = {role for one in people for role in one.roles}
    having = {role: frozenset(one.person_id for one in people if role in one.roles) for role in roles}
    return Staff(frozenset(one.person_id for one in people), having)
