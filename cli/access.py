"""`orderflow token`, and the users of a local stack."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.environment import DataOption, database_url, fail, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from runtime.database import Sessions
    from store.access import Grant

TOKENS: Final = "tokens.json"
# Who decides above whom among the local users.
_SUPERIORS: Final = {"sales": "manager", "manager": "gm", "gm": "ceo"}


def token(
    user: Annotated[str, typer.Argument(help="Person the key acts for; a new one is made if need be.")],
    role: Annotated[list[str] | None, typer.Option("--role", help="Role of the key (repeatable).")] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Scope, such as orders:priced.")] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Only these channels; none: all.")] = None,
    expires_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until the key ends.")] = None,
    data: DataOption = DEFAULT_DATA_DIR,
) -> None:
    """Give a person an API key and print it. It cannot be shown again."""
    from domain.access import SCOPES
    from domain.flow.vocabulary import ROLES
    from store.access import Grant

    unknown = sorted({*(role or ())} - ROLES) + sorted({*(scope or ())} - SCOPES)
    if unknown:
        fail(f"no such role or scope: {', '.join(unknown)}. Roles: {', '.join(sorted(ROLES))}")
    ends = datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None
    grant = Grant(roles=role or (), scopes=scope or (), channels=channel or None, expires_at=ends)
    typer.echo(asyncio.run(_give(database_url(settings_in_force(data)), user, grant)))


async def _give(url: str, user: str, grant: "Grant") -> str:
    from runtime.database import create_sessions, create_unpooled_engine

    engine = create_unpooled_engine(url)
    try:
        return await give_key(create_sessions(engine), user, grant)
    finally:
        await engine.dispose()


async def give_key(sessions: "Sessions", person_id: str, grant: "Grant") -> str:
    """Afterwards the person exists, has at least the roles of the grant, and the token returned acts for them."""
    from models.access import Person
    from store import access

    made = access.new_token()
    async with sessions() as session, session.begin():
        person = await session.get(Person, person_id, with_for_update=True)
        if person is None:
            if not grant.roles:
                fail(f"{person_id} is new: say with --role what they may do")
            person = Person(person_id=person_id, name=person_id)
        person.roles = sorted({*person.roles, *grant.roles})
        session.add(person)
        await session.flush()
        await access.add_key(session, person_id, made, grant)
    return made


async def ensure_local_tokens(sessions: "Sessions", data_dir: Path) -> dict[str, str]:
    """Afterwards there is a person with a key for each role; returns the tokens by role, the same after a restart.

    They are kept in `tokens.json` in the data folder, readable by its owner only.
    """
    from domain.access import PRICED
    from domain.flow.vocabulary import Role
    from models.access import Person
    from store import access

    file = data_dir / TOKENS
    tokens = read_kept(file)
    async with sessions() as session, session.begin():
        # From the top down: a superior is there before whoever names them.
        for role in sorted(Role, key=lambda one: _rank(one.value)):
            known = await session.get(Person, role.value)
            if known is None:
                superior = _SUPERIORS.get(role.value)
                name = f"Local {role.value}"
                session.add(Person(person_id=role.value, name=name, roles=[role.value], superior_id=superior))
                await session.flush()
            kept = tokens.get(role.value)
            if kept is None or await access.authenticate(session, kept) is None:
                tokens[role.value] = access.new_token()
                scopes = {PRICED} if role is Role.CHANNEL else set()
                await access.add_key(session, role.value, tokens[role.value], access.Grant(scopes=scopes))
    write_kept(file, tokens)
    return {role.value: tokens[role.value] for role in Role}


def local_tokens(data_dir: Path) -> dict[str, str]:
    """The tokens of a local stack's users by role, as `ensure_local_tokens` left them; empty where it never ran."""
    return read_kept(data_dir / TOKENS)


def _rank(role: str) -> int:
    superior = _SUPERIORS.get(role)
    return 0 if superior is None else 1 + _rank(superior)


def read_kept(file: Path) -> dict[str, str]:
    """The secrets that `write_kept` wrote; empty where there are none."""
    try:
        kept = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(role): str(token) for role, token in kept.items()} if isinstance(kept, dict) else {}


def write_kept(file: Path, tokens: dict[str, str]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        json.dump(tokens, written, indent=2)
        written.flush()
        os.fsync(written.fileno())
    fresh.replace(file)
