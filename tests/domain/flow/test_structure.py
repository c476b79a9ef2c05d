"""Rules for flows that call others, do several things at once, or decide by a table."""

from typing import Any

import pytest

from domain.flow.checks import check_document, check_flow
from domain.flow.decide import decide
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.nodes import BranchNode
from domain.flow.problems import FlowRefused
from domain.flow.resolve import resolved
from tests.factories.flows import Document, order_facts, sound_document


def codes(document: Document) -> list[tuple[str, str]]:
    return [(one.node, one.code) for one in check_document(document)]


def together(*starts: str, join: str = "reserve") -> dict[str, Any]:
    branches = [{"label": start, "start": start} for start in starts]
    return {"kind": "parallel", "branches": branches, "next": join}


def pause(after: str) -> dict[str, Any]:
    return {"kind": "timer", "duration": "PT1M", "next": after}


def parallel(**nodes: Document) -> Document:
    return sound_document(**nodes) | {"start": "both"}


def test_steps_of_branches_count_as_done_behind_the_join() -> None:
    document = sound_document(both=together("reserve", "pay", join="ship")) | {"start": "both"}
    document["nodes"]["reserve"]["next"] = "ship"
    assert check_flow(parse_definition(document)) == ()


def test_no_step_of_a_branch_may_count_on_one_of_another() -> None:
    document = sound_document(both=together("reserve", "ship", join="pay")) | {"start": "both"}
    document["nodes"]["ship"]["next"] = "pay"
    document["nodes"]["pay"]["next"] = "signed"
    document["nodes"]["reserve"]["next"] = "pay"
    assert ("ship", "core_step_order") in codes(document)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"both": together("a", "b"), "a": pause("b"), "b": pause("reserve")}, ("b", "branches_share_node")),
        ({"both": together("a", "b"), "a": pause("undo"), "b": pause("reserve")}, ("both", "branch_without_join")),
        (
            {"both": together("a", "b"), "a": pause("reserve"), "b": pause("reserve"), "undo": pause("a")},
            ("undo", "branch_entered"),
        ),
    ],
)
def test_branches_keep_to_themselves(nodes: dict[str, Document], expected: tuple[str, str]) -> None:
    assert expected in codes(parallel(**nodes))


def called(**changes: Any) -> FlowDefinition:
    document = {
        "schema": "orderflow/1",
        "key": "ask",
        "version": 1,
        "title": {"zh": "问", "en": "Ask"},
        "start": "wait",
        "nodes": {"wait": pause("ok"), "ok": {"kind": "end", "result": "granted"}},
    }
    return parse_definition(document | changes)


def calling(**changes: Any) -> Document:
    call = {"kind": "subflow", "flow": "ask", "version": 1, "outcomes": {"granted": "reserve"}} | changes
    return sound_document(call=call) | {"start": "call"}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (calling(version=None), "subflow_unpinned"),
        (calling(version=2), "unknown_subflow"),
        (calling(flow="other"), "unknown_subflow"),
        (calling(outcomes={"denied": "reserve"}), "subflow_outcome_missing"),
        (calling(outcomes={"granted": "reserve", "denied": "undo"}), "subflow_outcome_unknown"),
    ],
)
def test_call_that_cannot_be_followed_is_named(document: Document, code: str) -> None:
    flows = {("ask", 1): called()}
    found = check_document(document, lambda key, version: flows.get((key, version)))
    assert ("call", code) in [(one.node, one.code) for one in found]


def test_flow_that_calls_itself_is_refused() -> None:
    again = called(
        nodes={
            "wait": {"kind": "subflow", "flow": "ask", "version": 1, "outcomes": {"granted": "ok"}},
            "ok": {"kind": "end", "result": "granted"},
        }
    )
    with pytest.raises(FlowRefused) as refused:
        resolved(parse_definition(calling()), lambda _key, _version: again)
    assert {one.code for one in refused.value.problems} == {"subflow_too_deep"}


def test_money_that_a_called_flow_takes_counts_as_the_callers() -> None:
    pays = called(
        nodes={
            "wait": {"kind": "wait", "event": "payment.full", "timeout": "PT1H", "next": "ok", "on_timeout": "ok"},
            "ok": {"kind": "end", "result": "granted"},
        }
    )
    found = check_document(calling(), lambda _key, _version: pays)
    assert ("call", "money_twice") in [(one.node, one.code) for one in found]


def table(*rows: tuple[str, str], **changes: Any) -> Document:
    content = {
        "hit": "unique",
        "inputs": ["order.total_minor", "customer.level"],
        "rows": [{"label": f"row {at}", "cells": list(cells), "next": "reserve"} for at, cells in enumerate(rows)],
    }
    route = {"kind": "branch", "table": content | changes, "default": "reserve"}
    return sound_document(route=route) | {"start": "route"}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (table((">= 100", "-"), ("< 100", "-"), complete=True), []),
        (table((">= 100", "-"), (">= 50", "== 'VIP'")), ["table_overlap"]),
        (table((">= 100", "-"), (">= 200", "-"), hit="first"), ["table_unreachable"]),
        (table((">= 100", "-"), ("< 100", "in ['VIP', 'KA']"), complete=True), ["table_gap"]),
        (table((">= 100", "-"), ("50..99", "not in ['VIP']")), []),
        (table((">= 100", "= 'VIP'")), ["schema"]),
        (table((">= 100", "== 5")), ["condition"]),
    ],
)
def test_tables_are_checked_for_overlaps_gaps_and_rows_out_of_reach(document: Document, found: list[str]) -> None:
    assert [one.code for one in check_document(document)] == found


@pytest.mark.parametrize(
    ("total", "level", "label"),
    [(150, "x", "row 0"), (60, "VIP", "default"), (60, "KA", "row 1"), (10, "KA", "default")],
)
def test_table_decides_like_its_rows_say(total: int, level: str, label: str) -> None:
    document = table((">= 100", "-"), ("50..99", "not in ['VIP']"))
    node = parse_definition(document).nodes["route"]
    assert isinstance(node, BranchNode)
    assert decide(node, order_facts(order__total_minor=total, customer__level=level)).label == label


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"order.total_minor": "1"}, "unknown_settable"),
        ({"flow.urgent": "yes"}, "wrong_type"),
        ({"flow.label": "a"}, ""),
    ],
)
def test_only_words_of_the_flow_itself_can_be_set(values: dict[str, Any], code: str) -> None:
    document = sound_document(say={"kind": "set", "values": values, "next": "reserve"}) | {"start": "say"}
    assert codes(document) == ([("say", code)] if code else [])
