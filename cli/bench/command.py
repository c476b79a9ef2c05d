"""`orderflow bench`: how fast, how lean, and how near to what Temporal alone would take."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from cli.environment import fail
from cli.local_stack import LocalStackError

if TYPE_CHECKING:
    from cli.bench.figures import Figures


def bench(
    orders: Annotated[int, typer.Option(min=1, help="How many orders live from placing to recognised revenue.")] = 300,
    concurrency: Annotated[int, typer.Option(min=1, max=500, help="How many of them are under way at a time.")] = 64,
    even_seconds: Annotated[
        float, typer.Option(min=1, help="How long orders come in at 8 a second, to time their acceptance.")
    ] = 20.0,
    existing: Annotated[int, typer.Option(min=0, help="How many orders there are before the first is measured.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=16, help="How many worker processes share the work.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON, for programs.")] = False,
) -> None:
    """Measure whole lives of orders on a stack of its own, beside a bare workflow that calls as much and does nothing.

    Temporal's development server writes with WAL and synchronous NORMAL: a power cut could take its last moments, which
    PostgreSQL still has. It collects its garbage less often than by itself, which takes memory and spares CPU.
    PostgreSQL works as always. Facts come in over HTTP; the carrier reports nothing by itself.
    """
    from cli.bench.lives import BenchFailed
    from cli.bench.run import BenchOptions, measured

    try:
        options = BenchOptions(orders, concurrency, even_seconds, existing, workers)
        figures: Figures = asyncio.run(measured(options, _say))
    except (LocalStackError, BenchFailed) as failed:
        fail(str(failed))
    typer.echo(figures.as_text())
    if as_json:
        typer.echo(json.dumps(figures.as_json()))


def _say(message: str) -> None:
    typer.echo(f"orderflow: {message}", err=True)
