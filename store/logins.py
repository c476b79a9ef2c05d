"""Passwords and console sessions: tried, locked, opened, and closed."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from domain.flow.vocabulary import ROLES, Role
from models.access import Person
from models.columns import now
from models.login import ConsoleSession, Password

MOST_FAILURES: Final = 5
LOCKED_FOR: Final = timedelta(minutes=30)
IDLE_FOR: Final = timedelta(minutes=30)
OPEN_FOR: Final = timedelta(hours=12)
# Written no more often than this, so that reading pages costs no writes.
_SEEN_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody at the console. `must_change`: they may do nothing before they have a password of their own."""

    principal: Principal
    name: str
    must_change: bool


async def set_password(session: AsyncSession, person_id: str, password_hash: str, *, must_change: bool) -> None:
    """Afterwards this password is the person's, nothing is locked, and no session of theirs is open."""
    row = await session.get(Password, person_id, with_for_update=True)
    if row is None:
        row = Password(person_id=person_id, password_hash=password_hash, must_change=must_change)
    row.password_hash, row.must_change, row.changed_at = password_hash, must_change, now()
    row.failures, row.locked_until = 0, None
    session.add(row)
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.person_id) == person_id))


async def hash_of(session: AsyncSession, person_id: str) -> str | None:
    """The hash of the person's password; None where there is none."""
    row = await session.get(Password, person_id)
    return None if row is None else row.password_hash


async def begin_attempt(session: AsyncSession, person_id: str) -> str | None:
    """The hash to compare with, the attempt being counted as failed until `open_session` says otherwise.

    None: there is no such password, it is locked, or its person is not active or has no role that works here. The
    fifth failure locks.
    """
    row = await session.get(Password, person_id, with_for_update=True)
    person = await session.get(Person, person_id)
    if row is None or person is None or not person.active or not roles_here(person):
        return None
    if row.locked_until is not None and row.locked_until > now():
        return None
    row.failures += 1
    if row.failures >= MOST_FAILURES:
        row.failures, row.locked_until = 0, now() + LOCKED_FOR
    session.add(row)
    return row.password_hash


async def open_session(session: AsyncSession, person_id: str) -> str:
    """Afterwards the token returned stands for the person, whose failures are forgotten."""
    row = await session.get_one(Password, person_id, with_for_update=True)
    row.failures, row.locked_until = 0, None
    token, at = secrets.token_urlsafe(32), now()
    session.add_all([row, ConsoleSession(token_hash=_hash(token), person_id=person_id, started_at=at, seen_at=at)])
    # Nobody comes back to one that has ended.
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.started_at) < at - OPEN_FOR))
    return token


async def entered(session: AsyncSession, token: str, *, seen: bool = True) -> Entered | None:
    """Who the token stands for now; None once its session has ended or its person is not active.

    `seen`: the person did something, and the time in which nothing happens begins anew; whoever calls commits.
    """
    at = now()
    query = (
        select(ConsoleSession, Person, Password)
        .join(Person, col(Person.person_id) == col(ConsoleSession.person_id))
        .join(Password, col(Password.person_id) == col(ConsoleSession.person_id))
        .where(ConsoleSession.token_hash == _hash(token))
    )
    found = (await session.exec(query)).one_or_none()
    if found is None or _has_ended(found[0], at):
        return None
    row, person, password = found
    roles = roles_here(person)
    if not person.active or not roles:
        return None
    if seen and row.seen_at < at - _SEEN_EVERY:
        row.seen_at = at
        session.add(row)
    principal = Principal(actor=person.person_id, key_id="console", roles=roles)
    return Entered(principal, person.name, password.must_change)


async def close_session(session: AsyncSession, token: str) -> None:
    """Afterwards the token stands for nobody."""
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.token_hash) == _hash(token)))


def roles_here(person: Person) -> frozenset[Role]:
    """The person's roles at the console. A channel is a program, whose key says which orders are its own."""
    return frozenset(Role(role) for role in set(person.roles) & ROLES) - {Role.CHANNEL}


def _has_ended(row: ConsoleSession, at: datetime) -> bool:
    return at >= row.seen_at + IDLE_FOR or at >= row.started_at + OPEN_FOR


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
