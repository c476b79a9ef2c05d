"""`orderflow openapi`: the description of the HTTP API, as it is committed with the code."""

from pathlib import Path
from typing import Annotated

import typer

DOCUMENT = Path("docs/openapi.json")


def openapi(
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; left out: standard output.")] = None,
) -> None:
    """Write the OpenAPI document of the HTTP API."""
    text = openapi_text()
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


def openapi_text() -> str:
    """The document as JSON; equal for equal code, whatever the settings of this machine are."""
    import json

    from api.app import create_app
    from runtime.settings import Settings

    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"
