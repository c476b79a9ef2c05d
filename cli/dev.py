"""`orderflow dev`: everything on one machine, until Ctrl-C."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.environment import DataOption, fail, settings_or_exit
from cli.local_stack import LocalStackError
from cli.local_stack.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from cli.local_stack.stack import StackReport


def dev(
    data: DataOption = DEFAULT_DATA_DIR,
    port_base: Annotated[
        int, typer.Option(min=1, max=65533, help="Port of the API; the next two are Temporal's and its Web UI's.")
    ] = 8080,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready, for programs.")] = False,
) -> None:
    """Start PostgreSQL, Temporal, worker and API; stop them all on Ctrl-C. Orders survive until the next start."""
    settings = settings_or_exit()
    if settings.env == "prod":
        fail("the local stack is for development; in production run `orderflow api` and `orderflow worker`")
    if settings.database_url is not None:
        _say("ORDERFLOW_DATABASE_URL is set; the local stack uses its own database all the same")
    from cli.local_stack.stack import LocalStack, StackOptions

    stack = LocalStack(StackOptions(data, port_base, prepare_database, sealed=bool(settings.payload_keys)), _say)
    try:
        stack.run(print_json if as_json else _show)
    except LocalStackError as problem:
        fail(str(problem))


async def prepare_database(url: str, data_dir: Path) -> dict[str, str]:
    """Afterwards the database is at head and has the local users, who can log in; returns their tokens by role."""
    from cli.access import ensure_local_tokens
    from cli.migrate import seed
    from cli.password import ensure_local_logins
    from migrations.upgrade import migrate
    from runtime.database import create_sessions, create_unpooled_engine

    engine = create_unpooled_engine(url)
    try:
        await migrate(engine)
        await seed(engine, demo_rates=True)
        sessions = create_sessions(engine)
        tokens = await ensure_local_tokens(sessions, data_dir)
        await ensure_local_logins(sessions, data_dir)
        return tokens
    finally:
        await engine.dispose()


def _say(message: str) -> None:
    typer.echo(f"orderflow: {message}", err=True)


def print_json(report: "StackReport") -> None:
    """Tells on one line of stdout what a program that started the stack needs."""
    sys.stdout.write(json.dumps(report.as_json()) + "\n")
    sys.stdout.flush()
    # Whoever reads the line may close the pipe afterwards; later writes must not end the stack.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(report: "StackReport") -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("Console", report.console)
    table.add_row("Orders API", report.api)
    table.add_row("API documentation", f"{report.api}/docs")
    table.add_row("Temporal Web UI", report.temporal_ui)
    table.add_row("Temporal", report.temporal_address)
    table.add_row("PostgreSQL", report.database_url)
    table.add_row("", "")
    table.add_row("Token (admin)", report.tokens.get("admin", ""))
    table.add_row(
        "", "the tokens of all roles are in tokens.json in the data folder, names and passwords in logins.json"
    )
    Console().print(Panel(table, title="Orderflow is ready", subtitle="Ctrl-C stops everything", expand=False))
