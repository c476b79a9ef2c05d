"""/v1/people/{person_id}/absences: when somebody is away, and who is asked in their place."""

from typing import Annotated, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, model_validator
from pydantic_core import PydanticCustomError

from api.dependencies import SessionDep, requires
from api.fields import Body, Key, Moment
from domain.access import Permission, Principal
from models.access import Absence
from store import absences
from store.masters import MasterNotFound, Put

router = APIRouter(tags=["people"])
Writer = Annotated[Principal, requires(Permission.ABSENCES_WRITE)]


class AbsenceBody(Body):
    """From when to when, and who stands in. Without a delegate the person is asked all the same."""

    starts_at: Moment
    ends_at: Moment
    delegate_id: Key | None = None

    @model_validator(mode="after")
    def ends_later(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise PydanticCustomError("absence_ends_first", "The absence ends before it begins")
        return self


class AbsenceView(BaseModel):
    """An absence as on record."""

    person_id: str
    absence_id: str
    starts_at: Moment
    ends_at: Moment
    delegate_id: str | None
    updated_at: Moment

    @classmethod
    def of(cls, row: Absence) -> Self:
        return cls.model_validate(row, from_attributes=True)


class Absences(BaseModel):
    """All absences of a person, the latest first."""

    data: list[AbsenceView]


@router.get("/v1/people/{person_id}/absences", summary="Absences of a person")
async def list_absences(person_id: Key, caller: Writer, session: SessionDep) -> Absences:
    _check_own(person_id, caller)
    return Absences(data=[AbsenceView.of(row) for row in await absences.of_person(session, person_id)])


@router.put(
    "/v1/people/{person_id}/absences/{absence_id}",
    summary="Put an absence",
    responses={201: {"model": AbsenceView}},
)
async def put_absence(
    person_id: Key, absence_id: Key, body: AbsenceBody, caller: Writer, session: SessionDep, response: Response
) -> AbsenceView:
    """Who is asked from now on goes through the delegate while the absence lasts; who was asked before stays asked."""
    _check_own(person_id, caller)
    row = Absence(person_id=person_id, absence_id=absence_id, **body.model_dump())
    done = await absences.put(session, row)
    await session.commit()
    response.status_code = 201 if done is Put.CREATED else 200
    stored = await session.get_one(Absence, (person_id, absence_id), populate_existing=True)
    return AbsenceView.of(stored)


@router.delete("/v1/people/{person_id}/absences/{absence_id}", summary="Remove an absence", status_code=204)
async def remove_absence(person_id: Key, absence_id: Key, caller: Writer, session: SessionDep) -> None:
    _check_own(person_id, caller)
    await absences.remove(session, person_id, absence_id)
    await session.commit()


def _check_own(person_id: str, caller: Principal) -> None:
    """Everybody says when they are away themselves; for others, whoever keeps the people or the orders going does."""
    if person_id != caller.actor and not (caller.may(Permission.PEOPLE_WRITE) or caller.works_for("operations")):
        raise MasterNotFound()
