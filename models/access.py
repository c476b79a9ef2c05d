"""People and the API keys that act for them."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.columns import TextList, moment, written_at


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
