"""Passwords: how they are kept, which ones are too weak, and how one is tried."""

import asyncio
import secrets
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from models.access import Person
from runtime.database import Sessions
from store import logins

# NIST SP 800-63B-4, where a password alone lets somebody in; it wants no kinds of characters, and no end.
SHORTEST: Final = 15
LONGEST: Final = 200
# From "safely unguessable: moderate protection" on, as zxcvbn counts.
_STRONG_ENOUGH: Final = 3
# What zxcvbn looks at; it would take seconds over more.
_LOOKED_AT: Final = 72
_hasher: Final = PasswordHasher()
# Each takes 64 MiB and a core for a while.
_at_once: Final = asyncio.Semaphore(2)


def weakness(password: str, person: Person) -> str | None:
    """What is wrong with a new password, in words; None when it may be used."""
    if len(password) < SHORTEST:
        return "A password has at least 15 characters."
    if len(password) > LONGEST:
        return "A password has at most 200 characters."
    theirs = [word for word in (person.person_id, person.name, person.email, "orderflow") if word]
    if any(len(word) > 3 and word.lower() in password.lower() for word in theirs):
        return "A password does not contain your name."
    if zxcvbn(password[:_LOOKED_AT], user_inputs=theirs)["score"] < _STRONG_ENOUGH:
        return "This password is too easy to guess: take several words that do not belong together."
    return None


def first_password() -> str:
    """A password that nobody has chosen, to be changed by whoever gets it."""
    return secrets.token_urlsafe(12)


async def hashed(password: str) -> str:
    """What is kept of the password."""
    return await asyncio.to_thread(_hasher.hash, _composed(password))


async def is_right(password: str, kept: str | None) -> bool:
    """Whether it is the password whose hash was kept; takes as long where none was."""
    async with _at_once:
        return await asyncio.to_thread(_verify, _composed(password[: LONGEST + 1]), kept)


def _composed(password: str) -> str:
    """The same for the same characters, however a keyboard puts them together."""
    return unicodedata.normalize("NFC", password)


async def enter(sessions: Sessions, person_id: str, password: str) -> str | None:
    """The token of a new session; None, whatever the cause: nobody learns who is known here, or locked."""
    async with sessions() as session, session.begin():
        kept = await logins.begin_attempt(session, person_id)
    if not await is_right(password, kept):
        return None
    async with sessions() as session, session.begin():
        return await logins.open_session(session, person_id)


@cache
def _nobodys() -> str:
    """Compared with where there is nothing to compare with, so that the answer takes as long."""
    return _hasher.hash(secrets.token_urlsafe(16))


def _verify(password: str, kept: str | None) -> bool:
    try:
        return _hasher.verify(kept or _nobodys(), password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False
