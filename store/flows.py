"""Flow versions and their releases: what is stored once for ever, and which orders take what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.flow.definition import FlowDefinition
from domain.flow.releases import Release, flows_for
from models.flow import FlowRelease, FlowVersion
from models.order import Order

BUILT_IN, PEOPLE = "built_in", "people"


class FlowVersionDiffers(DomainError):
    """A published version exists with another content; publish the change as a new version."""

    code = "flow_version_differs"


class FlowNotFound(DomainError):
    """There is no such flow, or no such version of it."""

    code = "flow_not_found"


@dataclass(frozen=True, slots=True)
class Published:
    """Who publishes, as what, and why."""

    by: str = "orderflow"
    origin: str = BUILT_IN
    reason: str | None = None


async def publish(session: AsyncSession, flows: Iterable[FlowDefinition]) -> None:
    """Afterwards each of these built-in flows is stored and released, now or since long. Raises FlowVersionDiffers.

    A number that people have given to a version of theirs meanwhile is not taken from them: ours gets the next one.
    """
    for flow in flows:
        taken = await session.get(FlowVersion, (flow.key, flow.version))
        if taken is not None and taken.origin == BUILT_IN and taken.sha256 != flow.fingerprint:
            raise FlowVersionDiffers(key=flow.key, version=flow.version)
        stored = await store(session, flow, Published(), as_number=None if taken else flow.version)
        if not await _released(session, stored):
            session.add(FlowRelease(key=stored.key, version=stored.version))
            await session.flush()


async def store(
    session: AsyncSession, flow: FlowDefinition, published: Published, as_number: int | None = None
) -> FlowVersion:
    """The version with this content, stored now under the number or the next free one, unless it had been before."""
    await lock(session, flow.key)
    known = await of_content(session, flow.key, flow.fingerprint)
    if known is not None:
        return known
    number = as_number or await newest_number(session, flow.key) + 1
    numbered = flow.model_copy(update={"version": number})
    row = FlowVersion(
        key=flow.key,
        version=number,
        sha256=flow.fingerprint,
        definition=numbered.model_dump(mode="json", exclude_defaults=True),
        origin=published.origin,
        published_by=published.by,
        reason=published.reason,
    )
    session.add(row)
    await session.flush()
    return row


async def lock(session: AsyncSession, key: str) -> None:
    """Afterwards nobody else changes anything about the flow until this transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"flow/{key}", 0))))


async def of_content(session: AsyncSession, key: str, sha256: str) -> FlowVersion | None:
    """The version of the flow that has this content."""
    wanted = select(FlowVersion).where(col(FlowVersion.key) == key, col(FlowVersion.sha256) == sha256)
    return (await session.exec(wanted.order_by(col(FlowVersion.version).desc()).limit(1))).first()


async def newest_number(session: AsyncSession, key: str) -> int:
    """The highest number of a version of the flow; 0 when there is none."""
    newest = await session.exec(select(func.max(FlowVersion.version)).where(col(FlowVersion.key) == key))
    return newest.one() or 0


async def _released(session: AsyncSession, version: FlowVersion) -> bool:
    """Whether it has ever been released as a built-in flow; one that people have ended stays ended."""
    found = select(FlowRelease.release_id).where(
        col(FlowRelease.key) == version.key,
        col(FlowRelease.version) == version.version,
        col(FlowRelease.origin) == BUILT_IN,
    )
    return (await session.exec(found.limit(1))).first() is not None


async def releases(session: AsyncSession, known: Iterable[Release] = ()) -> list[Release]:
    """Every release that has not ended, those to come included.

    A version never changes: what is among the `known` releases of this database is not read and checked again.
    """
    in_force = (
        select(FlowRelease)
        .join(FlowVersion)
        .where(col(FlowRelease.ended_at).is_(None), col(FlowVersion.retired_at).is_(None))
    )
    rows = (await session.exec(in_force)).all()
    read = {(one.flow.key, one.flow.version): one.flow for one in known}
    if unread := {(row.key, row.version) for row in rows} - read.keys():
        wanted = select(FlowVersion).where(tuple_(col(FlowVersion.key), col(FlowVersion.version)).in_(unread))
        for version in (await session.exec(wanted)).all():
            read[version.key, version.version] = FlowDefinition.model_validate(version.definition)
    return [_release(row, read[row.key, row.version]) for row in rows]


def _release(row: FlowRelease, flow: FlowDefinition) -> Release:
    channels = None if row.channels is None else frozenset(row.channels)
    return Release(row.release_id or 0, flow, row.starts_at, channels, row.percent, row.origin == PEOPLE)


async def in_force_for(session: AsyncSession, order_no: str, channel: str, at: datetime) -> Sequence[FlowDefinition]:
    """The version of every flow that an order placed at this moment takes."""
    return flows_for(await releases(session), order_no, channel, at)


async def get(session: AsyncSession, key: str, version: int) -> tuple[FlowDefinition, str]:
    """A published version and the hash it was published under. Raises LookupError."""
    row = await session.get(FlowVersion, (key, version))
    if row is None:
        raise LookupError(f"flow {key} version {version} is not stored")
    return FlowDefinition.model_validate(row.definition), row.sha256


async def version_of(session: AsyncSession, key: str, version: int) -> FlowVersion:
    """The stored version. Raises FlowNotFound."""
    row = await session.get(FlowVersion, (key, version))
    if row is None:
        raise FlowNotFound(key=key, version=version)
    return row


async def open_orders(session: AsyncSession, key: str, version: int) -> int:
    """How many orders are on their way in this version."""
    of_version = col(Order.flow_key) == key, col(Order.flow_version) == version
    counted = select(func.count()).where(*of_version, col(Order.closed_at).is_(None))
    return (await session.exec(counted)).one()
