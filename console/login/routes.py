"""Logging in and out, one's own password, and the language of the pages."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from api.dependencies import SessionDep, SessionsDep
from console.guard import HOME, SESSION, VISIT, OpenlyVisited, begin_visit, keep, open_to_all
from console.login.doorkeeper import Doorkeeper
from console.login.passwords import enter, hashed, is_right, weakness
from console.pages import PageDep
from console.words import KEPT
from models.access import Person
from store import logins

router = APIRouter()
_A_YEAR: Final = 365 * 86400
Secret = Annotated[str, Form(max_length=1000)]
Next = Annotated[str, Query(max_length=500)]


@router.get("/login", dependencies=[open_to_all("nobody is logged in yet")])
async def login_page(page: PageDep, request: Request, next: Next = HOME) -> Response:
    visit = begin_visit(request)
    response = page.show("login.html", None, next=next, person_id="", trouble="")
    keep(request, response, VISIT, visit)
    return response


@router.post("/login", dependencies=[open_to_all("nobody is logged in yet")])
async def log_in(
    page: PageDep, request: Request, sessions: SessionsDep, person: Secret, password: Secret, next: Secret = HOME
) -> Response:
    """The same answer for a wrong password, an unknown person, one that is locked, and an address that guesses."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    address = request.client.host if request.client else ""
    tried = "\x00" not in person and doorkeeper.lets_try(address)
    token = await enter(sessions, person.strip(), password) if tried else None
    if token is None:
        doorkeeper.note_failure(address)
        trouble = page.words.text("Name or password is wrong, or there were too many attempts: then wait half an hour.")
        return page.show("login.html", None, 401, next=next, person_id=person, trouble=trouble)
    response = page.go(next)
    keep(request, response, SESSION, token)
    response.delete_cookie(VISIT, path="/console")
    return response


@router.post("/logout")
async def log_out(visitor: OpenlyVisited, session: SessionDep) -> Response:
    await logins.close_session(session, visitor.token)
    await session.commit()
    response = RedirectResponse(f"{HOME}login", 303)
    response.delete_cookie(SESSION, path="/console")
    return response


@router.get("/password")
async def password_page(page: PageDep, visitor: OpenlyVisited) -> Response:
    return page.show("password.html", visitor, trouble="")


@router.post("/password")
async def change_password(
    page: PageDep,
    request: Request,
    visitor: OpenlyVisited,
    sessions: SessionsDep,
    old: Secret,
    new: Secret,
    again: Secret,
) -> Response:
    """Afterwards every other session of the person is closed."""
    person_id = visitor.caller.actor
    async with sessions() as session:
        person, kept = await session.get_one(Person, person_id), await logins.hash_of(session, person_id)
    trouble = "The two new passwords are not the same." if new != again else weakness(new, person)
    if not await is_right(old, kept):
        trouble = "The old password is wrong."
    elif trouble is None and new == old:
        trouble = "The new password is the old one."
    if trouble is not None:
        return page.show("password.html", visitor, 422, trouble=page.words.text(trouble))
    async with sessions() as session, session.begin():
        await logins.set_password(session, person_id, await hashed(new), must_change=False)
        token = await logins.open_session(session, person_id)
    response = page.go(HOME, "Your password is changed.")
    keep(request, response, SESSION, token)
    return response


@router.post("/language", dependencies=[open_to_all("whoever reads a page says in which language")])
async def choose_language(
    page: PageDep, request: Request, language: Annotated[str, Form(pattern="^(en|zh)$")], next: Secret = HOME
) -> Response:
    response = page.go(next)
    keep(request, response, KEPT, language, seconds=_A_YEAR)
    return response
