from datetime import timedelta

import pytest

from domain.flow.checks import check_flow
from domain.flow.decide import match_flow
from domain.flow.definition import FlowDefinition
from domain.flow.nodes import ExceptionNode, WaitNode
from domain.flow.vocabulary import ACTIONS, CORE_STEPS, EVENTS, HOLD_REASONS, ROLES, compensation_of
from flows import builtin_flows
from tests.factories.flows import order_facts


def flow(key: str) -> FlowDefinition:
    return next(flow for flow in builtin_flows() if flow.key == key)


@pytest.mark.parametrize("builtin", builtin_flows(), ids=lambda builtin: builtin.key)
def test_every_builtin_flow_is_sound(builtin: FlowDefinition) -> None:
    assert check_flow(builtin) == ()


def test_an_ordinary_order_goes_from_check_to_done_with_revenue_before_the_invoice() -> None:
    path = ["check"]
    normal = flow("normal")
    while links := list(normal.nodes[path[-1]].links()):
        path.append(links[0].target)
    assert path == ["check", "reserve", "pay", "ship", "signed", "revenue", "invoice", "done"]


def test_an_unpaid_order_is_reminded_an_hour_before_it_is_undone() -> None:
    pay = flow("normal").nodes["pay"]
    assert isinstance(pay, WaitNode)
    assert (pay.timeout, pay.remind) == (timedelta(hours=24), (timedelta(hours=23),))
    assert pay.on_timeout == "unpaid"


def test_what_goes_wrong_can_be_retried_or_cancelled_within_two_hours() -> None:
    lane = flow("normal").nodes["exception"]
    assert isinstance(lane, ExceptionNode)
    assert (lane.choices, lane.sla) == (("retry", "cancel"), timedelta(hours=2))


@pytest.mark.parametrize("order_type", ["normal", "group_buy", "presale", "cross_border", "gift"])
def test_every_type_without_a_flow_of_its_own_takes_the_normal_one(order_type: str) -> None:
    assert match_flow(builtin_flows(), order_facts(order__type=order_type)).key == "normal"


@pytest.mark.parametrize(
    ("order_type", "terms", "key"),
    [
        ("presale", "deposit_balance", "presale"),
        ("normal", "deposit_balance", "presale"),
        ("normal", "on_credit", "on_credit"),
        ("sample", "on_credit", "on_credit"),
        ("normal", "cash_on_delivery", "cash_on_delivery"),
        ("sample", "cash_on_delivery", "cash_on_delivery"),
        ("sample", "none", "sample"),
        ("sample", "prepaid", "sample"),
        ("replacement", "prepaid", "replacement"),
        ("replacement", "on_credit", "on_credit"),
        ("replacement", "none", "normal"),
    ],
)
def test_terms_and_type_say_which_flow_an_order_takes(order_type: str, terms: str, key: str) -> None:
    assert match_flow(builtin_flows(), order_facts(order__type=order_type, payment__terms=terms)).key == key


@pytest.mark.parametrize("key", ["normal", "presale", "sample", "cash_on_delivery", "on_credit", "replacement"])
def test_no_builtin_flow_lacks_a_core_step(key: str) -> None:
    named = {node.step for node in flow(key).nodes.values()}
    assert {core.name for core in CORE_STEPS if not core.steps & named} == set()


def test_every_core_step_names_steps_that_exist() -> None:
    known = ACTIONS.keys() | EVENTS.keys()
    core_actions = {name for name, action in ACTIONS.items() if action.core}
    assert all(core.steps <= known for core in CORE_STEPS)
    assert core_actions == {name for core in CORE_STEPS for name in core.steps if name in ACTIONS}


def test_a_wait_for_any_payment_registers_the_refund() -> None:
    payments = {name for name in EVENTS if name.startswith("payment.")}
    assert {compensation_of(name) for name in payments} == {"payment.refund"}
    assert compensation_of("order.check") is None


@pytest.mark.parametrize("code", HOLD_REASONS)
def test_every_hold_reason_has_an_owner_a_deadline_and_both_titles(code: str) -> None:
    reason = HOLD_REASONS[code]
    assert reason.owner in ROLES
    assert reason.sla > timedelta(0)
    assert reason.zh
    assert reason.en


@pytest.mark.parametrize(
    ("total", "level", "key"),
    [
        (999_999, "VIP", "normal"),
        (1_000_000, "VIP", "normal_big"),
        (1_000_000, "KA", "normal_big"),
        (1_000_000, "standard", "normal"),
        (5_000_000, "standard", "normal"),
        (5_000_001, "standard", "normal_big"),
    ],
)
def test_big_orders_take_the_flow_that_asks_the_general_manager(total: int, level: str, key: str) -> None:
    facts = order_facts(order__total_minor=total, customer__level=level, payment__terms="prepaid")
    assert match_flow(builtin_flows(), facts).key == key


def test_a_big_order_is_reviewed_after_everything_is_posted() -> None:
    path = ["gm"]
    big = flow("normal_big")
    while links := list(big.nodes[path[-1]].links()):
        path.append(links[0].target)
    assert path == ["gm", "check", "reserve", "pay", "ship", "signed", "revenue", "invoice", "review", "done"]
