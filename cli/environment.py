"""The settings a command works with: the operator's, or else those of the local stack that runs on the data folder."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.local_stack.layout import DEFAULT_DATA_DIR, DataDir
from runtime.settings import Settings, UnusableSettings, load_settings

DataOption = Annotated[Path, typer.Option("--data", help="Folder of the local stack.")]


def settings_in_force(data_dir: Path = DEFAULT_DATA_DIR) -> Settings:
    """Settings with a database address, with `TEMPORAL_*` set to match; logs go to stderr as they say.

    Ends the command if there are none.
    """
    from runtime.logging import configure_logging

    settings = _with_database(data_dir)
    configure_logging(settings.log_level, as_json=settings.logs_json)
    return settings


def _with_database(data_dir: Path) -> Settings:
    settings = settings_or_exit()
    if settings.database_url is not None:
        return settings
    running = DataDir(data_dir.absolute()).running()
    if running is None or "database_url" not in running:
        fail(f"no database: set ORDERFLOW_DATABASE_URL, or start the local stack on {data_dir} with `orderflow dev`")
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        del os.environ[name]
    os.environ |= {"TEMPORAL_ADDRESS": running["temporal_address"], "TEMPORAL_CONFIG_FILE": os.devnull}
    os.environ.setdefault("ORDERFLOW_SIMULATOR_DIR", str(DataDir(data_dir.absolute()).simulators))
    os.environ.setdefault("ORDERFLOW_ANCHOR_DIR", str(DataDir(data_dir.absolute()).anchors))
    os.environ["ORDERFLOW_DATABASE_URL"] = running["database_url"]
    return settings_or_exit()


def settings_or_exit() -> Settings:
    """The settings from the environment alone; ends the command with every problem named if they are unusable."""
    try:
        return load_settings()
    except UnusableSettings as refused:
        fail("\n".join(refused.problems))


def database_url(settings: Settings) -> str:
    """The address of settings that `settings_in_force` gave."""
    if settings.database_url is None:
        fail("no database: set ORDERFLOW_DATABASE_URL")
    return settings.database_url.get_secret_value()


def fail(message: str) -> NoReturn:
    """Ends the command with exit status 1 and the reason on stderr."""
    typer.echo(f"orderflow: {message}", err=True)
    raise typer.Exit(1)
