import hashlib
import json
import random
from dataclasses import dataclass
from datetime import timedelta

import pytest
import yaml
from pydantic import ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.flow.definition import FlowDefinition, FlowSnapshot
from domain.flow.document import load_yaml, parse_definition
from domain.flow.nodes import ExceptionNode, WaitNode
from flows import builtin_flows
from tests.factories.flows import a_flow, sound_document


@dataclass(frozen=True)
class CarriedFlow:
    order_no: str
    snapshot: FlowSnapshot


def test_durations_are_read_as_exact_lengths() -> None:
    document = sound_document()
    document["nodes"]["pay"] |= {"timeout": "P1W2DT3H4M5S", "remind": ["PT30M", "-P1D"]}
    pay = parse_definition(document).nodes["pay"]
    assert isinstance(pay, WaitNode)
    assert pay.timeout == timedelta(days=9, hours=3, minutes=4, seconds=5)
    assert pay.remind == (timedelta(minutes=30), -timedelta(days=1))


def test_the_hash_is_that_of_the_canonical_text_without_the_version() -> None:
    flow = a_flow()
    content = {name: value for name, value in json.loads(flow.canonical_json).items() if name != "version"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert flow.fingerprint == hashlib.sha256(text.encode()).hexdigest()
    assert a_flow(version=7).fingerprint == flow.fingerprint
    assert json.loads(flow.canonical_json)["schema"] == "orderflow/1"


def test_the_hash_ignores_order_spelling_and_explicit_defaults() -> None:
    document = sound_document()
    expected = parse_definition(document).fingerprint
    names = list(document["nodes"])
    random.Random(7).shuffle(names)
    document["nodes"] = {name: dict(reversed(document["nodes"][name].items())) for name in names}
    document["nodes"]["pay"]["timeout"] = "PT60M"
    document["nodes"]["signed"]["remind"] = []
    document["nodes"]["ship"] |= {"skippable": False, "retry": None}
    document["nodes"]["lane"] |= {"reason_required": True, "queue": "ops"}
    shuffled = dict(reversed(document.items()))
    for flow_style in (True, False):
        text = yaml.safe_dump(shuffled, sort_keys=False, allow_unicode=flow_style, default_flow_style=flow_style)
        assert load_yaml(text).fingerprint == expected


@pytest.mark.parametrize(
    ("node_id", "field", "value"),
    [("pay", "timeout", "PT61M"), ("ship", "retry", {"max_attempts": 3}), ("lane", "choices", ["cancel", "retry"])],
)
def test_the_hash_changes_with_what_the_flow_does(node_id: str, field: str, value: object) -> None:
    document = sound_document()
    before = parse_definition(document).fingerprint
    document["nodes"][node_id][field] = value
    assert parse_definition(document).fingerprint != before


def test_a_definition_cannot_be_changed() -> None:
    flow = a_flow()
    with pytest.raises(ValidationError, match="frozen"):
        flow.version = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        flow.nodes["pay"] = flow.nodes["ship"]  # type: ignore[index]


def test_a_definition_survives_its_own_canonical_text() -> None:
    flow = a_flow()
    again = load_yaml(flow.canonical_json)
    assert again == flow
    assert again.fingerprint == flow.fingerprint


@pytest.mark.parametrize("flow", [a_flow(), *builtin_flows()], ids=lambda flow: flow.key)
async def test_a_snapshot_round_trips_through_a_workflow_input(flow: FlowDefinition) -> None:
    carried = CarriedFlow("SO2611-7KQ3M9TX", FlowSnapshot.of(flow))
    payloads = await pydantic_data_converter.encode([carried])
    assert await pydantic_data_converter.decode(payloads, [CarriedFlow]) == [carried]


def test_a_snapshot_in_json_leaves_defaults_out() -> None:
    flow = a_flow()
    content = json.loads(FlowSnapshot.of(flow).model_dump_json())
    assert content == {"flow": json.loads(flow.canonical_json), "fingerprint": flow.fingerprint}
    assert content["flow"]["nodes"]["lane"] == {"kind": "exception", "choices": ["retry", "cancel"], "sla": "PT2H"}


def test_a_snapshot_keeps_the_hash_it_was_pinned_with() -> None:
    content = {"flow": json.loads(a_flow().canonical_json), "fingerprint": "ab" * 32}
    assert FlowSnapshot.model_validate(content).fingerprint == "ab" * 32


def test_an_exception_lane_asks_for_a_reason_unless_told_otherwise() -> None:
    lane = a_flow().nodes["lane"]
    assert isinstance(lane, ExceptionNode)
    assert lane.reason_required is True
    assert lane.sla == timedelta(hours=2)
