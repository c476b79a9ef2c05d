"""Every transaction that is tested here is asked whether what it remembers of its order is what the tables say."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from runtime.sessions import PlainAsyncSession
from tests.fakes.memory import agrees


@pytest.fixture(autouse=True)
def _memory_agrees(request: pytest.FixtureRequest) -> Iterator[None]:
    """Not where round trips are counted: there nobody asks beside those who are tested."""
    sessions = PlainAsyncSession.sync_session_class
    asked = "alone" not in request.fixturenames
    if asked:
        event.listen(sessions, "before_commit", agrees)
    yield
    if asked:
        event.remove(sessions, "before_commit", agrees)


@pytest.fixture
def alone() -> None:
    """For tests that count round trips."""
