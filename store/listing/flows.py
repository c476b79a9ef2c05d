"""Flows as they are listed: what is in force, what is being drawn, and how many orders are on their way in each."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.flow.releases import Release
from models.flow import FlowDraft, FlowRelease, FlowVersion
from store import flows

_OPEN = text("SELECT flow_key, flow_version, count(*) FROM orders WHERE closed_at IS NULL GROUP BY 1, 2")


@dataclass(frozen=True, slots=True)
class Drawing:
    """The draft of a flow, as far as lists tell of it."""

    draft: FlowDraft
    passed: bool


@dataclass(frozen=True, slots=True)
class Flows:
    """All flows at one moment."""

    releases: Mapping[str, Sequence[Release]]
    newest: Mapping[str, FlowVersion]
    drafts: Mapping[str, FlowDraft]
    open_orders: Mapping[tuple[str, int], int]

    @property
    def keys(self) -> list[str]:
        """Every flow that has a version or a draft."""
        return sorted(self.newest.keys() | self.drafts.keys())

    def orders_of(self, key: str) -> int:
        """Orders on their way in any version of the flow."""
        return sum(orders for (of, _), orders in self.open_orders.items() if of == key)


async def all_flows(session: AsyncSession) -> Flows:
    """Every flow; the releases of each come in the order in which they are asked."""
    releases: dict[str, list[Release]] = defaultdict(list)
    for release in sorted(await flows.releases(session), key=lambda one: one.rank, reverse=True):
        releases[release.flow.key].append(release)
    rows = await session.exec(select(FlowVersion).order_by(col(FlowVersion.version)))
    drafts = (await session.exec(select(FlowDraft))).all()
    return Flows(releases, {row.key: row for row in rows}, {row.key: row for row in drafts}, await _open(session))


async def _open(session: AsyncSession) -> dict[tuple[str, int], int]:
    return {(key, version): orders for key, version, orders in await session.execute(_OPEN)}


async def versions(session: AsyncSession, key: str) -> Sequence[FlowVersion]:
    """Every version of the flow, the newest first."""
    found = select(FlowVersion).where(col(FlowVersion.key) == key).order_by(col(FlowVersion.version).desc())
    return (await session.exec(found)).all()


async def releases_of(session: AsyncSession, key: str) -> Sequence[FlowRelease]:
    """Every release of the flow, ended ones included, the newest first."""
    found = select(FlowRelease).where(col(FlowRelease.key) == key).order_by(col(FlowRelease.release_id).desc())
    return (await session.exec(found)).all()


async def people_in_roles(session: AsyncSession) -> Mapping[str, int]:
    """How many people who work here have each role."""
    rows = await session.execute(text("SELECT unnest(roles) AS role FROM people WHERE active"))
    return Counter(str(row.role) for row in rows)
