"""`orderflow doctor`: what this machine has, what is wrong, and what to do about it."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from cli.environment import DataOption
from cli.local_stack.layout import DEFAULT_DATA_DIR


def doctor(
    data: DataOption = DEFAULT_DATA_DIR,
    port_base: Annotated[int, typer.Option(min=1, max=65533, help="Ports to look at: this and the next two.")] = 8080,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check machine, settings, database and Temporal; exit status 1 if something is wrong."""
    from cli.diagnosis import examine_machine, examine_servers, examine_settings

    findings = [*examine_machine(data.absolute(), port_base), *examine_settings()]
    findings += asyncio.run(examine_servers(Path(data).absolute()))
    healthy = all(finding.ok for finding in findings)
    if as_json:
        listed = [finding.as_json() for finding in findings]
        typer.echo(json.dumps({"ok": healthy, "findings": listed}, ensure_ascii=False))
    else:
        for finding in findings:
            mark = typer.style("ok   ", fg="green") if finding.ok else typer.style("WRONG", fg="red", bold=True)
            typer.echo(f"{mark} {finding.subject}: {finding.found}")
            if not finding.ok:
                typer.echo(f"      -> {finding.remedy}")
    raise typer.Exit(0 if healthy else 1)
