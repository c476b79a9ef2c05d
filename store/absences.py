"""When people are away, and who stands in for them."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from models.access import Absence, Person
from store import masters
from store.masters import MasterNotFound, Put


class UnknownDelegate(DomainError):
    """The delegate is not known, does not work here any more, or is the person who is away."""

    code = "unknown_delegate"


async def of_person(session: AsyncSession, person_id: str) -> Sequence[Absence]:
    """The person's absences, the latest first. Raises MasterNotFound for a person who is not known."""
    await masters.get(session, Person, person_id)
    query = select(Absence).where(Absence.person_id == person_id)
    return (await session.exec(query.order_by(col(Absence.starts_at).desc(), col(Absence.absence_id)))).all()


async def put(session: AsyncSession, absence: Absence) -> Put:
    """Afterwards the absence is as given. Raises MasterNotFound, UnknownDelegate."""
    await masters.get(session, Person, absence.person_id)
    if absence.delegate_id is not None:
        delegate = await session.get(Person, absence.delegate_id)
        if delegate is None or not delegate.active or absence.delegate_id == absence.person_id:
            raise UnknownDelegate(delegate_id=absence.delegate_id)
    return await masters.put(session, absence)


async def remove(session: AsyncSession, person_id: str, absence_id: str) -> None:
    """Afterwards the person is not away then. Raises MasterNotFound."""
    absence = await session.get(Absence, (person_id, absence_id))
    if absence is None:
        raise MasterNotFound()
    await session.delete(absence)
