"""Approvals on a clock that skips: reminders, levels, the end of patience, and every way out."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from flows import builtin_flows
from tests.factories.approvals import gm_approval
from tests.factories.flows import sound_document
from tests.fakes.desk import Word
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start

OPENED = "open_approval gm"
YES, NO = Word("gina", "approve"), Word("gina", "reject")
ALL_LEVELS = [
    OPENED,
    *("remind_approval 0", "remind_approval 0", "escalate_approval 0"),
    *("escalate_approval 1", "escalate_approval 2"),
]


def asking(**changes: Any) -> FlowDefinition:
    """The flow of `sound_document` behind an approval by the general manager."""
    gm = gm_approval(**changes).model_dump(mode="json", exclude_defaults=True)
    rejected = {"undo": {"kind": "compensate", "next": "rejected"}, "rejected": {"kind": "end", "result": "rejected"}}
    unpaid = {"unpaid": {"kind": "compensate", "next": "expired"}}
    pay = {"kind": "wait", "event": "payment.full", "timeout": "PT1H", "next": "ship", "on_timeout": "unpaid"}
    return parse_definition(sound_document(gm=gm, pay=pay, **rejected, **unpaid) | {"start": "gm"})


async def complete(running: Running) -> None:
    await running.tell(101, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(102, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"


async def waits_of(running: Running) -> Sequence[int]:
    """How long the order's timers were, in minutes."""
    history = await running.handle.fetch_history()
    spans = (event.timer_started_event_attributes.start_to_fire_timeout.seconds for event in history.events)
    return [round(span / 60) for span in spans if span]


