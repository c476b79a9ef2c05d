"""First passwords by hand, and the logins of a local stack."""

import json
from pathlib import Path

import pytest
import typer

from cli.access import ensure_local_tokens
from cli.password import LOGINS, ensure_local_logins, give_password
from console.login.passwords import enter
from domain.flow.vocabulary import Role
from store import logins
from tests.conftest import Database


async def test_first_password_lets_in_and_has_to_be_changed(database: Database) -> None:
    made = await give_password(database.sessions, "li", ["finance"])
    token = await enter(database.sessions, "li", made)
    assert token is not None
    async with database.sessions() as session:
        entered = await logins.entered(session, token)
    assert entered is not None
    assert (entered.must_change, entered.principal.roles) == (True, frozenset({Role.FINANCE}))
    again = await give_password(database.sessions, "li", [])
    async with database.sessions() as session:
        assert await logins.entered(session, token) is None
    assert await enter(database.sessions, "li", made) is None
    assert await enter(database.sessions, "li", again) is not None


async def test_whoever_has_no_role_at_the_console_gets_no_password(database: Database) -> None:
    for roles in ([], ["channel"]):
        with pytest.raises(typer.Exit):
            await give_password(database.sessions, "shop", roles)
    assert await enter(database.sessions, "shop", "whatever it is") is None


async def test_local_logins_are_for_every_role_but_programs_and_stay_the_same(
    database: Database, tmp_path: Path
) -> None:
    await ensure_local_tokens(database.sessions, tmp_path)
    kept = await ensure_local_logins(database.sessions, tmp_path)
    file = tmp_path / LOGINS
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == kept
    assert {"admin", "gm", "operations", "warehouse"} <= kept.keys()
    assert "channel" not in kept
    assert await ensure_local_logins(database.sessions, tmp_path) == kept
    assert await enter(database.sessions, "gm", kept["gm"]) is not None
    file.unlink()
    fresh = await ensure_local_logins(database.sessions, tmp_path)
    assert await enter(database.sessions, "gm", kept["gm"]) is None
    assert await enter(database.sessions, "gm", fresh["gm"]) is not None
