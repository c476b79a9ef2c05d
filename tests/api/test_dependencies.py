"""What routes ask for before they run."""

import inspect
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from api.app import create_app
from runtime.settings import Settings


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def test_no_function_of_a_route_is_handed_to_a_thread() -> None:
    """A plain function would be: that costs more than all that one of ours does."""
    routes = [route for route in iter_route_contexts(create_app(Settings()).routes) if hasattr(route, "dependant")]
    functions = {call for route in routes for call in _calls(route.dependant) if inspect.isfunction(call)}
    assert len(functions) > len(routes) > 100
    plain = {call for call in functions if not (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))}
    assert plain == set()
