"""`orderflow api` and `orderflow worker`: the two long-running processes of a deployment."""

from cli.environment import DataOption, settings_in_force
from cli.local_stack.layout import DEFAULT_DATA_DIR

# An open event stream would otherwise keep the server from ever ending.
_DRAIN_S = 3


def api(data: DataOption = DEFAULT_DATA_DIR) -> None:
    """Serve the HTTP API."""
    settings = settings_in_force(data)
    import uvicorn

    from runtime.logging import configure_logging

    configure_logging(settings.log_level, as_json=settings.logs_json)
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )


def worker(data: DataOption = DEFAULT_DATA_DIR) -> None:
    """Run workflows, activities and relays."""
    settings = settings_in_force(data)
    import asyncio

    from runtime.logging import configure_logging
    from workers.main import run

    configure_logging(settings.log_level, as_json=settings.logs_json)
    asyncio.run(run(settings))
