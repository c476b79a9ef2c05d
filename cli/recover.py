"""`orderflow recover`: for the day Temporal has lost its database."""

import asyncio
from typing import Annotated

import typer

from cli.environment import DataOption, database_url, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR


def recover(
    data: DataOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Hand over everything again that belongs to open orders: each gets a workflow, and what it was told before.

    Harmless while workflows still run: they drop what they have heard, and no effect happens twice.
    """
    settings = settings_in_force(data)
    orders, messages = asyncio.run(_recover(database_url(settings)))
    if as_json:
        import json

        typer.echo(json.dumps({"orders": orders, "messages": messages}))
    else:
        typer.echo(f"{messages} messages of {orders} open orders go to Temporal again; workers hand them over now.")


async def _recover(url: str) -> tuple[int, int]:
    from runtime.database import create_sessions, create_unpooled_engine
    from store import inbox

    engine = create_unpooled_engine(url)
    try:
        async with create_sessions(engine)() as session, session.begin():
            forgotten = await inbox.forget_hand_over(session)
        return len({order_no for order_no, _ in forgotten}), len(forgotten)
    finally:
        await engine.dispose()
