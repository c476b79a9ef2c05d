"""`orderflow config`: what is set, without telling any secret."""

import json

import typer

from cli.environment import settings_or_exit

app = typer.Typer(help="The settings in force.", no_args_is_help=True)


@app.command("show")
def show() -> None:
    """Print every setting in force as JSON, secrets masked."""
    typer.echo(json.dumps(settings_or_exit().masked(), indent=2, ensure_ascii=False))


@app.callback()
def config() -> None:
    """The settings in force."""
