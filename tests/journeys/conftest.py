"""One running system for all journeys. Each journey has a SKU of its own, so that none is in another's way."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.caller import Caller
from tests.fakes.live_stack import live_stack
from tests.fakes.running_stack import RunningStack


@pytest.fixture(scope="session")
def stack(open_dir: Path) -> Iterator[RunningStack]:
    """Its carrier reports nothing by itself."""
    with live_stack(open_dir / "journeys") as running:
        yield running


@pytest.fixture(scope="session")
async def caller(stack: RunningStack) -> AsyncIterator[Caller]:
    one = Caller(stack)
    yield one
    await one.http.aclose()


@pytest.fixture
def sku() -> str:
    return f"SKU-{uuid.uuid4().hex[:10]}"
