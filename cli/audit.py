"""`orderflow audit`: whether what was written down of orders is what is there."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.environment import DataOption, database_url, fail, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from integrations.anchors.folder import Anchor
    from runtime.settings import Settings
    from workers.anchoring import Verdict

app = typer.Typer(help="The chains of events and their anchors.", no_args_is_help=True)
_JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
_SHOWN: Final = 50


@app.callback()
def audit() -> None:
    """The chains of events and their anchors."""


@app.command("verify")
def verify(
    order: Annotated[str | None, typer.Option(metavar="NO", help="Only this order.")] = None,
    data: DataOption = DEFAULT_DATA_DIR,
    as_json: _JsonOption = False,
) -> None:
    """Compute every chain of events again and compare it with every anchor.

    Finds a row that was altered, deleted or put in, and a tail that was cut off as far back as the last anchor.

    Exit status: 0 everything is as it was written; 1 it is not, and where is said.
    """
    verdict = asyncio.run(_verify(settings_in_force(data), order))
    if as_json:
        typer.echo(json.dumps(asdict(verdict) | {"ok": not verdict.flaws}))
    else:
        typer.echo(f"{verdict.events} events of {verdict.orders} orders, {verdict.anchors} anchors")
        for flaw in verdict.flaws[:_SHOWN]:
            where = " ".join(str(part) for part in (flaw.order_no, flaw.seq) if part is not None)
            typer.echo(f"{flaw.what}: {where + ': ' if where else ''}{flaw.detail}")
        if len(verdict.flaws) > _SHOWN:
            typer.echo(f"... and {len(verdict.flaws) - _SHOWN} more; --json has all of them")
    raise typer.Exit(1 if verdict.flaws else 0)


@app.command("anchor")
def anchor(data: DataOption = DEFAULT_DATA_DIR, as_json: _JsonOption = False) -> None:
    """Write an anchor now: the latest event of every order that has changed since the last one."""
    settings = settings_in_force(data)
    if settings.anchor_dir is None:
        fail("no place for anchors: set ORDERFLOW_ANCHOR_DIR")
    written = asyncio.run(_anchor(settings))
    if as_json:
        told = None if written is None else {"number": written.number, "heads": len(written.heads)}
        typer.echo(json.dumps({"anchor": told}))
    elif written is None:
        typer.echo("Nothing has changed since the last anchor.")
    else:
        typer.echo(f"Anchor {written.number} keeps the latest events of {len(written.heads)} orders.")


async def _verify(settings: "Settings", order_no: str | None) -> "Verdict":
    from integrations.anchors.folder import AnchorFolder
    from runtime.database import create_sessions, create_unpooled_engine
    from workers.anchoring import verify as verified

    engine = create_unpooled_engine(database_url(settings))
    folder = AnchorFolder(settings.anchor_dir) if settings.anchor_dir else None
    try:
        return await verified(create_sessions(engine), folder, order_no)
    finally:
        await engine.dispose()


async def _anchor(settings: "Settings") -> "Anchor | None":
    from integrations.anchors.folder import AnchorFolder, AnchorUnreadable
    from runtime.database import create_sessions, create_unpooled_engine
    from workers.anchoring import write_anchor

    if settings.anchor_dir is None:
        return None
    engine = create_unpooled_engine(database_url(settings))
    try:
        return await write_anchor(create_sessions(engine), AnchorFolder(settings.anchor_dir))
    except AnchorUnreadable as broken:
        fail(f"{broken} cannot be read; verify first")
    finally:
        await engine.dispose()
