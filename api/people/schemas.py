"""People and their keys as programs write and read them."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement
from sqlmodel import col

from api.csv_body import split_cell
from api.fields import Body, Flag, Key, Moment, Text
from api.paging import Filters, ListQuery
from domain.access import SCOPES
from domain.flow.vocabulary import Role
from models.access import ApiKey, Person
from store.access import Grant


def _scope(name: str) -> str:
    if name not in SCOPES:
        raise PydanticCustomError("unknown_scope", "Not a scope")
    return name


def _future(at: datetime) -> datetime:
    if at <= datetime.now(UTC):
        raise PydanticCustomError("moment_past", "The moment has passed")
    return at


Names = Annotated[list[Key], Field(max_length=200)]


class PersonBody(Body):
    """A person without their id. Roles decide what they may do; the superior is who decides above them."""

    name: Text
    email: Annotated[str | None, Field(max_length=200, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")] = None
    roles: Annotated[list[Role], Field(max_length=len(Role))] = Field(default_factory=list)
    superior_id: Key | None = None
    active: Flag = True

    def to_row(self, person_id: str) -> Person:
        roles = sorted({role.value for role in self.roles})
        return Person(**{"person_id": person_id, **self.model_dump(), "roles": roles})


class PersonLine(PersonBody):
    """A person as a line of CSV; roles are separated by semicolons."""

    person_id: Key
    roles: Annotated[list[Role], BeforeValidator(split_cell), Field(max_length=len(Role))] = Field(default_factory=list)


class PersonView(BaseModel):
    """A person as on record."""

    person_id: str
    name: str
    email: str | None
    roles: list[str]
    superior_id: str | None
    active: bool
    updated_at: Moment

    @classmethod
    def of(cls, row: Person) -> Self:
        return cls.model_validate(row, from_attributes=True)


class PersonFilters(Filters):
    """Filters of list and export."""

    role: Role | None = None
    active: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        conditions = [] if self.active is None else [col(Person.active) == self.active]
        return conditions if self.role is None else [*conditions, col(Person.roles).contains([self.role.value])]


class PersonQuery(PersonFilters, ListQuery):
    """A page of the list."""


class NewKey(Body):
    """What a new key may do. No roles: all of its person's. `channels`, `warehouses` left out: every one."""

    roles: Annotated[list[Role], Field(max_length=len(Role))] = Field(default_factory=list)
    scopes: Annotated[list[Annotated[str, AfterValidator(_scope)]], Field(max_length=20)] = Field(default_factory=list)
    channels: Names | None = None
    warehouses: Names | None = None
    expires_at: Annotated[Moment, AfterValidator(_future)] | None = None

    def to_grant(self) -> Grant:
        return Grant(
            roles=frozenset(role.value for role in self.roles),
            scopes=frozenset(self.scopes),
            channels=None if self.channels is None else frozenset(self.channels),
            warehouses=None if self.warehouses is None else frozenset(self.warehouses),
            expires_at=self.expires_at,
        )


class KeyView(BaseModel):
    """A key without its secret."""

    key_id: str
    person_id: str
    roles: list[str]
    scopes: list[str]
    channels: list[str] | None
    warehouses: list[str] | None
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        return cls.model_validate(row, from_attributes=True)


class KeyGiven(BaseModel):
    """A key at the only moment when its token can be read."""

    token: str
    key: KeyView


class Keys(BaseModel):
    """All keys of a person."""

    data: list[KeyView]
