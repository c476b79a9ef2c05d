"""Branches, timers, notices, nodes that may be skipped, and nodes that are visited too often."""

from datetime import timedelta
from typing import Any

import pytest

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from tests.factories.flows import sound_document
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Start


def flow(start: str, **nodes: dict[str, Any]) -> FlowDefinition:
    return parse_definition(sound_document(**nodes) | {"start": start})


BRANCH = {
    "kind": "branch",
    "cases": [{"label": "big", "when": "order.total_minor >= 1000000", "next": "tell"}],
    "default": "reserve",
}
TELL = {"kind": "notify", "event": "order.accepted", "audience": ["sales"], "next": "rest"}
REST = {"kind": "timer", "duration": "PT2H", "next": "reserve"}


@pytest.mark.parametrize(("total", "notices", "waited"), [(1_000_000, ["order.accepted"], True), (999_999, [], False)])
async def test_branch_takes_the_case_that_holds(start: Start, total: int, notices: list[str], waited: bool) -> None:
    running = await start(Shop(), flow("route", route=BRANCH, tell=TELL, rest=REST), order__total_minor=total)
    await running.tell(1, Payment())
    if waited:
        await running.environment.sleep(timedelta(hours=2, minutes=30))
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert running.shop.notices == notices
    history = await running.handle.fetch_history()
    timers = [event.timer_started_event_attributes.start_to_fire_timeout.seconds for event in history.events]
    assert (7200 in timers) == waited


async def test_condition_that_cannot_be_decided_holds_the_order(start: Start) -> None:
    asks = BRANCH | {"cases": [{"label": "risky", "when": "risk.score > 90", "next": "reserve"}]}
    shop = Shop(fails={"decide_branch": ["condition_failed"]})
    running = await start(shop, flow("route", route=asks))
    await running.until("open_hold condition_failed")
    await running.resolve("retry")
    await running.until("reserve_stock")


async def test_skippable_step_can_be_skipped_and_no_other(start: Start) -> None:
    optional = {"kind": "action", "action": "order.check", "next": "reserve", "on_error": "lane", "skippable": True}
    lane = {"kind": "exception", "choices": ["retry", "skip", "cancel"], "sla": "PT2H"}
    shop = Shop(holds={"check_order": ["price_mismatch"]})
    running = await start(shop, flow("look", look=optional, lane=lane))
    await running.until("check_order")
    await running.resolve("skip")
    await running.until("reserve_stock")
    assert shop.calls.count("check_order") == 1


async def test_node_visited_too_often_holds_until_somebody_sends_the_order_back(start: Start) -> None:
    shop = Shop()
    again = {"kind": "action", "action": "order.check", "next": "again", "on_error": "lane", "max_visits": 3}
    loop = {
        "kind": "branch",
        "cases": [{"label": "on", "when": "order.total_minor > 0", "next": "look"}],
        "default": "done",
    }
    running = await start(shop, flow("look", look=again, again=loop))
    await running.until("open_hold visits_exhausted")
    assert shop.calls.count("check_order") == 3
    await running.resolve("retry")
    await running.until("open_hold visits_exhausted", 2)
    assert shop.calls.count("check_order") == 4
