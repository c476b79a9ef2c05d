"""People: a chain of superiors that ends."""

from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from models.access import Person
from store import masters
from store.masters import Put


class UnknownSuperior(DomainError):
    """The superior is not known, or would be their own superior."""

    code = "unknown_superior"


_CHAIN = text("""
WITH RECURSIVE chain AS (
    SELECT person_id, superior_id FROM people WHERE person_id = :superior_id
    UNION
    SELECT p.person_id, p.superior_id FROM people p JOIN chain c ON p.person_id = c.superior_id
)
SELECT count(*), coalesce(bool_or(person_id = :person_id), false) FROM chain
""")


async def put(session: AsyncSession, person: Person) -> Put:
    """Afterwards the person is as given. Raises UnknownSuperior, also when the superiors would form a ring."""
    if person.superior_id is not None:
        asked = {"superior_id": person.superior_id, "person_id": person.person_id}
        known, in_ring = (await session.execute(_CHAIN, asked)).one()
        if not known or in_ring:
            raise UnknownSuperior(person_id=person.person_id)
    return await masters.put(session, person)


async def who_may_be_asked(session: AsyncSession, besides: Collection[str]) -> Sequence[Person]:
    """The people who work here and have a role, by name, without these."""
    query = select(Person).where(col(Person.active), col(Person.person_id).not_in(besides)).order_by(Person.name)
    return [person for person in (await session.exec(query)).all() if person.roles]
