"""How people get into the console: their passwords, and the sessions that are open."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.columns import Utc, moment, written_at


class Password(SQLModel, table=True):
    """A person's password, as a hash, and how often it was tried in vain since it was last right."""

    __tablename__ = "passwords"

    person_id: str = Field(primary_key=True, foreign_key="people.person_id")
    password_hash: str
    # A first password opens nothing but the page on which it is changed.
    must_change: bool
    failures: int = 0
    locked_until: datetime | None = moment()
    changed_at: datetime = written_at()


class ConsoleSession(SQLModel, table=True):
    """A person at the console; only the SHA-256 of what their browser keeps is here."""

    __tablename__ = "console_sessions"

    token_hash: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="people.person_id", index=True)
    started_at: datetime = written_at()
    seen_at: datetime = Field(sa_type=Utc)
