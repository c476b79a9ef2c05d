"""API keys: made, revoked, and turned into the caller they stand for."""

import hmac
import re
import secrets
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from domain.errors import DomainError
from domain.flow.vocabulary import ROLES, Role
from models.access import ApiKey, Person
from models.columns import now

_TOKEN: Final = re.compile(r"ofk_(?P<key_id>[A-Za-z0-9]{1,32})_(?P<secret>[A-Za-z0-9_-]{16,128})")
_ID_LETTERS: Final = string.ascii_lowercase + string.digits
# Compared with when there is no such key, so that the answer takes as long.
_NOBODY: Final = sha256(b"").hexdigest()


class KeyNotFound(DomainError):
    """The person has no key of this id."""

    code = "key_not_found"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key may do. No roles: all of its person's; `channels`, `warehouses`: None means every one."""

    roles: Collection[str] = ()
    scopes: Collection[str] = ()
    channels: Collection[str] | None = None
    warehouses: Collection[str] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The caller a key stands for, and when the key ends."""

    principal: Principal
    expires_at: datetime | None


def new_token() -> str:
    """A fresh key `ofk_<id>_<secret>`; the secret has 256 bits."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(12))
    return f"ofk_{key_id}_{secrets.token_urlsafe(32)}"


async def add_key(session: AsyncSession, person_id: str, token: str, grant: Grant) -> ApiKey:
    """Afterwards the token stands for the person, within the grant. Only its hash is kept: nobody can show it again."""
    key_id, secret = _parts(token)
    key = ApiKey(
        key_id=key_id,
        secret_hash=_hash(secret),
        person_id=person_id,
        roles=sorted(grant.roles),
        scopes=sorted(grant.scopes),
        channels=None if grant.channels is None else sorted(grant.channels),
        warehouses=None if grant.warehouses is None else sorted(grant.warehouses),
        expires_at=grant.expires_at,
    )
    session.add(key)
    await session.flush()
    return key


async def revoke_key(session: AsyncSession, person_id: str, key_id: str) -> None:
    """Afterwards the key opens nothing any more; a key that was revoked stays so. Raises KeyNotFound."""
    key = await session.get(ApiKey, key_id, with_for_update=True)
    if key is None or key.person_id != person_id:
        raise KeyNotFound(key_id=key_id)
    if key.revoked_at is None:
        key.revoked_at = now()
        session.add(key)


async def keys_of(session: AsyncSession, person_id: str) -> Sequence[ApiKey]:
    """Every key the person ever had, oldest first."""
    query = select(ApiKey).where(ApiKey.person_id == person_id).order_by(col(ApiKey.created_at), col(ApiKey.key_id))
    return (await session.exec(query)).all()


async def authenticate(session: AsyncSession, token: str) -> Authenticated | None:
    """Whom the token stands for now; None when it is unknown, expired or revoked, or its person is not active.

    A key never has a role that its person has not.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    query = select(ApiKey, Person).join(Person, col(ApiKey.person_id) == Person.person_id)
    row = (await session.exec(query.where(ApiKey.key_id == found["key_id"]))).one_or_none()
    expected = row[0].secret_hash if row else _NOBODY
    if not hmac.compare_digest(_hash(found["secret"]), expected) or row is None:
        return None
    key, person = row
    ended = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now())
    if ended or not person.active:
        return None
    return Authenticated(_principal(key, person), key.expires_at)


def _principal(key: ApiKey, person: Person) -> Principal:
    roles = set(person.roles) & ROLES
    return Principal(
        actor=person.person_id,
        key_id=key.key_id,
        roles=frozenset(Role(role) for role in (roles & set(key.roles) if key.roles else roles)),
        scopes=frozenset(key.scopes),
        channels=None if key.channels is None else frozenset(key.channels),
        warehouses=None if key.warehouses is None else frozenset(key.warehouses),
    )


def _parts(token: str) -> tuple[str, str]:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError("not a key of the form ofk_<id>_<secret>")
    return found["key_id"], found["secret"]


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
