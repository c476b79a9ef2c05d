"""What every activity promises, and where transactions begin and end."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import Function, Source, is_decorated, parsed, sources

_PROMISES = ("Effect:", "Key:", "Fails:")
_ENDS_OR_BEGINS = {"commit", "rollback", "begin", "begin_nested"}
# Whoever is called by these gets a session and leaves the transaction to them.
_EDGES = {"activities", "api", "console", "workers", "cli", "migrations", "tests"}
# The driver's own connection, which carries out what they say.
_DRIVERS = ("runtime/connection.py", "runtime/sessions.py")
_SUPPLIERS = ("integrations.",)


def unpromising_activities(source: Source) -> list[str]:
    """Activities without the lines that say what holds afterwards, what makes a repetition harmless, what fails."""
    return [
        f"{source.path}:{one.name}"
        for one in source.functions()
        if is_decorated(one, "activity.defn") and not _promises_all(one)
    ]


def transactions(source: Source) -> list[str]:
    """Where the file begins or ends a transaction."""
    return [
        f"{source.path}:{call.lineno}"
        for call in source.calls()
        if isinstance(call.func, ast.Attribute) and call.func.attr in _ENDS_OR_BEGINS
    ]


def calls_within_transactions(source: Source) -> list[str]:
    """Where a port is called while a transaction is open."""
    ports = set(_port_attributes(source))
    return [
        f"{source.path}:{call.lineno}"
        for block in ast.walk(source.tree)
        if isinstance(block, ast.AsyncWith) and _opens_session(block)
        for call in ast.walk(block)
        if isinstance(call, ast.Call) and ports & {ast.unparse(part) for part in ast.walk(call.func)}
    ]


def test_every_activity_says_its_effect_its_key_and_its_failures() -> None:
    assert [line for source in sources("activities") for line in unpromising_activities(source)] == []


def test_only_edges_begin_and_end_transactions() -> None:
    inner = [source for source in sources() if source.package not in _EDGES and source.path not in _DRIVERS]
    assert [line for source in inner for line in transactions(source)] == []


def test_no_outside_party_is_called_within_a_transaction() -> None:
    assert [line for source in sources("activities") for line in calls_within_transactions(source)] == []


def test_ports_are_found_where_there_are_some() -> None:
    found = {name for source in sources("activities") for name in _port_attributes(source)}
    assert found == {"self._carrier", "self._provider", "self._notifier"}


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (unpromising_activities, '@activity.defn\nasync def act(self):\n    """Effect: some.\n    Fails: never."""'),
        (transactions, "async def keep(session):\n    await session.commit()"),
        (
            calls_within_transactions,
            "from integrations.carrier.port import Carrier\n"
            "class A:\n"
            "    def __init__(self, carrier: Carrier) -> None:\n"
            "        self._carrier = carrier\n"
            "    async def act(self):\n"
            "        async with self._sessions() as session, session.begin():\n"
            "            await self._carrier.book()",
        ),
    ],
)
def test_what_breaks_a_promise_is_noticed(check: object, text: str) -> None:
    assert callable(check)
    assert len(check(parsed("activities/faulty.py", text))) == 1


def _promises_all(function: Function) -> bool:
    lines = [line.strip() for line in (ast.get_docstring(function) or "").splitlines()]
    return all(any(line.startswith(promise) for line in lines) for promise in _PROMISES)


def _opens_session(block: ast.AsyncWith) -> bool:
    return any("session" in ast.unparse(item.context_expr) for item in block.items)


def _port_attributes(source: Source) -> Iterator[str]:
    """`self._carrier` and the like: attributes that a constructor fills with something of an outside party."""
    outside = {
        alias.asname or alias.name
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_SUPPLIERS)
        for alias in node.names
    }
    for function in source.functions():
        if function.name == "__init__":
            parameters = {
                one.arg for one in function.args.args if one.annotation and ast.unparse(one.annotation) in outside
            }
            for statement in function.body:
                if isinstance(statement, ast.Assign) and ast.unparse(statement.value) in parameters:
                    yield ast.unparse(statement.targets[0])
