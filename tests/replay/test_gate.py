"""The gate itself: changes that would stop or bend orders under way are noticed, each by the check that can see it."""

import dataclasses
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from activities.advance import Ahead
from activities.stock import StockActivities
from domain.flow.vocabulary import HOLD_REASONS
from domain.order import Standing
from tests.replay import recorded
from tests.replay.scenarios import SCENARIOS
from tests.replay.stage import perform
from workers.local_first import LocalFirst
from workers.main import WORKFLOWS
from workflows import options
from workflows.order import ahead, steps
from workflows.order.nodes import wait

AGREED = recorded.load_fingerprints()


async def replay(name: str) -> None:
    """Outside the sandbox, which would load the unchanged modules anew."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        workflow_runner=LocalFirst(UnsandboxedWorkflowRunner()),
    )
    await replayer.replay_workflow(recorded.load(recorded.files_of(name)[-1]))


async def differences(name: str, server: Client) -> list[tuple[str, str]]:
    """Commands that differ from those agreed on, as they were and as they are."""
    performance = await perform(SCENARIOS[name], server, UnsandboxedWorkflowRunner())
    pairs = zip(AGREED[name], performance.commands, strict=True)
    return [(agreed, now) for agreed, now in pairs if agreed != now]


async def test_unchanged_workflow_passes_the_gate(server: Client) -> None:
    await replay("order/refund_repeated")
    assert await differences("order/refund_repeated", server) == []


async def test_replay_notices_another_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(steps.STEPS, "stock.release", steps.Call(StockActivities.reserve_stock))
    with pytest.raises(workflow.NondeterminismError):
        await replay("order/cancelled_before_payment")


async def test_replay_notices_a_step_that_is_no_longer_done_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AT_ONCE", ahead.AT_ONCE - {"stock.reserve"})
    with pytest.raises(workflow.NondeterminismError):
        await replay("order/completed")


async def test_replay_notices_other_steps_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ahead.Outlook.from_node

    def without_the_second(self: ahead.Outlook, start: str, *, entered: bool) -> tuple[Ahead, ...]:
        found = before(self, start, entered=entered)
        return found[:1] + found[2:]

    monkeypatch.setattr(ahead.Outlook, "from_node", without_the_second)
    with pytest.raises(RuntimeError, match=r"stock\.reserve"):
        await replay("order/completed")


async def test_replay_notices_a_wait_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(event: str, standing: Standing) -> bool:
        return True

    monkeypatch.setattr(wait, "has_happened", at_once)
    with pytest.raises(workflow.NondeterminismError):
        await replay("order/completed")


async def test_fingerprint_notices_a_longer_pause_that_a_replay_does_not(
    monkeypatch: pytest.MonkeyPatch, server: Client
) -> None:
    monkeypatch.setattr(options, "_PAUSES", (timedelta(minutes=6),))
    await replay("order/refund_repeated")
    found = await differences("order/refund_repeated", server)
    # The hold says when it is tried again, and then the timer says it.
    assert [was for was, _ in found if was.startswith("local open_hold")] == [found[0][0]]
    assert found[1:] == [("timer 300 s", "timer 360 s")]


async def test_fingerprint_notices_another_time_out(monkeypatch: pytest.MonkeyPatch, server: Client) -> None:
    monkeypatch.setattr(options, "PARTY_CALL", timedelta(seconds=59))
    found = await differences("order/refund_repeated", server)
    assert [(was.count("start_to_close 60 s"), now.count("start_to_close 59 s")) for was, now in found] == [(1, 1)] * 2


async def test_fingerprint_notices_another_time_out_of_local_activities(
    monkeypatch: pytest.MonkeyPatch, server: Client
) -> None:
    monkeypatch.setattr(options, "LOCAL_STEP_WITHIN", timedelta(seconds=9))
    found = await differences("order/refund_repeated", server)
    by_themselves = [line for line in AGREED["order/refund_repeated"] if line.startswith("local ")]
    assert len(found) == sum(not line.startswith("local advance ") for line in by_themselves)


async def test_fingerprint_notices_another_argument_of_a_local_activity(
    monkeypatch: pytest.MonkeyPatch, server: Client
) -> None:
    known = HOLD_REASONS["delivery_overdue"]
    monkeypatch.setitem(HOLD_REASONS, "delivery_overdue", dataclasses.replace(known, en="Late"))
    await replay("order/delivery_overdue")
    found = await differences("order/delivery_overdue", server)
    assert [was.count('"detail":"Delivery is overdue"') for was, _ in found if was.startswith("local ")] == [1, 1]
