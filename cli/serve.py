"""`orderflow api` and `orderflow worker`: the two long-running processes of a deployment."""

from cli.environment import DataOption, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR


def api(data: DataOption = DEFAULT_DATA_DIR) -> None:
    """Serve the HTTP API, and the console beside it."""
    settings = settings_in_force(data)
    from api.serving import serve
    from console.app import create_app

    serve(create_app, settings)


def worker(data: DataOption = DEFAULT_DATA_DIR) -> None:
    """Run workflows, activities and relays."""
    settings = settings_in_force(data)
    import asyncio

    import uvloop

    from workers.main import run

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))
