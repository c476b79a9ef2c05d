"""`orderflow password`, and the logins of a local stack's users."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.access import read_kept, write_kept
from cli.environment import DataOption, database_url, fail, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from runtime.database import Sessions

LOGINS: Final = "logins.json"


def password(
    user: Annotated[str, typer.Argument(help="Person who is to log in to the console; a new one is made if need be.")],
    role: Annotated[list[str] | None, typer.Option("--role", help="Role of a new person (repeatable).")] = None,
    data: DataOption = DEFAULT_DATA_DIR,
) -> None:
    """Give a person a first password and print it: whoever has it chooses their own at once. Closes their sessions."""
    from domain.flow.vocabulary import ROLES

    unknown = sorted({*(role or ())} - ROLES)
    if unknown:
        fail(f"no such role: {', '.join(unknown)}. Roles: {', '.join(sorted(ROLES))}")
    typer.echo(asyncio.run(_give(database_url(settings_in_force(data)), user, role or [])))


async def _give(url: str, user: str, roles: list[str]) -> str:
    from runtime.database import create_sessions, create_unpooled_engine

    engine = create_unpooled_engine(url)
    try:
        return await give_password(create_sessions(engine), user, roles)
    finally:
        await engine.dispose()


async def give_password(sessions: "Sessions", person_id: str, roles: list[str]) -> str:
    """Afterwards the person exists with at least these roles, and the password returned lets them choose their own."""
    from console.login.passwords import first_password, hashed
    from models.access import Person
    from store import logins

    made = first_password()
    async with sessions() as session, session.begin():
        person = await session.get(Person, person_id, with_for_update=True)
        person = person or Person(person_id=person_id, name=person_id)
        person.roles = sorted({*person.roles, *roles})
        if not logins.roles_here(person):
            fail(f"{person_id} has no role that works at the console: say with --role what they may do")
        session.add(person)
        await session.flush()
        await logins.set_password(session, person_id, await hashed(made), must_change=True)
    return made


async def ensure_local_logins(sessions: "Sessions", data_dir: Path) -> dict[str, str]:
    """Afterwards each local user but the channel has a password; returns them by name, the same after a restart.

    They are kept in `logins.json` in the data folder, readable by its owner only. One that somebody has changed since
    stays changed.
    """
    from console.login.passwords import first_password, hashed
    from domain.flow.vocabulary import Role
    from store import logins

    file = data_dir / LOGINS
    kept = read_kept(file)
    async with sessions() as session, session.begin():
        for role in Role:
            if role is Role.CHANNEL or (role.value in kept and await logins.hash_of(session, role.value)):
                continue
            kept.setdefault(role.value, first_password())
            await logins.set_password(session, role.value, await hashed(kept[role.value]), must_change=False)
    write_kept(file, kept)
    return kept
