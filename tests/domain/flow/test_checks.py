from collections.abc import Callable
from typing import Any

import pytest

from domain.flow.checks import check_document, check_flow, check_yaml, require_sound
from domain.flow.document import parse_definition
from domain.flow.problems import FlowRefused
from tests.factories.flows import Document, a_flow, sound_document


def changed(node_id: str, **fields: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["nodes"][node_id].update(fields)

    return change


def added(link: tuple[str, str], **nodes: Document) -> Callable[[Document], None]:
    """Add nodes and let the link (node, field) lead to the first of them."""

    def change(document: Document) -> None:
        document["nodes"].update(nodes)
        document["nodes"][link[0]][link[1]] = next(iter(nodes))

    return change


def branch(when: str, to: str, default: str) -> Document:
    return {"kind": "branch", "cases": [{"label": "yes", "when": when, "next": to}], "default": default}


def end(result: str) -> Document:
    return {"kind": "end", "result": result}


def tell(following: str, **fields: Any) -> Document:
    return {"kind": "notify", "event": "order.delayed", "audience": ["customer"], "next": following} | fields


def wait(event: str, following: str, on_timeout: str) -> Document:
    return {"kind": "wait", "event": event, "timeout": "PT1H", "next": following, "on_timeout": on_timeout}


def action(name: str, following: str, **fields: Any) -> Document:
    return {"kind": "action", "action": name, "next": following} | fields


def jumping(*targets: str) -> Callable[[Document], None]:
    return changed("lane", choices=["retry", "cancel", "jump"], targets=list(targets))


def add_unreachable(document: Document) -> None:
    document["nodes"]["lost"] = end("cancelled")


def start_nowhere(document: Document) -> None:
    document["start"] = "nowhere"


FAULTS = {
    "a link to a node that is not there": (changed("ship", on_error="nowhere"), ("ship", "dangling_link")),
    "a node that nothing leads to": (add_unreachable, ("lost", "unreachable")),
    "a wait that can only come back to itself": (
        added(("signed", "on_timeout"), trap=wait("customs.cleared", "trap", "trap")),
        ("trap", "no_end"),
    ),
    "a cycle in which nothing waits": (
        added(("reserve", "on_error"), loop=branch("order.has_gift", "again", "lane"), again=tell("loop")),
        ("again", "endless_cycle"),
    ),
    "a cycle through a moment that may have passed": (
        added(
            ("reserve", "on_error"),
            loop=branch("order.has_gift", "again", "lane"),
            again={"kind": "timer", "until": "order.balance_opens_at", "next": "loop"},
        ),
        ("again", "endless_cycle"),
    ),
    "a condition with a typing error": (
        added(("reserve", "on_error"), ask=branch("order.totl_minor > 1", "lane", "lane")),
        ("ask", "condition"),
    ),
    "a condition that is a number": (
        added(("reserve", "on_error"), ask=branch("order.total_minor", "lane", "lane")),
        ("ask", "condition"),
    ),
    "an unknown action": (
        added(("reserve", "on_error"), odd=action("stock.conjure", "lane")),
        ("odd", "unknown_action"),
    ),
    "a compensation run as a step": (
        added(("reserve", "on_error"), odd=action("stock.release", "lane")),
        ("odd", "unknown_action"),
    ),
    "an unknown compensation": (changed("reserve", compensate="stock.forget"), ("reserve", "unknown_compensation")),
    "an unknown event": (
        added(("reserve", "on_error"), odd=wait("moon.full", "lane", "lane")),
        ("odd", "unknown_event"),
    ),
    "an unknown notice": (
        added(("reserve", "on_error"), odd=tell("lane", event="order.sung")),
        ("odd", "unknown_notice"),
    ),
    "an unknown audience": (
        added(("reserve", "on_error"), odd=tell("lane", audience=["customer", "neighbour"])),
        ("odd", "unknown_audience"),
    ),
    "an unknown work list": (changed("lane", queue="nobody"), ("lane", "unknown_queue")),
    "a timer until something that is no moment": (
        added(("reserve", "on_error"), odd={"kind": "timer", "until": "order.total_minor", "next": "lane"}),
        ("odd", "unknown_moment"),
    ),
    "another action's compensation": (changed("ship", compensate="stock.release"), ("ship", "wrong_compensation")),
    "a core step that may be skipped": (changed("ship", skippable=True), ("ship", "core_step_skippable")),
    "reserved stock left behind": (changed("reserve", on_error="expired"), ("reserve", "uncompensated_failure")),
    "payments twice on one path": (
        added(("ship", "next"), pay_again=wait("payment.full", "signed", "lane")),
        ("pay", "money_twice"),
    ),
    "a jump back over the payment": (
        added(("signed", "on_timeout"), side={"kind": "exception", "choices": ["cancel", "jump"], "targets": ["pay"]}),
        ("pay", "money_twice"),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_the_only_problem_of_a_flow_that_has_just_it(name: str) -> None:
    change, expected = FAULTS[name]
    document = sound_document()
    change(document)
    assert [(problem.node, problem.code) for problem in check_document(document)] == [expected]


def test_a_flow_without_faults_has_no_problems() -> None:
    assert check_document(sound_document()) == ()
    require_sound(a_flow())


def test_a_start_that_is_not_there_is_named() -> None:
    document = sound_document()
    start_nowhere(document)
    problems = check_document(document)
    assert ("", "dangling_link") in {(problem.node, problem.code) for problem in problems}
    assert {problem.code for problem in problems} == {"dangling_link", "unreachable"}


def test_the_condition_that_chooses_the_flow_is_checked() -> None:
    document = sound_document() | {"match": {"priority": 1, "when": "order.kind == 'x'"}}
    assert [(p.node, p.code) for p in check_document(document)] == [("", "condition")]


@pytest.mark.parametrize(
    ("removed", "bypass", "core"),
    [
        ("reserve", "pay", "reservation"),
        ("pay", "ship", "payment"),
        ("ship", "signed", "shipment"),
        ("signed", "revenue", "delivery"),
        ("revenue", "invoice", "revenue"),
        ("invoice", "done", "invoice"),
    ],
)
def test_a_branch_around_a_core_step_is_refused(removed: str, bypass: str, core: str) -> None:
    document = sound_document(fork=branch("order.source == 'import'", bypass, removed))
    if document["start"] == removed:
        document["start"] = "fork"
    for node in document["nodes"].values():
        if node.get("next") == removed:
            node["next"] = "fork"
    problems = check_document(document)
    assert [(p.node, p.code) for p in problems] == [("done", "core_step_missing")]
    assert f"without {core}" in problems[0].detail


def test_a_timeout_of_the_payment_may_not_lead_on_to_shipping() -> None:
    document = sound_document()
    changed("pay", on_timeout="ship")(document)
    codes = {(p.node, p.code) for p in check_document(document)}
    assert ("done", "core_step_missing") in codes


def test_a_deposit_alone_is_no_payment() -> None:
    document = sound_document()
    changed("pay", event="payment.deposit")(document)
    assert [(p.node, p.code) for p in check_document(document)] == [("done", "core_step_missing")]


def test_a_deposit_followed_by_the_balance_is_payment() -> None:
    document = sound_document(
        pay=wait("payment.deposit", "balance", "undo"), balance=wait("payment.balance", "ship", "undo")
    )
    assert check_document(document) == ()


def test_completing_after_everything_was_undone_is_refused() -> None:
    document = sound_document(undo={"kind": "compensate", "next": "done"})
    del document["nodes"]["expired"]
    problems = check_document(document)
    assert {(p.node, p.code) for p in problems} == {("done", "core_step_missing")}
    assert len(problems) == 6


@pytest.mark.parametrize("target", ["ship", "signed", "revenue", "invoice", "done"])
def test_a_jump_past_a_core_step_is_refused_at_the_lane(target: str) -> None:
    document = sound_document()
    jumping(target)(document)
    problems = [p for p in check_document(document) if p.code == "core_step_jumped"]
    assert {p.node for p in problems} == {"lane"}
    assert f"jump to {target} goes past" in problems[0].detail


def test_a_jump_from_a_failed_core_step_to_the_one_behind_it_is_refused() -> None:
    document = sound_document(
        side={"kind": "exception", "choices": ["jump"], "targets": ["signed"]},
        ship=action("shipping.create", "signed", on_error="side"),
    )
    assert [(p.node, p.code) for p in check_document(document)] == [("side", "core_step_jumped")]


def test_a_jump_to_another_lane_or_to_undoing_is_allowed() -> None:
    document = sound_document()
    jumping("undo")(document)
    assert check_document(document) == ()


def test_shipping_before_the_reservation_is_refused_though_both_are_there() -> None:
    document = sound_document(
        pay=wait("payment.full", "reserve", "undo"),
        ship=action("shipping.create", "pay", on_error="lane"),
        reserve=action("stock.reserve", "signed", on_error="lane"),
    )
    document["start"] = "ship"
    assert [(p.node, p.code) for p in check_document(document)] == [("ship", "core_step_order")]


def test_revenue_before_delivery_is_refused() -> None:
    document = sound_document(
        ship=action("shipping.create", "revenue", on_error="lane"),
        revenue=action("revenue.recognise", "signed", on_error="lane"),
        signed=wait("shipment.delivered", "invoice", "lane"),
    )
    assert [(p.node, p.code) for p in check_document(document)] == [("revenue", "core_step_order")]


def test_an_order_may_be_rejected_before_anything_was_done() -> None:
    document = sound_document(gate=branch("customer.blacklisted", "no", "reserve"), no=end("rejected"))
    document["start"] = "gate"
    assert check_document(document) == ()


def test_waiting_again_after_a_reminder_takes_no_money_twice() -> None:
    document = sound_document(
        pay=wait("payment.full", "ship", "nudge"),
        nudge=tell("last", event="order.payment_due"),
        last=wait("payment.full", "ship", "undo"),
    )
    assert check_document(document) == ()


def test_a_cycle_is_allowed_when_its_visits_are_limited() -> None:
    change = added(
        ("reserve", "on_error"), loop=branch("order.has_gift", "again", "lane"), again=tell("loop", max_visits=3)
    )
    document = sound_document()
    change(document)
    assert check_document(document) == ()


def test_a_lane_that_only_retries_ends_where_its_step_ends() -> None:
    document = sound_document()
    changed("lane", choices=["retry"])(document)
    assert check_document(document) == ()


def test_faults_of_form_and_of_meaning_are_reported_together() -> None:
    document = sound_document()
    changed("pay", timeout="1 hour", surprise=1)(document)
    changed("ship", action="ship.it", on_error="nowhere")(document)
    found = [(p.node, p.code) for p in check_document(document)]
    assert found == [("pay", "schema"), ("pay", "schema"), ("ship", "dangling_link"), ("ship", "unknown_action")]


@pytest.mark.parametrize("document", [None, [], "text", 7, {}, {"nodes": []}, {"nodes": {"a": None, "b": {"kind": 1}}}])
def test_data_that_is_no_flow_at_all_is_described_and_not_fatal(document: object) -> None:
    problems = check_document(document)
    assert problems
    assert {problem.code for problem in problems} == {"schema"}


def test_a_refusal_carries_all_problems_and_names_the_first() -> None:
    document = sound_document()
    changed("reserve", on_error="expired")(document)
    with pytest.raises(FlowRefused, match="reserve: a path from here fails") as refusal:
        require_sound(parse_definition(document))
    assert refusal.value.code == "flow_refused"
    assert [p.code for p in refusal.value.problems] == ["uncompensated_failure"]
    assert [fact["node"] for fact in refusal.value.facts["problems"]] == ["reserve"]  # type: ignore[attr-defined]


def test_unreadable_text_is_one_problem_of_the_document() -> None:
    assert [(p.node, p.code) for p in check_yaml("a: [")] == [("", "document")]


def test_a_flow_of_two_hundred_nodes_is_checked() -> None:
    document = sound_document()
    document["start"] = "step0"
    for number in range(190):
        following = f"step{number + 1}" if number < 189 else "reserve"
        document["nodes"][f"step{number}"] = branch(f"order.total_minor > {number}", following, "reserve")
    flow = parse_definition(document)
    assert len(flow.nodes) == 200
    assert check_flow(flow) == ()
