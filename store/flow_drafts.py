"""The draft of a flow, its layout and its sandbox runs, and the record of who did what to a flow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.flow.problems import Problem
from models.columns import now
from models.flow import FlowChange, FlowDraft, FlowLayout, FlowSandboxRun
from store import flows


class FlowDraftNotFound(DomainError):
    """Nobody is drawing this flow."""

    code = "flow_draft_not_found"


class FlowDraftChanged(DomainError):
    """Somebody else has saved the draft meanwhile; `theirs` is what it is now, None when it is gone."""

    code = "flow_draft_changed"

    def __init__(self, theirs: FlowDraft | None) -> None:
        super().__init__("the draft is not what it was when it was read")
        self.theirs = theirs


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a person has drawn: the content, its hash if its form is right, and what is wrong with it."""

    definition: Mapping[str, Any]
    sha256: str | None
    problems: tuple[Problem, ...]


async def find(session: AsyncSession, key: str) -> FlowDraft:
    """The draft of the flow. Raises FlowDraftNotFound."""
    row = await session.get(FlowDraft, key)
    if row is None:
        raise FlowDraftNotFound(key=key)
    return row


async def save(session: AsyncSession, key: str, drawn: Drawn, expected: int | None, actor: str) -> FlowDraft:
    """The draft as it now is; the same content again changes nothing but what is wrong with it by now. `expected`: the
    revision that was read, None for a draft that is not to be there yet. Raises FlowDraftChanged."""
    await flows.lock(session, key)
    row = await session.get(FlowDraft, key, populate_existing=True)
    if (row.revision if row else None) != expected:
        raise FlowDraftChanged(row)
    problems = [asdict(problem) for problem in drawn.problems]
    content = dict(drawn.definition)
    if row is None:
        newest = await flows.newest_number(session, key)
        row = FlowDraft(key=key, definition=content, based_on=newest or None, updated_by=actor)
    elif row.definition == content:
        # What it names may have come or gone meanwhile.
        row.problems = problems
        return row
    else:
        row.revision += 1
    row.definition, row.sha256, row.problems = content, drawn.sha256, problems
    row.updated_by, row.updated_at = actor, now()
    session.add(row)
    note(session, key, "draft_saved", actor, sha256=drawn.sha256, data={"revision": row.revision})
    await session.flush()
    return row


async def discard(session: AsyncSession, key: str, expected: int, actor: str) -> None:
    """Afterwards there is no draft. Raises FlowDraftNotFound and FlowDraftChanged."""
    await flows.lock(session, key)
    row = await find(session, key)
    if row.revision != expected:
        raise FlowDraftChanged(row)
    await session.delete(row)
    note(session, key, "draft_discarded", actor, sha256=row.sha256, data={"revision": row.revision})


def note(
    session: AsyncSession,
    key: str,
    kind: str,
    actor: str,
    **told: Any,
) -> None:
    """Afterwards it is on record who did this to the flow; `told`: version, sha256, reason and data."""
    session.add(FlowChange(key=key, kind=kind, actor=actor, **told))


async def layout(session: AsyncSession, key: str) -> dict[str, Any]:
    """Where the flow's boxes stand; empty when nobody has moved one."""
    row = await session.get(FlowLayout, key)
    return row.nodes if row else {}


async def put_layout(session: AsyncSession, key: str, nodes: Mapping[str, Any], actor: str) -> None:
    """Afterwards the boxes stand there; whoever says so last is right."""
    row = {"key": key, "nodes": dict(nodes), "updated_by": actor, "updated_at": now()}
    kept = {name: value for name, value in row.items() if name != "key"}
    await session.execute(insert(FlowLayout).values(row).on_conflict_do_update(index_elements=["key"], set_=kept))
    note(session, key, "layout_moved", actor, data={"nodes": len(nodes)})


async def add_run(session: AsyncSession, run: FlowSandboxRun) -> FlowSandboxRun:
    """Afterwards the run is on record."""
    session.add(run)
    data = {"passed": run.passed, "scripts": len(run.scripts)}
    note(session, run.key, "sandboxed", run.run_by, sha256=run.sha256, data=data)
    await session.flush()
    return run


async def has_passed(session: AsyncSession, key: str, sha256: str | None) -> bool:
    """Whether the last sandbox run of this content has passed."""
    runs = select(FlowSandboxRun.passed).where(col(FlowSandboxRun.key) == key, col(FlowSandboxRun.sha256) == sha256)
    last = (await session.exec(runs.order_by(col(FlowSandboxRun.run_id).desc()).limit(1))).first()
    return last is True


async def runs(session: AsyncSession, key: str, limit: int) -> Sequence[FlowSandboxRun]:
    """The last sandbox runs of the flow, the newest first."""
    found = select(FlowSandboxRun).where(col(FlowSandboxRun.key) == key)
    return (await session.exec(found.order_by(col(FlowSandboxRun.run_id).desc()).limit(limit))).all()


async def changes(session: AsyncSession, key: str, before: int | None, limit: int) -> Sequence[FlowChange]:
    """Who did what to the flow, the newest first, before the change of this number."""
    found = select(FlowChange).where(col(FlowChange.key) == key)
    if before is not None:
        found = found.where(col(FlowChange.change_id) < before)
    return (await session.exec(found.order_by(col(FlowChange.change_id).desc()).limit(limit))).all()
