"""The server on which scenarios with the machine's time are played."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.replay.stage import real_server


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Client]:
    """A development server that no other tests use."""
    async with real_server() as client:
        yield client
