"""Several things at the same time, a flow called in a flow, and words for later, as the workflow runs them."""

from datetime import timedelta
from typing import Any

import pytest

from domain.flow.checks import check_flow
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.resolve import resolved
from tests.factories.flows import sound_document
from tests.fakes.desk import Word
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Start


def asking(role: str, after: str) -> dict[str, Any]:
    return {
        "kind": "approval",
        "assignees": [{"role": role}],
        "timeout": "PT30M",
        "outcomes": {"approved": after, "rejected": "undo"},
    }


def both() -> FlowDefinition:
    """Finance and the general manager are asked at the same time, while stock is reserved."""
    together = {
        "kind": "parallel",
        "branches": [
            {"label": "people", "start": "gm"},
            {"label": "books", "start": "finance"},
            {"label": "goods", "start": "lock"},
        ],
        "next": "reserve",
    }
    lock = {"kind": "action", "action": "order.check", "next": "reserve", "on_error": "lane"}
    document = sound_document(
        together=together, gm=asking("gm", "reserve"), finance=asking("finance", "reserve"), lock=lock
    )
    return parse_definition(document | {"start": "together"})


def turn_to(shop: Shop, node: str) -> None:
    """What is said next is said to this node's approval: the desk hears words about the one opened last."""
    opened = shop.desk.opened
    name = next(name for name, one in opened.items() if one.asked.node == node)
    opened[name] = opened.pop(name)


async def finish(running: Any) -> str:
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("delivered"))
    done: str = (await running.handle.result()).result
    return done


async def test_all_branches_are_under_way_before_any_is_decided(start: Start) -> None:
    assert check_flow(both()) == ()
    running = await start(Shop(), both())
    await running.until("open_approval gm")
    await running.until("open_approval finance")
    await running.until("check_order")
    assert "reserve_stock" not in running.shop.calls
    turn_to(running.shop, "finance")
    await running.tell(11, Word("fred", "approve"))
    await running.until("open_approval finance", 2)
    assert "reserve_stock" not in running.shop.calls
    turn_to(running.shop, "gm")
    await running.tell(12, Word("gina", "approve"))
    await running.until("reserve_stock")
    assert await finish(running) == "completed"


async def test_branch_that_says_no_takes_the_order_with_it(start: Start) -> None:
    running = await start(Shop(), both())
    await running.until("open_approval gm")
    await running.until("open_approval finance")
    await running.until("check_order")
    turn_to(running.shop, "gm")
    await running.tell(11, Word("gina", "reject"))
    assert (await running.handle.result()).result == "expired"
    assert "reserve_stock" not in running.shop.calls


async def test_branch_that_cannot_go_on_holds_the_order_and_only_that_branch_is_tried_again(start: Start) -> None:
    quick = {"kind": "timer", "duration": "PT1M", "next": "reserve"}
    lock = {"kind": "action", "action": "order.check", "next": "reserve", "on_error": "lane"}
    together = {
        "kind": "parallel",
        "branches": [{"label": "wait", "start": "quick"}, {"label": "goods", "start": "lock"}],
        "next": "reserve",
    }
    document = sound_document(together=together, quick=quick, lock=lock) | {"start": "together"}
    flow = parse_definition(document)
    assert check_flow(flow) == ()
    running = await start(Shop(holds={"check_order": ["price_mismatch"]}), flow)
    await running.environment.sleep(timedelta(minutes=2))
    await running.until("check_order")
    assert "reserve_stock" not in running.shop.calls
    await running.resolve("retry")
    await running.until("reserve_stock")
    assert running.shop.calls.count("check_order") == 2
    assert await finish(running) == "completed"
    history = await running.handle.fetch_history()
    spans = [event.timer_started_event_attributes.start_to_fire_timeout.seconds for event in history.events]
    assert spans.count(60) == 1


async def test_called_flow_is_followed_within_the_order(start: Start) -> None:
    called = parse_definition(
        {
            "schema": "orderflow/1",
            "key": "ask_gm",
            "version": 3,
            "title": {"zh": "审批", "en": "Ask"},
            "start": "gm",
            "nodes": {
                "gm": asking("gm", "ok") | {"outcomes": {"approved": "ok", "rejected": "ko"}},
                "ok": {"kind": "end", "result": "granted"},
                "ko": {"kind": "end", "result": "denied"},
            },
        }
    )
    call = {"kind": "subflow", "flow": "ask_gm", "version": 3, "outcomes": {"granted": "reserve", "denied": "undo"}}
    caller = parse_definition(sound_document(call=call) | {"start": "call"})

    def library(key: str, version: int) -> FlowDefinition | None:
        return called if (key, version) == ("ask_gm", 3) else None

    assert check_flow(called) == ()
    assert check_flow(caller, library) == ()
    running = await start(Shop(), resolved(caller, library))
    await running.until("open_approval call.gm")
    await running.tell(11, Word("gina", "approve"))
    await running.until("reserve_stock")
    assert await finish(running) == "completed"


@pytest.mark.parametrize(("urgent", "told"), [(True, ["order.delayed"]), (False, [])])
async def test_what_the_flow_has_said_decides_further_on(start: Start, urgent: bool, told: list[str]) -> None:
    say = {"kind": "set", "values": {"flow.urgent": urgent, "flow.tags": ["a"]}, "next": "route"}
    route = {
        "kind": "branch",
        "cases": [{"label": "urgent", "when": "flow.urgent && 'a' in flow.tags", "next": "tell"}],
        "default": "reserve",
    }
    tell = {"kind": "notify", "event": "order.delayed", "audience": ["sales"], "next": "reserve"}
    flow = parse_definition(sound_document(say=say, route=route, tell=tell) | {"start": "say"})
    assert check_flow(flow) == ()
    running = await start(Shop(), flow)
    await running.until("reserve_stock")
    assert running.shop.notices == told
    assert await finish(running) == "completed"