async def test_approved_order_goes_on(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.tell(1, YES)
    await running.until("reserve_stock")
    assert running.shop.calls[:4] == [OPENED, "apply_decision", OPENED, "reserve_stock"]
    await complete(running)


async def test_rejected_order_ends_as_rejected(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.tell(1, NO)
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.calls == [OPENED, "apply_decision", OPENED, "close rejected"]


async def test_silence_is_reminded_of_escalated_twice_and_ends_as_rejected(start: Start) -> None:
    running = await start(Shop(), asking())
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.calls == [*ALL_LEVELS, "close rejected"]
    assert await waits_of(running) == [15, 10, 5, 30, 60]
    (only,) = running.shop.desk.opened.values()
    assert only.state == "timed_out"


async def test_silence_lets_an_order_go_on_only_where_the_flow_says_so(start: Start) -> None:
    running = await start(Shop(), asking(on_exhausted="approved"))
    await running.tell(101, Payment())
    await running.environment.sleep(timedelta(hours=2, minutes=5))
    await running.until("reserve_stock")
    (only,) = running.shop.desk.opened.values()
    assert only.state == "timed_out"
    await complete(running)


async def test_superior_decides_what_the_manager_left_lying(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.environment.sleep(timedelta(minutes=31))
    await running.until("escalate_approval 0")
    await running.tell(1, Word("vera", "approve"))
    await running.until("reserve_stock")
    assert running.shop.desk.outcomes == ["effective"]
    await complete(running)


async def test_word_of_somebody_who_is_not_asked_changes_nothing(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.tell(1, Word("fred", "approve"))
    await running.until("apply_decision")
    await running.tell(2, NO)
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.desk.outcomes == ["not_assignee", "effective"]


async def test_second_word_is_superseded(start: Start) -> None:
    running = await start(Shop(), asking(assignees=[{"role": "gm"}, {"user": "vera"}]))
    await running.until(OPENED)
    await running.tell(1, YES)
    await running.tell(2, Word("vera", "reject"))
    await running.until("apply_decision", 2)
    assert running.shop.desk.outcomes == ["effective", "superseded"]
    await complete(running)


async def test_all_have_to_approve_where_the_flow_says_so(start: Start) -> None:
    running = await start(Shop(), asking(mode="all", assignees=[{"role": "gm"}, {"user": "vera"}]))
    await running.until(OPENED)
    await running.tell(1, YES)
    await running.until("apply_decision")
    assert "reserve_stock" not in running.shop.calls
    await running.tell(2, Word("vera", "approve"))
    await complete(running)


async def test_signal_past_the_door_decides_nothing(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.forge("approval_decided", 77)
    await running.until("apply_decision forged")
    assert running.shop.desk.still_open() != ()
    assert (await running.handle.result()).result == "rejected"


async def test_word_said_twice_counts_once(start: Start) -> None:
    running = await start(Shop(), asking(mode="all", assignees=[{"role": "gm"}, {"user": "vera"}]))
    await running.until(OPENED)
    await running.tell(1, YES)
    await running.tell(1, YES)
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.desk.outcomes == ["effective"]


async def test_withdrawn_order_goes_the_way_of_a_rejection(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.tell(1, Word("sally", "withdraw"))
    assert (await running.handle.result()).result == "rejected"


async def test_changed_order_is_asked_about_anew_with_a_full_clock(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.environment.sleep(timedelta(minutes=29))
    await running.tell(1, Word("orderflow", "change"))
    await running.until(OPENED, 3)
    assert (await running.handle.result()).result == "rejected"
    first, second = running.shop.desk.opened.values()
    assert (first.state, second.state) == ("voided", "timed_out")
    assert (first.asked.visit, second.asked.visit) == (1, 2)
    assert second.since - first.since > timedelta(minutes=28)
    assert running.shop.calls.count("escalate_approval 0") == 1


async def test_returned_order_comes_back_to_a_fresh_approval(start: Start) -> None:
    flow = asking(outcomes={"approved": "reserve", "rejected": "undo", "returned": "look"})
    look = {"kind": "action", "action": "order.check", "next": "gm"}
    document = flow.model_dump(mode="json", exclude_defaults=True)
    running = await start(Shop(), parse_definition({**document, "nodes": {**document["nodes"], "look": look}}))
    await running.until(OPENED)
    await running.tell(1, Word("gina", "return"))
    await running.until("check_order")
    await running.until(OPENED, 3)
    await running.tell(2, YES)
    await complete(running)
    assert [one.state.value for one in running.shop.desk.opened.values()] == ["returned", "approved"]


async def test_cancelled_order_asks_nobody_any_more(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    assert (await running.cancel()).lifecycle == "cancelled"
    await running.handle.result()
    assert running.shop.calls == [OPENED, "begin_cancel", "close cancelled"]
    assert running.shop.desk.still_open() == ()


async def test_word_that_comes_while_the_order_is_undone_is_on_record_and_too_late(start: Start) -> None:
    running = await start(Shop(fails={"close cancelled": ["step_failed"]}), asking())
    await running.until(OPENED)
    cancelling = asyncio.create_task(running.cancel())
    await running.until("close cancelled")
    await running.tell(1, YES)
    await running.until("apply_decision")
    assert (await running.handle.result()).result == "cancelled"
    assert (await cancelling).lifecycle == "cancelled"
    assert running.shop.desk.outcomes == ["too_late"]
    assert "reserve_stock" not in running.shop.calls


async def test_rejection_that_leads_to_the_lane_holds_and_a_retry_asks_anew(start: Start) -> None:
    flow = asking(hold_reason="review_rejected", outcomes={"approved": "reserve", "rejected": "lane"})
    document = flow.model_dump(mode="json", exclude_defaults=True)
    nodes = {name: node for name, node in document["nodes"].items() if name not in ("undo", "rejected")}
    running = await start(Shop(), parse_definition({**document, "nodes": nodes}))
    await running.until(OPENED)
    await running.tell(1, NO)
    await running.until("open_hold review_rejected")
    await running.resolve("retry")
    await running.until(OPENED, 3)
    await running.tell(2, YES)
    await complete(running)


def big() -> FlowDefinition:
    return next(flow for flow in builtin_flows() if flow.key == "normal_big")


async def reviewed(start: Start) -> Running:
    """A big order, approved, paid and delivered; finance is asked to review it."""
    running = await start(Shop(), big())
    await running.until(OPENED)
    await running.tell(1, YES)
    await running.tell(101, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(102, Scan("delivered"))
    await running.until("open_approval review")
    return running


async def test_big_order_is_posted_and_invoiced_before_anybody_reviews_it(start: Start) -> None:
    running = await reviewed(start)
    at = running.shop.calls.index
    assert at(OPENED) < at("check_order") < at("recognise_revenue") < at("issue_invoice") < at("open_approval review")
    await running.tell(2, Word("fred", "approve"))
    assert (await running.handle.result()).result == "completed"


async def test_rejected_review_holds_for_finance_and_undoes_nothing(start: Start) -> None:
    running = await reviewed(start)
    await running.tell(2, Word("fred", "reject"))
    await running.until("open_hold review_rejected")
    assert not {"reverse_revenue", "credit_invoices", "refund_payments"} & set(running.shop.calls)
    await running.resolve("retry")
    await running.until("open_approval review", 3)
    await running.tell(3, Word("fred", "approve"))
    assert (await running.handle.result()).result == "completed"


async def test_review_that_nobody_answers_goes_up_to_the_top_and_then_to_the_lane(start: Start) -> None:
    running = await reviewed(start)
    await running.environment.sleep(timedelta(days=30))
    await running.until("open_hold review_rejected")
    escalated = [call for call in running.shop.calls if call.startswith("escalate_approval")]
    # Fred's superior and the CEO are one person, who has the time of both levels.
    assert escalated == ["escalate_approval 0", "escalate_approval 1", "escalate_approval 2"]
    assert "remind_approval 0" in running.shop.calls
    assert "remind_approval 2" in running.shop.calls
    assert "recognise_revenue" in running.shop.calls


async def test_big_order_that_nobody_answers_for_is_rejected_after_two_hours(start: Start) -> None:
    running = await start(Shop(), big())
    assert (await running.handle.result()).result == "rejected"
    assert await waits_of(running) == [15, 10, 5, 15, 10, 5, 30, 20, 10]
    assert "check_order" not in running.shop.calls


async def test_money_that_came_for_an_order_nobody_wanted_goes_back(start: Start) -> None:
    running = await start(Shop(), big())
    await running.until(OPENED)
    await running.tell(101, Payment())
    await running.until("apply_payment")
    await running.tell(1, NO)
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.calls[-2:] == ["refund_payments", "close rejected"]
