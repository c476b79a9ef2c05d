"""Importing orders: bring a file, see what each row becomes with nothing placed, and place them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import groupby
from typing import Annotated, Any, Final
from urllib.parse import quote
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import UploadFile

from api.dependencies import KeysDep, SessionDep
from api.fields import Key
from api.orders.intake import IntakeDep
from api.turnstile import end_turn
from console.guard import HOME, Visitor, allowed
from console.imports.placing import Placing, Placings
from console.imports.sight import complaint, complaints, outlooks, totals
from console.pages import Page, PageDep
from domain.access import Permission
from importing import writing
from importing.apart import read_apart, reading_of, text_of
from importing.columns import ORDER_COLUMNS
from importing.reading import Choice, Reading
from importing.survey import LARGEST_FILE
from importing.table import Problem, UnusableFile, filled_in
from models.importing import ImportedOrder, OrderImport
from runtime.keyring import KeyRing
from store import entities, imports
from store.defaults import ENTITY
from store.imports import Brought

router = APIRouter()
MAY_PLACE: Final = allowed(Permission.ORDERS_PLACE)
Placer = Annotated[Visitor, MAY_PLACE]
After = Annotated[int, Query(ge=-1, le=100_000)]
IMPORTS: Final = f"{HOME}imports"
_PAGE: Final = 50
_COMPLAINTS: Final = 100
_ZONES: Final = (
    *("Asia/Shanghai", "Asia/Hong_Kong", "Asia/Singapore", "Asia/Tokyo", "UTC", "Europe/London", "Europe/Berlin"),
    *("America/New_York", "America/Los_Angeles"),
)
_FATES: Final = ("placed", "there", "refused")


@dataclass(frozen=True, slots=True)
class _Look:
    """Who looks at a file, and what it takes to show it."""

    page: Page
    visitor: Visitor
    session: AsyncSession
    keys: KeyRing

    @property
    def chinese(self) -> bool:
        return self.page.words.language == "zh"


def _look(page: PageDep, visitor: Placer, session: SessionDep, keys: KeysDep) -> _Look:
    return _Look(page, visitor, session, keys)


Look = Annotated[_Look, Depends(_look)]


@router.get("/imports")
async def list_imports(page: PageDep, visitor: Placer, session: SessionDep) -> Response:
    return await _list(page, visitor, session)


@router.post("/imports")
async def bring_file(request: Request, page: PageDep, visitor: Placer, session: SessionDep, keys: KeysDep) -> Response:
    """The file is read and kept; nothing is placed."""
    sent = (await request.form()).get("file")
    if not isinstance(sent, UploadFile) or not sent.filename:
        return await _list(page, visitor, session, "Choose a file.")
    name, raw = sent.filename.replace("\\", "/").rpartition("/")[2][-200:], await sent.read(LARGEST_FILE + 1)
    choice = Choice(time_zone=await entities.time_zone(session, ENTITY))
    await _let_go(session)
    try:
        brought = _brought(raw, choice, await read_apart(raw, name, choice))
    except UnusableFile as unusable:
        return await _list(page, visitor, session, unusable.words, unusable.values)
    by = visitor.caller.actor
    import_id = await imports.bring(session, keys, brought, name, sha256(raw).hexdigest(), by)
    await session.commit()
    return page.go(f"{IMPORTS}/{import_id}")


@router.get("/imports/template.xlsx", dependencies=[MAY_PLACE])
async def template_workbook() -> Response:
    return _download(await asyncio.to_thread(writing.template), writing.MEDIA_TYPE, "orders-订单模板.xlsx")


@router.get("/imports/template.csv", dependencies=[MAY_PLACE])
async def template_csv() -> Response:
    return _download(writing.template_csv(), "text/csv; charset=utf-8", "orders-订单模板.csv")


@router.get("/imports/{import_id}", dependencies=[MAY_PLACE])
async def show_import(look: Look, import_id: Key, after: After = -1, fate: str | None = None) -> Response:
    row = await imports.find(look.session, import_id)
    if row.state == "read":
        return await _preview(look, row, after)
    return await _results(look, row, after, fate if fate in _FATES else None)


@router.post("/imports/{import_id}/columns", dependencies=[MAY_PLACE])
async def choose_columns(
    request: Request, page: PageDep, session: SessionDep, keys: KeysDep, import_id: Key
) -> Response:
    """The file is read again as was chosen."""
    row = await imports.find(session, import_id)
    raw, name = imports.file_of(row, keys), row.file_name
    await _let_go(session)
    choice = _choice({name: str(value) for name, value in (await request.form()).items()})
    try:
        brought = _brought(raw, choice, await read_apart(raw, name, choice))
    except UnusableFile as unusable:
        return page.go(f"{IMPORTS}/{import_id}", unusable.words, "bad", **unusable.values)
    await imports.put_reading(session, keys, import_id, brought)
    await session.commit()
    return page.go(f"{IMPORTS}/{import_id}")


@router.post("/imports/{import_id}/place")
async def place_orders(
    request: Request, page: PageDep, visitor: Placer, session: SessionDep, intake: IntakeDep, import_id: Key
) -> Response:
    """The orders are on their way through the door; said twice, they are on it once."""
    row = await imports.claim(session, import_id, visitor.caller.actor)
    await session.commit()
    if row is not None:
        placings: Placings = request.app.state.placings
        placings.begin(Placing(intake, visitor.caller, request.app.state.batch_gate), row)
    return page.go(f"{IMPORTS}/{import_id}")


@router.get("/imports/{import_id}/live")
async def live_progress(page: PageDep, visitor: Placer, session: SessionDep, import_id: Key) -> Response:
    """How far it has come; the page as a whole once it is over."""
    row = await imports.find(session, import_id)
    settled, stalled = await imports.settled(session, import_id), imports.is_stalled(row)
    answer = page.show("imports/progress.html", visitor, one=row, settled=settled, stalled=stalled)
    if row.state == "done":
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/imports/{import_id}/refused.xlsx", dependencies=[MAY_PLACE])
async def refused_rows(page: PageDep, session: SessionDep, keys: KeysDep, import_id: Key) -> Response:
    """The rows of every order that was not placed, as they stood in the file, with why."""
    row = await imports.find(session, import_id)
    reading = reading_of(imports.reading_of(row, keys))
    why = _reasons(page, reading, await imports.fates(session, import_id, "refused", -1, 100_000))
    rows = [(reading.lines[number], why[number]) for number in sorted(why) if number in reading.lines]
    headings = [one.text for one in reading.headings]
    book = await asyncio.to_thread(writing.refused, headings, rows, page.words.text("Why it was refused"))
    return _download(book, writing.MEDIA_TYPE, f"refused-{import_id}.xlsx")


async def _list(
    page: Page, visitor: Visitor, session: AsyncSession, trouble: str = "", values: Mapping[str, Any] | None = None
) -> Response:
    words = page.words.text(trouble, **(values or {})) if trouble else ""
    rows = await imports.latest(session)
    return page.show("imports/list.html", visitor, 422 if trouble else 200, imports=rows, trouble=words)


async def _preview(look: _Look, row: OrderImport, after: int) -> Response:
    if row.reading is None:
        return look.page.show("imports/gone.html", look.visitor, one=row)
    reading = reading_of(imports.reading_of(row, look.keys))
    found = await outlooks(look.session, reading)
    shown = found[after + 1 : after + 1 + _PAGE]
    ahead = [one.item for one in found if one.state == "new"]
    all_complaints = complaints(reading, reading.readout.refused, look.chinese)
    return look.page.show(
        "imports/preview.html",
        look.visitor,
        one=row,
        reading=reading,
        found=shown,
        following=after + _PAGE if len(found) > after + 1 + _PAGE else None,
        counts={state: sum(one.state == state for one in found) for state in ("new", "there", "differs")},
        doubts={code: sum(code in one.doubts for one in found) for code in ("unknown_sku", "price_mismatch")},
        totals=totals(ahead),
        complaints=all_complaints[:_COMPLAINTS],
        more_complaints=max(0, len(all_complaints) - _COMPLAINTS),
        before=await imports.same_file(look.session, row),
        columns=ORDER_COLUMNS,
        choice=Choice(**row.choice),
        zones=dict.fromkeys((str(row.choice["time_zone"]), *_ZONES)),
    )


async def _results(look: _Look, row: OrderImport, after: int, fate: str | None) -> Response:
    reading = reading_of(imports.reading_of(row, look.keys)) if row.reading is not None else None
    rows = await imports.fates(look.session, row.import_id, fate, after, _PAGE + 1)
    unreadable = (
        complaints(reading, reading.readout.refused, look.chinese) if reading and fate in (None, "refused") else []
    )
    return look.page.show(
        "imports/results.html",
        look.visitor,
        one=row,
        kept=reading is not None,
        stalled=imports.is_stalled(row),
        fate=fate,
        settled=await imports.settled(look.session, row.import_id),
        rows=[(one, _told(reading, one, look.chinese)) for one in rows[:_PAGE]],
        following=rows[_PAGE - 1].position if len(rows) > _PAGE else None,
        complaints=unreadable[:_COMPLAINTS],
    )


def _told(reading: Reading | None, one: ImportedOrder, chinese: bool) -> Sequence[Any]:
    if reading is None:
        return []
    return [complaint(reading, one.called, Problem(**problem), chinese) for problem in one.problems]


async def _let_go(session: AsyncSession) -> None:
    """Afterwards no connection is held, and no turn taken, while another process reads."""
    await session.commit()
    end_turn()


def _brought(raw: bytes, choice: Choice, reading: Reading) -> Brought:
    orders, unreadable = len(reading.readout.items), len(reading.readout.refused)
    return Brought(raw, text_of(reading), asdict(choice), orders, unreadable)


def _choice(form: Mapping[str, str]) -> Choice:
    """What the form says; what nothing is called like is as good as not chosen."""
    columns = {name.removeprefix("column."): value for name, value in form.items() if name.startswith("column.")}
    fixed = {name.removeprefix("fixed."): text for name, text in form.items() if name.startswith("fixed.")}
    zone = form.get("time_zone", "")
    return Choice(
        sheet=form.get("sheet") or None,
        # Another sheet has other columns.
        columns=columns if form.get("sheet") == form.get("sheet_before") else None,
        fixed={name: text.strip()[:200] for name, text in fixed.items() if text.strip()},
        time_zone=zone if zone in available_timezones() else "UTC",
    )


def _reasons(page: Page, reading: Reading, refused: Sequence[ImportedOrder]) -> dict[int, str]:
    """Why the order of each row was refused, by the row."""
    items = reading.readout.items
    found = [(one.rows, one.problems) for one in reading.readout.refused]
    found += [(items[one.position].rows, tuple(Problem(**problem) for problem in one.problems)) for one in refused]
    why: dict[int, str] = {}
    for rows, problems in found:
        said = [(one.row, _in_words(page, reading, one)) for one in problems]
        whole = " ".join(words for _row, words in said)
        by_row = {row: " ".join(words for _row, words in group) for row, group in groupby(sorted(said, key=_row), _row)}
        # A row with nothing wrong is there because its order was refused for another one.
        why |= {row: by_row.get(row) or whole for row in rows}
    return why


def _row(said: tuple[int | None, str]) -> int:
    return said[0] or 0


def _in_words(page: Page, reading: Reading, problem: Problem) -> str:
    told = complaint(reading, "", problem, page.words.language == "zh")
    where = " ".join(filter(None, (told.cell, told.column)))
    return f"{where}: {filled_in(page.words.text(told.words), told.values)}"


def _download(content: bytes, media_type: str, name: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})
