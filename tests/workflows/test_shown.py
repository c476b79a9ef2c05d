"""What operators read of an order in the Web UI, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.advance import WAIT, AdvanceInput, Ahead
from activities.orders import WaitInput
from activities.step import Step
from domain.flow.approval_node import ApprovalNode
from domain.flow.definition import FlowSnapshot
from domain.flow.vocabulary import HOLD_REASONS
from domain.flow.words import said, title_of
from flows import builtin_flows
from workflows.order.contract import FactText, OrderInput
from workflows.order.shown import hold_in_words, in_words, people_in_words, summary_of

BUILT_IN = {flow.key: flow for flow in builtin_flows()}


@pytest.mark.parametrize(
    ("currency", "told"),
    [("CNY", "1234.50 CNY"), ("JPY", "123450 JPY"), ("KWD", "123.450 KWD"), ("XXX", "123450 XXX (minor units)")],
)
def test_summary_has_the_amount_with_the_decimals_of_its_currency(currency: str, told: str) -> None:
    facts: dict[str, FactText] = {"order.total_minor": 123_450, "order.currency": currency, "order.type": "sample"}
    facts |= {"order.channel": "web", "customer.id": ""}
    order = OrderInput("SO-1", FlowSnapshot.of(BUILT_IN["normal"]), facts)
    assert summary_of(order) == f"SO-1: {told}, sample order from web, customer -"


def test_hold_says_who_has_to_act_by_when() -> None:
    due = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    assert hold_in_words("out_of_stock", due) == "Out of stock; warehouse has to act by 2026-11-22 10:00 UTC"
    assert hold_in_words("manual") == "Held by a person; operations has to act"
    assert {reason for reason in HOLD_REASONS if hold_in_words(reason) == reason} == set()


def test_people_of_each_level_are_named_as_the_flow_does() -> None:
    node = BUILT_IN["normal_big"].nodes["gm"]
    assert isinstance(node, ApprovalNode)
    assert [people_in_words(node, level) for level in range(3)] == ["gm", "superior of the assignee", "ceo"]


def test_what_is_done_in_one_go_is_told_in_order_and_never_longer_than_temporal_takes() -> None:
    step = Step("SO-1", "pay", 1, False)
    wait = Ahead(WAIT, step, wait=WaitInput("SO-1", "pay", 1, "payment.full", timedelta(hours=1)))
    asked = AdvanceInput("SO-1", (Ahead("order.check", step), wait), "payment.settled", 7, "payment.full")
    assert in_words(asked) == "Money came in. If Paid in full: Check the order; Wait for: Paid in full"
    assert len(in_words(AdvanceInput("SO-1", (wait,) * 40)).encode()) <= 400


def test_every_node_of_a_flow_has_a_title() -> None:
    nodes = BUILT_IN["normal"].nodes
    titles = {at: title_of(at, node) for at, node in nodes.items()}
    assert titles["pay"] == "Wait for: Paid in full"
    assert titles["reserve"] == "Reserve stock"
    assert titles["done"] == "End (done)"
    assert title_of("exception_lane", None) == "Exception lane"
    assert said("no.such.name") == "no.such.name"
