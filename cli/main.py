"""The command line. Command modules import what is heavy inside their functions, so that every command starts fast."""

import contextlib
import os
import sys
from typing import NoReturn

import typer

from cli import (
    access,
    audit,
    check,
    config,
    demo,
    dev,
    doctor,
    flow,
    import_orders,
    migrate,
    openapi,
    password,
    recover,
    reseal,
    serve,
)
from cli.bench.command import bench

app = typer.Typer(
    name="orderflow",
    help="Order management in which every order is a durable Temporal workflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("demo")(demo.demo)
app.command("dev")(dev.dev)
app.command("api")(serve.api)
app.command("worker")(serve.worker)
app.command("migrate")(migrate.migrate)
app.command("import")(import_orders.import_files)
app.command("token")(access.token)
app.command("password")(password.password)
app.command("check")(check.check)
app.command("recover")(recover.recover)
app.command("reseal")(reseal.reseal)
app.command("bench")(bench)
app.command("doctor")(doctor.doctor)
app.command("openapi")(openapi.openapi)
app.add_typer(audit.app, name="audit")
app.add_typer(config.app, name="config")
app.add_typer(flow.app, name="flow")


def main() -> None:
    """Runs one command and ends the process with its exit status."""
    try:
        app()
    except SystemExit as end:
        _leave(end.code)


def _leave(status: str | int | None) -> NoReturn:
    # Threads of the Temporal client outlive its last call for a moment; one that touches Python while the interpreter
    # takes itself down aborts the whole process. Everything of ours is closed by now, so there is nothing to take down.
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
        status = 1
    with contextlib.suppress(OSError):  # whoever read our output may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    main()
