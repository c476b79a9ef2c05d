"""Working calendars as master data: what counts in them, who changes them, and which flows hold them fast."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Text, cast, or_, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.flow.definition import FlowDefinition
from domain.flow.parts import NodeBase, Registry
from domain.working_calendar import BUILT_IN, Calendars, Holidays, WorkingCalendar
from domain.working_hours import read_hours
from models.calendar import Calendar, CalendarChange, CalendarDay
from models.columns import now
from models.flow import FlowVersion
from store import flow_library
from store.masters import MasterNotFound, Put

_KEPT: Final = ("calendar_id", "revision", "updated_by", "updated_at")
_PINNED = text("SELECT DISTINCT flow_key, flow_version FROM orders WHERE closed_at IS NULL")


class CalendarChanged(DomainError):
    """Somebody has changed the calendar since it was read; `theirs` is what it is now, None when it is gone."""

    code = "calendar_changed"

    def __init__(self, theirs: Calendar | None) -> None:
        super().__init__("the calendar is not what it was when it was read")
        self.theirs = theirs


class CalendarInUse(DomainError):
    """Published flows, or orders on their way, name the calendar."""

    code = "calendar_in_use"


class CalendarBuiltIn(DomainError):
    """The calendar came with the product: it is changed, never removed."""

    code = "calendar_built_in"


async def named(session: AsyncSession, names: Collection[str] | None = None) -> Calendars:
    """The calendars of these ids that are there; all of them without ids. Asks nothing where nothing is wanted."""
    if names is not None and not names:
        return {}
    rows, days = select(Calendar), select(CalendarDay)
    if names is not None:
        rows, days = (
            rows.where(col(Calendar.calendar_id).in_(names)),
            days.where(col(CalendarDay.calendar_id).in_(names)),
        )
    special: dict[str, list[CalendarDay]] = {}
    for day in (await session.exec(days)).all():
        special.setdefault(day.calendar_id, []).append(day)
    return {row.calendar_id: counted(row, special.get(row.calendar_id, ())) for row in (await session.exec(rows)).all()}


def counted(row: Calendar, days: Iterable[CalendarDay] = ()) -> WorkingCalendar:
    """The calendar as time is counted in it. Raises what its hours are refused with."""
    return WorkingCalendar(
        ZoneInfo(row.time_zone),
        tuple(read_hours(hours) for hours in row.week),
        Holidays(row.holidays),
        {day.day: read_hours(day.hours) for day in days},
        row.revision,
    )


async def of_nodes(session: AsyncSession, nodes: Iterable[NodeBase]) -> Calendars:
    """The calendars that these nodes name, as far as they are there."""
    return await named(session, names_in(nodes))


def names_in(nodes: Iterable[NodeBase]) -> frozenset[str]:
    """The ids of the calendars that these nodes name."""
    references = (reference for node in nodes for reference in node.references())
    return frozenset(one.name for one in references if one.registry is Registry.CALENDAR)


async def listed(session: AsyncSession) -> Sequence[Calendar]:
    """All calendars, by their id."""
    return (await session.exec(select(Calendar).order_by(col(Calendar.calendar_id)))).all()


async def ids(session: AsyncSession) -> frozenset[str]:
    """The ids of all calendars."""
    return frozenset((await session.exec(select(Calendar.calendar_id))).all())


async def held(session: AsyncSession, names: Collection[str]) -> frozenset[str]:
    """Those of these ids that are there; nobody removes them until this transaction ends."""
    found = select(Calendar.calendar_id).where(col(Calendar.calendar_id).in_(names))
    return frozenset((await session.exec(found.with_for_update(read=True))).all()) if names else frozenset()


async def put(session: AsyncSession, wanted: Calendar, expected: int | None, actor: str) -> Put:
    """Afterwards the calendar is as wanted; the same content again changes nothing.

    `expected`: the revision that was read, None for a calendar that is not to be there yet. Raises CalendarChanged.
    """
    row = await _locked(session, wanted.calendar_id)
    if (row.revision if row else None) != expected:
        raise CalendarChanged(row)
    after = _content(wanted)
    if row is None:
        created = Calendar(calendar_id=wanted.calendar_id, updated_by=actor, **after)
        session.add(created)
        _note(session, created, "created", actor, {"after": after})
        await session.flush()
        return Put.CREATED
    before = _content(row)
    if before == after:
        return Put.UNCHANGED
    for name, value in after.items():
        setattr(row, name, value)
    _change(session, row, "changed", actor, {"before": before, "after": after})
    await session.flush()
    return Put.UPDATED


async def remove(session: AsyncSession, calendar_id: str, expected: int, actor: str) -> None:
    """Afterwards there is no such calendar. Raises MasterNotFound, CalendarChanged, CalendarBuiltIn, CalendarInUse."""
    row = await _locked(session, calendar_id)
    if row is None:
        raise MasterNotFound()
    if row.revision != expected:
        raise CalendarChanged(row)
    if calendar_id in BUILT_IN:
        raise CalendarBuiltIn(calendar_id=calendar_id)
    naming = await flows_naming(session, calendar_id)
    if naming:
        raise CalendarInUse(calendar_id=calendar_id, flows=", ".join(naming))
    days = [_of_day(day) for day in await days_of(session, calendar_id)]
    row.revision += 1
    _note(session, row, "removed", actor, {"before": {**_content(row), "days": days}})
    await session.delete(row)
    await session.flush()


async def flows_naming(session: AsyncSession, calendar_id: str) -> list[str]:
    """The versions, as `key vN`, that new orders may take or that open ones have, and that come to the calendar."""
    # Most neither have the word anywhere nor call another flow that might.
    content = cast(col(FlowVersion.definition), Text)
    maybe = select(FlowVersion).where(or_(content.contains(f'"{calendar_id}"'), content.contains('"subflow"')))
    pinned = {(row.flow_key, row.flow_version) for row in await session.execute(_PINNED)}
    found = []
    for version in (await session.exec(maybe)).all():
        if version.retired_at is not None and (version.key, version.version) not in pinned:
            continue
        whole = await flow_library.resolved(session, FlowDefinition.model_validate(version.definition))
        if calendar_id in names_in(whole.nodes.values()):
            found.append((version.key, version.version))
    return [f"{key} v{number}" for key, number in sorted(found)]


async def put_day(session: AsyncSession, wanted: CalendarDay, actor: str) -> Put:
    """Afterwards the day is otherwise, as wanted. Raises MasterNotFound where there is no such calendar."""
    row = await _locked(session, wanted.calendar_id)
    if row is None:
        raise MasterNotFound()
    known = await session.get(CalendarDay, (wanted.calendar_id, wanted.day), populate_existing=True)
    before, after = _of_day(known) if known else None, _of_day(wanted)
    if before == after:
        return Put.UNCHANGED
    if known is None:
        session.add(CalendarDay(**wanted.model_dump()))
    else:
        known.hours, known.note = wanted.hours, wanted.note
    _change(session, row, "day_put", actor, {"before": before, "after": after})
    await session.flush()
    return Put.CREATED if before is None else Put.UPDATED


async def remove_day(session: AsyncSession, calendar_id: str, day: date, actor: str) -> None:
    """Afterwards the day is as week and holidays say. Raises MasterNotFound."""
    row = await _locked(session, calendar_id)
    known = await session.get(CalendarDay, (calendar_id, day), populate_existing=True)
    if row is None or known is None:
        raise MasterNotFound()
    _change(session, row, "day_removed", actor, {"before": _of_day(known)})
    await session.delete(known)
    await session.flush()


async def days_of(session: AsyncSession, calendar_id: str) -> Sequence[CalendarDay]:
    """Every day of the calendar that is otherwise, in their order."""
    found = select(CalendarDay).where(col(CalendarDay.calendar_id) == calendar_id)
    return (await session.exec(found.order_by(col(CalendarDay.day)))).all()


async def changes(session: AsyncSession, calendar_id: str, before: int | None, limit: int) -> Sequence[CalendarChange]:
    """Who did what to the calendar, the newest first, before the change of this number."""
    found = select(CalendarChange).where(col(CalendarChange.calendar_id) == calendar_id)
    if before is not None:
        found = found.where(col(CalendarChange.change_id) < before)
    return (await session.exec(found.order_by(col(CalendarChange.change_id).desc()).limit(limit))).all()


async def _locked(session: AsyncSession, calendar_id: str) -> Calendar | None:
    """The calendar, which nobody else changes or creates until this transaction ends."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended('calendar/' || :calendar_id, 0))")
    await session.execute(lock, {"calendar_id": calendar_id})
    return await session.get(Calendar, calendar_id, populate_existing=True, with_for_update=True)


def _change(session: AsyncSession, row: Calendar, kind: str, actor: str, data: dict[str, Any]) -> None:
    row.revision, row.updated_by, row.updated_at = row.revision + 1, actor, now()
    _note(session, row, kind, actor, data)


def _note(session: AsyncSession, row: Calendar, kind: str, actor: str, data: dict[str, Any]) -> None:
    revision = row.revision or 1
    session.add(CalendarChange(calendar_id=row.calendar_id, revision=revision, kind=kind, actor=actor, data=data))


def _content(row: Calendar) -> dict[str, Any]:
    return row.model_dump(exclude=set(_KEPT))


def _of_day(row: CalendarDay) -> dict[str, Any]:
    return {"day": row.day.isoformat(), "hours": list(row.hours), "note": row.note}
