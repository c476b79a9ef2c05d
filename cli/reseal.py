"""`orderflow reseal`: after a new key was put first, so that an old one can be taken away."""

import asyncio
from typing import TYPE_CHECKING

import typer

from cli.environment import DataOption, database_url, fail, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from runtime.keyring import KeyRing


def reseal(data: DataOption = DEFAULT_DATA_DIR) -> None:
    """Encrypt whatever is kept encrypted under the first key of ORDERFLOW_DATA_KEYS. Safe to run again."""
    from runtime.keyring import CannotDecrypt

    settings = settings_in_force(data)
    try:
        done = asyncio.run(_reseal(database_url(settings), settings.keyring))
    except CannotDecrypt as lost:
        fail(f"{lost}; nothing was changed")
    typer.echo(f"{done} values are encrypted anew, under the key {settings.keyring.current}.")


async def _reseal(url: str, keys: "KeyRing") -> int:
    from runtime.database import create_sessions, create_unpooled_engine
    from store import identity, imports

    engine = create_unpooled_engine(url)
    try:
        async with create_sessions(engine)() as session, session.begin():
            return await identity.reseal(session, keys) + await imports.reseal(session, keys)
    finally:
        await engine.dispose()
