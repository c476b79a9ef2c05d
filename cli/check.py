"""`orderflow check`: whether all records of the same thing agree."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.environment import DataOption, database_url, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from runtime.settings import Settings
    from store.checks.finding import Check, Finding

Found = dict[str, list["Finding"]]
_SHOWN: Final = 20


def check(
    order: Annotated[str | None, typer.Option(metavar="NO", help="Only this order.")] = None,
    data: DataOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Compare stock with its movements, the books with payments and invoices, workflows with the database, and more.

    What is found is put on record and alerted as by the daily run. Without Temporal its checks are left out.

    Exit status: 0 everything agrees; 1 something does not.
    """
    started = time.monotonic()
    found, without_temporal = asyncio.run(_check(settings_in_force(data), order))
    wrong = {name: findings for name, findings in found.items() if findings}
    if as_json:
        told = {
            name: [{"key": one.key, "left": one.left, "right": one.right} for one in findings]
            for name, findings in wrong.items()
        }
        typer.echo(
            json.dumps({"ok": not wrong, "checks": list(found), "found": told, "temporal": not without_temporal})
        )
    else:
        for name, findings in wrong.items():
            typer.echo(f"{name}: {len(findings)}")
            for one in findings[:_SHOWN]:
                typer.echo(f"  {one.key}: {one.left} | {one.right}")
        typer.echo(f"{len(found)} checks, {len(wrong)} with findings, {time.monotonic() - started:.1f} s")
        if without_temporal:
            typer.echo("Temporal is away: workflows were not compared", err=True)
    raise typer.Exit(1 if wrong else 0)


async def _check(settings: "Settings", order_no: str | None) -> tuple[Found, bool]:
    from activities.checks import CheckActivities, CheckInput
    from runtime.database import create_sessions, create_unpooled_engine

    engine = create_unpooled_engine(database_url(settings))
    sessions = create_sessions(engine)
    found: Found = {}

    def note(check: "Check", findings: "Sequence[Finding]") -> None:
        found[check.name] = list(findings)

    try:
        others = await _others(settings, sessions)
        asked = CheckInput(f"command/{uuid.uuid4()}", "command", order_no)
        await CheckActivities(sessions, others or ()).run(asked, note)
        return found, others is None
    finally:
        await engine.dispose()


async def _others(settings: "Settings", sessions: object) -> "Sequence[Check] | None":
    """The checks that need Temporal; None when it is away."""
    from temporalio.service import RPCError

    from runtime.sealing import sealing
    from runtime.temporal import connect
    from workers.checks import further_checks

    try:
        client = await connect(identity="orderflow-check", codec=sealing(settings))
    except (RuntimeError, RPCError):
        return None
    return further_checks(settings, sessions, client)  # type: ignore[arg-type]
