"""Where an order that is parked goes on in another version of its flow, if it may."""

from collections.abc import Collection, Mapping

from domain.flow.definition import FlowDefinition
from domain.flow.graph import FlowGraph
from domain.flow.nodes import ExceptionNode
from domain.flow.path_checks import completes_without
from domain.flow.vocabulary import CORE_STEPS
from domain.order import Standing, has_happened


def place_in(flow: FlowDefinition, node: str, nodes: Mapping[str, str]) -> str | None:
    """The node of the flow that stands for this one: the one mapped to it, else the one of its name; None: none."""
    found = nodes.get(node, node)
    target = flow.nodes.get(found)
    return None if target is None or isinstance(target, ExceptionNode) else found


def core_step_passed(flow: FlowDefinition, at: str, standing: Standing) -> str | None:
    """A core step that is not done, and that an order which goes on here could complete without; None: none."""
    graph, done = FlowGraph(flow), _done(standing)
    left = (core for core in CORE_STEPS if core.name not in done)
    return next((core.name for core in left if completes_without(graph, core, at)), None)


def _done(standing: Standing) -> Collection[str]:
    steps = {
        "reservation": standing.fulfilment != "unallocated",
        "payment": has_happened("payment.full", standing),
        "shipment": standing.fulfilment not in ("unallocated", "allocated"),
        "delivery": has_happened("shipment.delivered", standing),
        "revenue": standing.revenue == "full",
        "invoice": standing.invoice == "full",
    }
    return {name for name, is_done in steps.items() if is_done}
