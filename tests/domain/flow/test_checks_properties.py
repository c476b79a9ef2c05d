import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.flow.checks import check_document, check_flow
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.nodes import CompensateNode, EndNode, Result
from domain.flow.parts import Outcome
from domain.flow.vocabulary import ACTIONS, COMPENSATIONS, CORE_STEPS, EVENTS, compensation_of, takes_money
from tests.factories.flows import Document, sound_document

IDS = st.sampled_from([f"n{number}" for number in range(8)])
CONDITIONS = st.sampled_from(["true", "order.has_gift", "order.total_minor > 5", "nonsense(", "order.nothing"])
CASES = st.fixed_dictionaries({"label": st.just("a"), "when": CONDITIONS, "next": IDS})


def node(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({"kind": st.just(kind)} | fields)


NODES = st.one_of(
    node("action", action=st.sampled_from([*ACTIONS, *COMPENSATIONS, "made.up"]), next=IDS, on_error=IDS),
    node("branch", cases=st.lists(CASES, min_size=1, max_size=1), default=IDS),
    node("wait", event=st.sampled_from(list(EVENTS)), timeout=st.just("PT1H"), next=IDS, on_timeout=IDS),
    node("timer", duration=st.just("PT1M"), next=IDS),
    node("timer", until=st.just("order.balance_opens_at"), next=IDS),
    node("notify", event=st.just("order.paid"), audience=st.just(["customer"]), next=IDS),
    node("compensate", next=IDS),
    node("exception", choices=st.lists(st.sampled_from(["retry", "skip", "cancel"]), min_size=1, max_size=4)),
    node("exception", choices=st.just(["jump"]), targets=st.lists(IDS, min_size=1, max_size=3)),
    node(
        "approval",
        assignees=st.sampled_from([[{"role": "gm"}], [{"role": "nobody"}], [{"user": "x"}]]),
        outcomes=st.fixed_dictionaries({"approved": IDS, "rejected": IDS}),
    ),
    node("end", result=st.sampled_from(list(Result))),
)


@given(st.dictionaries(IDS, NODES, min_size=1), IDS)
def test_any_graph_gets_an_answer_and_the_same_one_twice(nodes: Document, start: str) -> None:
    document = sound_document() | {"nodes": nodes, "start": start}
    flow = parse_definition(document)
    problems = check_flow(flow)
    assert problems == check_flow(flow)
    assert {problem.node for problem in problems} <= {"", *nodes}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_any_data_gets_an_answer(document: object) -> None:
    assert check_document(document)


LINKS = [
    (n, f) for n, fields in sound_document()["nodes"].items() for f in ("next", "on_error", "on_timeout") if f in fields
]
REWIRING = st.tuples(st.sampled_from(LINKS), st.sampled_from(list(sound_document()["nodes"])))


@given(
    st.lists(REWIRING, min_size=1, max_size=4),
    st.lists(st.sampled_from(["undo", "done", "lane"]), max_size=2),
    st.randoms(),
)
def test_no_walk_through_a_flow_that_passed_breaks_a_promise(
    rewirings: list[tuple[tuple[str, str], str]], jumps: list[str], rng: random.Random
) -> None:
    document = sound_document()
    for (node_id, field), target in rewirings:
        document["nodes"][node_id][field] = target
    if jumps:
        document["nodes"]["lane"] |= {"choices": ["retry", "cancel", "jump"], "targets": jumps}
    flow = parse_definition(document)
    if {problem.code for problem in check_flow(flow)} <= {"unreachable"}:
        for _ in range(20):
            walk(flow, rng)


def walk(flow: FlowDefinition, rng: random.Random) -> None:
    """Go from the start along links taken at random and assert at every step what a sound flow promises."""
    done: set[str] = set()
    taken: set[str] = set()
    registered: set[str] = set()
    node_id = flow.start
    for _ in range(60):
        current = flow.nodes[node_id]
        step = current.step
        if isinstance(current, EndNode):
            if current.result is Result.COMPLETED:
                assert all(core.steps & done for core in CORE_STEPS)
            else:
                assert registered == set()
            return
        if isinstance(current, CompensateNode):
            done, registered = set(), set()
        if step and (compensation := compensation_of(step)):
            registered.add(compensation)
        links = list(current.links())
        if not links:
            return
        link = rng.choice(links)
        if step and link.outcome is Outcome.DONE:
            assert not (takes_money(step) and step in taken)
            taken.add(step)
            done.add(step)
        node_id = link.target
