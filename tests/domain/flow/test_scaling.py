"""A flow in another time is the same flow, and can be read again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.flow.approval_node import ApprovalNode
from domain.flow.checks import check_flow
from domain.flow.definition import FlowDefinition, FlowSnapshot
from domain.flow.document import parse_definition
from domain.flow.nodes import WaitNode
from domain.flow.scaling import scaled
from flows import builtin_flows
from tests.factories.approvals import gm_approval
from tests.factories.flows import sound_document


def asking(**changes: Any) -> FlowDefinition:
    gm = gm_approval(outcomes={"approved": "reserve", "rejected": "undo"}, **changes)
    document = sound_document(gm=gm.model_dump(mode="json", exclude_defaults=True)) | {"start": "gm"}
    return parse_definition(document)


def test_every_span_is_shorter_by_the_same_factor() -> None:
    flow = scaled(asking(calendar={"kind": "working_hours", "id": "cn-default"}), 1 / 300)
    gm, pay = flow.nodes["gm"], flow.nodes["pay"]
    assert isinstance(gm, ApprovalNode)
    assert isinstance(pay, WaitNode)
    assert (gm.timeout, gm.remind) == (timedelta(seconds=6), (timedelta(seconds=3), timedelta(seconds=5)))
    assert [level.timeout.seconds for level in gm.levels] == [6, 6, 12]
    assert (gm.calendar.kind, pay.timeout) == ("always", timedelta(seconds=12))


def test_a_reminder_that_would_fall_on_its_deadline_is_left_out() -> None:
    gm = scaled(asking(), 0.0001).nodes["gm"]
    assert isinstance(gm, ApprovalNode)
    assert (gm.timeout, gm.remind) == (timedelta(seconds=1), ())


def test_time_as_it_is_changes_nothing() -> None:
    flow = asking()
    assert scaled(flow, 1.0) is flow


@pytest.mark.parametrize("flow", builtin_flows(), ids=lambda flow: flow.key)
@given(factor=st.floats(1e-7, 1))
def test_scaled_flow_is_sound_and_survives_its_way_into_history(flow: FlowDefinition, factor: float) -> None:
    found = scaled(flow, factor)
    assert check_flow(found) == ()
    snapshot = FlowSnapshot(flow=found, fingerprint=flow.fingerprint)
    again = FlowSnapshot.model_validate(json.loads(snapshot.model_dump_json()))
    assert again.flow.nodes == found.nodes
    assert again.fingerprint == flow.fingerprint
