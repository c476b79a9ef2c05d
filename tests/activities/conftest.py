"""Every step that is tested here is asked whether what it remembers of its order is what the tables say."""

import pytest

from store import orders
from tests.fakes.memory import standing, standing_that_agrees


@pytest.fixture(autouse=True)
def _memory_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "standing", standing_that_agrees)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, _memory_agrees: None) -> None:
    """For tests that count round trips: nobody asks beside them."""
    monkeypatch.setattr(orders, "standing", standing)
