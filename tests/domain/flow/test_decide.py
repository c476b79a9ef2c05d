import pytest

from domain.flow.conditions import ConditionFailed
from domain.flow.decide import Decision, NoFlowMatches, decide, match_flow
from domain.flow.nodes import BranchNode
from tests.factories.flows import a_flow, order_facts

BIG = "order.total_minor >= 1000000"
BRANCH = BranchNode.model_validate(
    {
        "kind": "branch",
        "cases": [
            {"label": "大客户", "when": f"{BIG} && customer.level in ['VIP', 'KA']", "next": "review"},
            {"label": "big", "when": BIG, "next": "look"},
        ],
        "default": "reserve",
    }
)


@pytest.mark.parametrize(
    ("total_minor", "level", "expected"),
    [
        (1_000_000, "VIP", Decision("大客户", f"{BIG} && customer.level in ['VIP', 'KA']", "review")),
        (1_000_000, "", Decision("big", BIG, "look")),
        (999_999, "VIP", Decision("default", "", "reserve")),
    ],
)
def test_the_first_case_that_holds_is_taken(total_minor: int, level: str, expected: Decision) -> None:
    facts = order_facts(order__total_minor=total_minor, customer__level=level)
    assert decide(BRANCH, facts) == expected


def test_a_case_that_cannot_be_decided_stops_the_branch() -> None:
    facts = order_facts()
    del facts["order.total_minor"]
    with pytest.raises(ConditionFailed):
        decide(BRANCH, facts)


def test_the_highest_priority_that_holds_wins() -> None:
    flows = [
        a_flow(key="everything", priority=0),
        a_flow(key="gifts", priority=200, when="order.has_gift"),
        a_flow(key="web", priority=100, when="order.channel == 'web'"),
    ]
    assert match_flow(flows, order_facts()).key == "web"
    assert match_flow(flows, order_facts(order__has_gift=True)).key == "gifts"
    assert match_flow(flows, order_facts(order__channel="shop")).key == "everything"


def test_equal_priorities_go_by_key_and_then_by_the_newer_version() -> None:
    flows = [a_flow(key="b"), a_flow(key="a", version=1), a_flow(key="a", version=2)]
    for order in (flows, flows[::-1]):
        chosen = match_flow(order, order_facts())
        assert (chosen.key, chosen.version) == ("a", 2)


def test_an_order_that_no_flow_takes_is_said_so() -> None:
    without_match = a_flow(key="part").model_copy(update={"match": None})
    with pytest.raises(NoFlowMatches) as refused:
        match_flow([a_flow(when="order.type == 'sample'"), without_match], order_facts())
    assert refused.value.code == "no_flow_matches"


def test_a_flow_whose_condition_cannot_be_decided_is_not_passed_over() -> None:
    flows = [
        a_flow(key="soon", priority=5, when="order.balance_opens_at == order.balance_opens_at"),
        a_flow(priority=0),
    ]
    with pytest.raises(ConditionFailed, match=r"order\.balance_opens_at is missing"):
        match_flow(flows, order_facts())
