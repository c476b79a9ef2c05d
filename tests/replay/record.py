"""Plays every scenario, records its history and agrees on its fingerprint: `uv run python -m tests.replay.record`."""

import asyncio
import logging
import shutil
from typing import Annotated

import typer
from temporalio.runtime import Runtime, TelemetryConfig

from tests.replay import recorded
from tests.replay.scenarios import SCENARIOS
from tests.replay.stage import Performance, perform, real_server


def main(
    anew: Annotated[
        bool, typer.Option(help="Forget all earlier histories. Only while no order runs anywhere.")
    ] = False,
) -> None:
    """Afterwards every scenario has a history of the way it goes now, and fingerprints.json says which way that is."""
    # What is refused in a scenario is meant to be, and the servers are not those of production.
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
    played = asyncio.run(_play_all())
    agreed = {} if anew else recorded.load_fingerprints()
    if anew and recorded.HISTORIES.exists():
        shutil.rmtree(recorded.HISTORIES)
    for name, performance in played.items():
        if agreed.get(name) != performance.commands or not recorded.files_of(name):
            file = recorded.save(name, performance.history)
            typer.echo(f"recorded {file.relative_to(recorded.FOLDER)}")
    recorded.save_fingerprints({name: performance.commands for name, performance in played.items()})
    typer.echo(f"{len(played)} scenarios played, {len(recorded.files())} histories")


async def _play_all() -> dict[str, Performance]:
    async with real_server() as server:
        return {name: await perform(scenario, server) for name, scenario in SCENARIOS.items()}


if __name__ == "__main__":
    typer.run(main)
