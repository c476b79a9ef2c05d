"""Keys from the command line, and those of a local stack."""

import asyncio
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.access import ensure_local_tokens, give_key
from cli.main import app
from domain.access import PRICED
from domain.flow.vocabulary import Role
from models.access import Person
from store import access
from store.access import Grant
from tests.conftest import Database


async def test_local_tokens_have_one_role_each_and_survive_a_restart(database: Database, tmp_path: Path) -> None:
    tokens = await ensure_local_tokens(database.sessions, tmp_path)
    assert list(tokens) == [role.value for role in Role]
    assert await ensure_local_tokens(database.sessions, tmp_path) == tokens
    file = tmp_path / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == tokens
    async with database.sessions() as session:
        for role in Role:
            found = await access.authenticate(session, tokens[role.value])
            assert found is not None
            assert found.principal.roles == {role}
            assert found.principal.is_priced is (role is Role.CHANNEL)
        superiors = {name: (await session.get_one(Person, name)).superior_id for name in ("sales", "manager", "gm")}
    assert superiors == {"sales": "manager", "manager": "gm", "gm": "ceo"}


async def test_a_local_token_that_no_longer_opens_is_replaced(database: Database, tmp_path: Path) -> None:
    tokens = await ensure_local_tokens(database.sessions, tmp_path)
    async with database.sessions() as session, session.begin():
        await access.revoke_key(session, "gm", tokens["gm"].split("_")[1])
    renewed = await ensure_local_tokens(database.sessions, tmp_path)
    assert {role for role in tokens if tokens[role] != renewed[role]} == {"gm"}
    (tmp_path / "tokens.json").write_text("{broken")
    assert set((await ensure_local_tokens(database.sessions, tmp_path)).values()).isdisjoint(renewed.values())


async def test_a_key_brings_its_person_and_keeps_to_its_grant(database: Database) -> None:
    grant = Grant(roles=["channel"], scopes=[PRICED], channels=["web"])
    first = await give_key(database.sessions, "shop", grant)
    await give_key(database.sessions, "shop", Grant(roles=["service"]))
    async with database.sessions() as session:
        found = await access.authenticate(session, first)
        person = await session.get_one(Person, "shop")
    assert found is not None
    assert (found.principal.roles, found.principal.channels) == (frozenset({Role.CHANNEL}), frozenset({"web"}))
    assert person.roles == ["channel", "service"]


async def test_a_new_person_needs_a_role(database: Database) -> None:
    with pytest.raises(typer.Exit):
        await give_key(database.sessions, "nobody", Grant())
    async with database.sessions() as session:
        assert await session.get(Person, "nobody") is None


async def test_the_command_prints_a_key_that_works(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_DATABASE_URL", database.url)
    asked = ["token", "zhang", "--role", "sales", "--channel", "web", "--expires-days", "2"]
    result = await asyncio.to_thread(CliRunner().invoke, app, asked)
    assert result.exit_code == 0
    async with database.sessions() as session:
        found = await access.authenticate(session, result.stdout.strip())
    assert found is not None
    assert (found.principal.actor, found.principal.channels) == ("zhang", frozenset({"web"}))
    assert found.expires_at is not None
    assert timedelta(days=1) < found.expires_at - datetime.now(UTC) <= timedelta(days=2)


def test_unknown_roles_and_scopes_are_refused_before_anything_happens() -> None:
    result = CliRunner().invoke(app, ["token", "zhang", "--role", "king", "--scope", "orders:free"])
    assert result.exit_code == 1
    assert "no such role or scope: king, orders:free" in result.output
