"""People, when they are away, and the API keys that act for them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import TextList, Utc, moment, written_at


class Person(SQLModel, table=True):
    """Somebody who works with orders; roles decide what they may do."""

    __tablename__ = "people"

    person_id: str = Field(primary_key=True)
    name: str
    email: str | None = None
    roles: list[str] = Field(default_factory=list, sa_type=TextList)
    superior_id: str | None = None
    active: bool = True
    updated_at: datetime = written_at()


class Absence(SQLModel, table=True):
    """A time in which a person is away; the delegate is asked in their place."""

    __tablename__ = "absences"
    __table_args__ = (
        Index("absences_by_time", "starts_at", "ends_at"),
        CheckConstraint("starts_at < ends_at", name="absence_ends_later"),
        CheckConstraint("delegate_id IS DISTINCT FROM person_id", name="absence_delegate_is_another"),
    )

    person_id: str = Field(primary_key=True, foreign_key="people.person_id")
    absence_id: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_type=Utc)
    ends_at: datetime = Field(sa_type=Utc)
    delegate_id: str | None = Field(default=None, foreign_key="people.person_id")
    updated_at: datetime = written_at()


class ApiKey(SQLModel, table=True):
    """One bearer key `ofk_<key_id>_<secret>`; only the SHA-256 of the secret is kept."""

    __tablename__ = "api_keys"

    key_id: str = Field(primary_key=True)
    secret_hash: str
    person_id: str = Field(foreign_key="people.person_id", index=True)
    roles: list[str] = Field(default_factory=list, sa_type=TextList)
    scopes: list[str] = Field(default_factory=list, sa_type=TextList)
    # None means every channel or warehouse; an empty list means none.
    channels: list[str] | None = Field(default=None, sa_type=TextList, nullable=True)
    warehouses: list[str] | None = Field(default=None, sa_type=TextList, nullable=True)
    created_at: datetime = written_at()
    expires_at: datetime | None = moment()
    revoked_at: datetime | None = moment()
