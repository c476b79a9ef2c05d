"""What flows cost: `uv run python -m bench.flows`. Processor time of this process, so that others do not matter."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import typer

from domain.flow.backtest import Backtest, replaced
from domain.flow.checks import check_document
from domain.flow.conditions import compile_condition
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.script import PLAIN_ORDER, Script
from domain.flow.simulate import simulate
from flows import builtin_flows
from sandbox.run import try_all

_NODES = 190
_ORDERS = 10_000


def main() -> None:
    """Prints one line for each figure, with what it may be at most."""
    large = _large()
    _tell("validating 200 nodes, conditions not seen before (50 ms)", _milliseconds(lambda: _validate(large)))
    flow = parse_definition(large)
    _tell("simulating 200 nodes (10 ms)", _milliseconds(lambda: simulate(flow, {}, Script())))
    _tell(f"comparing {_ORDERS} orders in a backtest (20 s)", _milliseconds(_backtest))
    _interpret(0)
    _tell("interpreting one node (1 ms)", (_least(_NODES) - _least(0)) / _NODES)


def _large() -> dict[str, Any]:
    """The normal flow behind as many nodes that are passed, half of them decisions."""
    document = _normal()
    for at in range(_NODES):
        following = f"n{at + 1}" if at + 1 < _NODES else "check"
        case = {"label": "more", "when": f"order.total_minor > {at}", "next": following}
        document["nodes"][f"n{at}"] = (
            {"kind": "branch", "cases": [case], "default": following}
            if at % 2
            else {"kind": "notify", "event": "order.accepted", "audience": ["sales"], "next": following}
        )
    return document | {"start": "n0"}


def _validate(document: dict[str, Any]) -> None:
    compile_condition.cache_clear()
    if check_document(document):
        raise RuntimeError("the flow should be sound")


def with_approval() -> dict[str, Any]:
    """The normal flow in which big orders ask the general manager."""
    document = _normal()
    big = {"label": "big", "when": "order.total_minor > 1000000", "next": "gm"}
    document["nodes"] |= {
        "size": {"kind": "branch", "cases": [big], "default": "reserve"},
        "gm": {
            "kind": "approval",
            "assignees": [{"role": "gm"}],
            "outcomes": {"approved": "reserve", "rejected": "unpaid"},
        },
    }
    document["nodes"]["check"]["next"] = "size"
    return document


def _backtest() -> None:
    live = list(builtin_flows())
    drafted, done = replaced(live, parse_definition(with_approval())), Backtest()
    for at in range(_ORDERS):
        done.compare(f"SO{at}", {**PLAIN_ORDER, "order.total_minor": at * 200}, live, drafted)


def _interpret(many: int) -> None:
    """The workflow itself in the sandbox, with so many nodes more that ask nothing of anybody."""
    document = _normal()
    for at in range(many):
        following = f"n{at + 1}" if at + 1 < many else "check"
        document["nodes"][f"n{at}"] = {"kind": "set", "values": {"flow.label": str(at)}, "next": following}
    start = "n0" if many else "check"
    [tried] = asyncio.run(try_all(parse_definition(document | {"start": start}), [Script()]))
    if tried.result != "completed":
        raise RuntimeError(f"the order should have completed: {tried}")


def _least(many: int) -> float:
    return min(_milliseconds(lambda: _interpret(many)) for _ in range(3))


def _normal() -> dict[str, Any]:
    flow: FlowDefinition = next(flow for flow in builtin_flows() if flow.key == "normal")
    return flow.model_dump(mode="json", exclude_defaults=True)


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def _tell(what: str, milliseconds: float) -> None:
    typer.echo(f"{what}: {milliseconds:.2f} ms")


if __name__ == "__main__":
    typer.run(main)
