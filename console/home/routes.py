"""What waits for whoever has come: approvals, holds of their roles, and how orders stand."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from api.approvals.schemas import ApprovalItem
from api.dependencies import SessionDep, SessionsDep
from api.fields import Key
from api.holds.schemas import HoldItem
from api.people.absences import AbsenceBody
from console.guard import HOME, Visitor, allowed
from console.pages import REFUSALS, Page, PageDep
from domain.access import Permission
from domain.errors import DomainError
from models.access import Absence
from store import absences
from store.listing import approvals, holds
from store.listing import orders as listing
from store.listing.approvals import ApprovalFilter
from store.listing.holds import HoldFilter
from store.listing.orders import OrderFilter
from store.people import who_may_be_asked

router = APIRouter()
Anybody = Annotated[Visitor, allowed()]
Colleague = Annotated[Visitor, allowed(Permission.ABSENCES_WRITE)]
Line = Annotated[str, Form(max_length=200)]
AWAY: Final = f"{HOME}away"
_SHOWN: Final = 6


@router.get("/")
async def show_home(page: PageDep, visitor: Anybody, session: SessionDep) -> Response:
    content: dict[str, Any] = {"asked": [], "held": [], "orders": [], "more_asked": False, "more_held": False}
    caller = visitor.caller
    if caller.may(Permission.APPROVALS_READ):
        wanted = ApprovalFilter(assignee=caller.actor, state="open")
        rows = await approvals.page(session, caller, wanted, None, _SHOWN)
        people = await approvals.asked(session, [row.approval_id for row in rows])
        content["asked"] = [ApprovalItem.of(row, people[row.approval_id], caller) for row in rows[:_SHOWN]]
        content["more_asked"] = len(rows) > _SHOWN
    if caller.may(Permission.ORDERS_READ):
        found = await _held(session, visitor)
        content["held"], content["more_held"] = found[:_SHOWN], len(found) > _SHOWN
        content["orders"] = await listing.page(session, caller, OrderFilter(), None, limit=_SHOWN)
    return page.show("home.html", visitor, **content)


@router.get("/away")
async def show_absences(page: PageDep, visitor: Colleague, sessions: SessionsDep) -> Response:
    return await _away(page, visitor, sessions)


@router.post("/away")
async def go_away(
    page: PageDep,
    visitor: Colleague,
    sessions: SessionsDep,
    starts_at: Line = "",
    ends_at: Line = "",
    delegate_id: Line = "",
) -> Response:
    """The visitor is away then; who is asked in their place is asked from then on."""
    try:
        said = {"starts_at": _utc(starts_at), "ends_at": _utc(ends_at), "delegate_id": delegate_id or None}
        body = AbsenceBody.model_validate(said)
        absence_id = f"console-{body.starts_at:%Y%m%d%H%M%S}"
        async with sessions() as session, session.begin():
            await absences.put(
                session, Absence(person_id=visitor.caller.actor, absence_id=absence_id, **body.model_dump())
            )
    except REFUSALS as refused:
        return await _away(page, visitor, sessions, refused)
    return page.go(AWAY, "You are away then.")


@router.post("/away/{absence_id}/remove")
async def come_back(page: PageDep, visitor: Colleague, sessions: SessionsDep, absence_id: Key) -> Response:
    try:
        async with sessions() as session, session.begin():
            await absences.remove(session, visitor.caller.actor, absence_id)
    except DomainError as refused:
        return await _away(page, visitor, sessions, refused)
    return page.go(AWAY, "Removed.")


async def _held(session: Any, visitor: Visitor) -> list[HoldItem]:
    """The oldest open holds that the visitor's roles own."""
    found = []
    for role in sorted(visitor.caller.roles):
        rows = await holds.open_page(session, visitor.caller, HoldFilter(owner_role=role), None, _SHOWN)
        found += [HoldItem.listed(hold, order, visitor.caller) for hold, order in rows]
    return sorted(found, key=lambda hold: hold.opened_at)


def _utc(moment: str) -> str:
    """What a browser's field for a moment says, which has no offset: the page asks for UTC."""
    return f"{moment}:00Z" if len(moment) == len("2026-11-29T10:00") else moment


async def _away(page: Page, visitor: Visitor, sessions: Any, refused: Exception | None = None) -> Response:
    status, trouble = (200, "") if refused is None else page.refusal(refused)
    async with sessions() as session:
        rows = await absences.of_person(session, visitor.caller.actor)
        others = await who_may_be_asked(session, {visitor.caller.actor})
    tomorrow = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    content = {"absences": rows, "others": others, "trouble": trouble, "earliest": tomorrow.strftime("%Y-%m-%dT%H:%M")}
    return page.show("away.html", visitor, status, now=datetime.now(UTC), **content)
