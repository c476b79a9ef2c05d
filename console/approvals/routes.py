"""The inbox of approvals: what waits for a person's word, least time left first, and saying it."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Query, Request, Response

from api.approvals.saying import Speaker, heard, say
from api.approvals.schemas import (
    ME,
    AddSigner,
    ApprovalItem,
    ApprovalQuery,
    ApprovalView,
    CopyTo,
    Decide,
    Reasoned,
    Transfer,
    Words,
)
from api.dependencies import SessionsDep, SnapshotDep
from api.fields import Body, Key
from api.inbox.door import HandOverDep
from api.inbox.hand_over import HandOver
from api.paging import Keyset
from console.guard import HOME, Visitor, allowed
from console.pages import REFUSALS, Page, PageDep
from domain.access import Permission
from domain.signing import SILENT
from runtime.database import Sessions
from store import approvals
from store.listing import approvals as listing
from store.listing.approvals import ApprovalFilter
from store.people import who_may_be_asked

router = APIRouter()
Reader = Annotated[Visitor, allowed(Permission.APPROVALS_READ)]
Decider = Annotated[Visitor, allowed(Permission.APPROVALS_DECIDE)]
Line = Annotated[str, Form(max_length=4000)]
INBOX: Final = f"{HOME}approvals"
_LEAST_LEFT: Final = Keyset("approvals", (datetime, str))
_PAGE: Final = 50
_PATIENCE: Final = timedelta(seconds=3)
# What became of a word, as its author reads it.
_HEARD: Final = {
    "received": "Your word is on its way.",
    "effective": "Done.",
    "superseded": "Somebody was faster: your word is on record and changed nothing.",
    "not_assignee": "Others are asked by now: your word is on record and changed nothing.",
    "too_late": "Too late: the approval had ended. Your word is on record.",
}


@router.get("/approvals")
async def inbox(
    page: PageDep,
    visitor: Reader,
    session: SnapshotDep,
    view: Annotated[Literal["mine", "done", "cc", "open", "ended"], Query()] = "mine",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    rows = await _rows(session, visitor, view, cursor)
    return page.show("approvals/inbox.html", visitor, **rows, view=view, trouble="")


@router.post("/approvals")
async def decide_many(
    request: Request, page: PageDep, visitor: Decider, sessions: SessionsDep, hand_over: HandOverDep, decision: Line
) -> Response:
    """The same word about several approvals; each is taken or refused by itself."""
    form = await request.form()
    chosen = [str(one) for one in form.getlist("approval_id")][:_PAGE]
    said = (decision, str(form.get("comment", "")))
    answers = [await _said(sessions, hand_over, visitor, one, said) for one in chosen]
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    if not refused:
        return page.go(INBOX, "{n} decided." if chosen else "Nothing was chosen.", n=len(chosen))
    status, words = page.refusal(refused[0])
    told = page.words.text("{n} decided, {m} refused: {why}", n=len(chosen) - len(refused), m=len(refused), why=words)
    async with sessions() as session:
        rows = await _rows(session, visitor, "mine", None)
    return page.show("approvals/inbox.html", visitor, status, **rows, view="mine", trouble=told)


@router.get("/approvals/{approval_id}")
async def show_approval(page: PageDep, visitor: Reader, sessions: SessionsDep, approval_id: Key) -> Response:
    return await _one(page, visitor, sessions, approval_id)


@router.post("/approvals/{approval_id}")
async def say_to_one(
    request: Request, page: PageDep, visitor: Decider, sessions: SessionsDep, hand_over: HandOverDep, approval_id: Key
) -> Response:
    """A decision, a transfer, a signer more or less, a withdrawal or a reminder; the same words as those of the API."""
    form = await request.form()
    try:
        said = _word({name: value.strip() for name, value in form.items() if isinstance(value, str) and value.strip()})
        async with sessions() as session:
            spoken = await say(Speaker(session, visitor.caller, hand_over), approval_id, said)
        message, _approval = await heard(sessions, spoken, _PATIENCE)
    except REFUSALS as refused:
        return await _one(page, visitor, sessions, approval_id, refused)
    outcome = message.outcome or "received"
    tone = "good" if outcome in ("received", "effective") else "warn"
    return page.go(f"{INBOX}/{approval_id}", _HEARD.get(outcome, "Your word is on its way."), tone)


async def _said(
    sessions: Sessions, hand_over: HandOver | None, visitor: Visitor, approval_id: str, said: tuple[str, str]
) -> Exception | None:
    decision, comment = said
    try:
        word = _word({"action": decision} | ({"comment": comment.strip()} if comment.strip() else {}))
        async with sessions() as session:
            await say(Speaker(session, visitor.caller, hand_over), approval_id, word)
    except REFUSALS as refused:
        return refused
    return None


_FORMS: Final[dict[str, tuple[type[Body], tuple[str, ...]]]] = {
    "transfer": (Transfer, ("to", "comment")),
    "add_signer": (AddSigner, ("person", "where", "of", "reason")),
    "remove_signer": (Reasoned, ("reason",)),
    "copy": (CopyTo, ("to", "comment")),
    "nudge": (Words, ("comment",)),
    "withdraw": (Words, ("comment",)),
}


def _word(form: dict[str, str]) -> dict[str, Any]:
    """The word in the shape of the API, which checks it. Raises ValidationError."""
    action = form.get("action", "")
    if action not in _FORMS:
        decided = Decide.model_validate({"decision": action} | _given(form, ("comment",)))
        return {"action": decided.decision, "comment": decided.comment}
    shape, fields = _FORMS[action]
    said = shape.model_validate(_given(form, fields)).model_dump()
    if action == "remove_signer":
        said["to"] = form.get("person", "")
    names = {"reason": "comment", "person": "to"}
    return {"action": action} | {names.get(name, name): value for name, value in said.items()}


def _given(form: dict[str, str], fields: tuple[str, ...]) -> dict[str, str]:
    return {name: form[name] for name in fields if name in form}


async def _rows(session: Any, visitor: Visitor, view: str, cursor: str | None) -> dict[str, Any]:
    wanted = _wanted(view, visitor)
    rows = await listing.page(session, visitor.caller, wanted, _LEAST_LEFT.decode(cursor), _PAGE)
    people = await listing.asked(session, [row.approval_id for row in rows])
    items = [ApprovalItem.of(row, people[row.approval_id], visitor.caller) for row in rows[:_PAGE]]
    last = rows[_PAGE - 1] if len(rows) > _PAGE else None
    return {"items": items, "following": _LEAST_LEFT.encode((last.deadline_at, last.approval_id)) if last else ""}


def _wanted(view: str, visitor: Visitor) -> ApprovalFilter:
    if view == "cc":
        return ApprovalFilter(cc=visitor.caller.actor, latest_first=True)
    if view == "done":
        return ApprovalFilter(signed_by=visitor.caller.actor, latest_first=True)
    if view == "ended":
        return ApprovalFilter(assignee=visitor.caller.actor, ended=True, latest_first=True)
    return ApprovalQuery(assignee=ME if view == "mine" else None).wanted(visitor.caller)


async def _one(
    page: Page, visitor: Visitor, sessions: Sessions, approval_id: str, refused: Exception | None = None
) -> Response:
    status, trouble = (200, "") if refused is None else page.refusal(refused)
    async with sessions() as session:
        row = await listing.approval_in_sight(session, approval_id, visitor.caller)
        parts = await approvals.parts(session, approval_id)
        listed = {one.person_id for one in parts.asked}
        others = await who_may_be_asked(session, listed | set(row.interested))
        readers = await who_may_be_asked(session, listed | {one.person_id for one in parts.copies})
    shown = ApprovalView.whole(row, parts, visitor.caller)
    me = visitor.caller.actor
    content = {
        "approval": shown,
        "asked": any(one.person_id == me and one.state == "asked" for one in shown.assignees),
        "waiting": any(one.person_id == me and one.state == "waiting" for one in shown.assignees),
        "signers": [one for one in shown.assignees if one.state in SILENT],
        "me": me,
        "keeps": visitor.caller.works_for("operations"),
        "own": me in row.interested,
        "others": others,
        "readers": readers,
        "trouble": trouble,
    }
    return page.show("approvals/one.html", visitor, status, **content)
