"""Sequences, votes and added signers on a clock that skips: whose time it is, and what each word leads to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from domain.flow.definition import FlowDefinition
from tests.fakes.desk import Word
from tests.fakes.shop import Shop
from tests.workflows.conftest import Running, Start
from tests.workflows.test_approvals import OPENED, asking, complete, waits_of

IN_TURN: Sequence[dict[str, str]] = ({"user": "mona"}, {"user": "vera"}, {"user": "cora"})
ONE_LEVEL: dict[str, Any] = {"escalate": [], "remind": []}


def in_turn(**changes: Any) -> FlowDefinition:
    return asking(mode="sequence", assignees=list(IN_TURN), **(ONE_LEVEL | changes))


def vote(wanted: float) -> FlowDefinition:
    return asking(mode={"vote": wanted}, assignees=list(IN_TURN), **ONE_LEVEL)


async def asked(running: Running) -> list[str]:
    return [one.person for one in next(iter(running.shop.desk.opened.values())).played.signers.asked]


async def test_each_of_a_sequence_has_the_whole_time(start: Start) -> None:
    running = await start(Shop(), in_turn(timeout="PT12M"))
    await running.until(OPENED)
    for number, person in enumerate(("mona", "vera"), 1):
        await running.environment.sleep(timedelta(minutes=10))
        await running.tell(number, Word(person, "approve"))
        await running.until(OPENED, number + 1)
    # Half an hour has passed where each of them had twelve minutes: nothing has run out.
    await running.environment.sleep(timedelta(minutes=10))
    assert await asked(running) == ["cora"]
    assert "escalate_approval 0" not in running.shop.calls
    await running.tell(3, Word("cora", "approve"))
    await running.until("reserve_stock")
    await complete(running)


async def test_silence_of_the_second_one_runs_out_after_their_own_time(start: Start) -> None:
    running = await start(Shop(), in_turn(remind=["PT10M"]))
    await running.until(OPENED)
    await running.environment.sleep(timedelta(minutes=5))
    await running.tell(1, Word("mona", "approve"))
    assert (await running.handle.result()).result == "rejected"
    assert await waits_of(running) == [10, 10, 20]
    assert running.shop.calls.count("remind_approval 0") == 1
    assert [one.state.value for one in running.shop.desk.opened.values()] == ["timed_out"]


async def test_word_before_its_turn_changes_nothing(start: Start) -> None:
    running = await start(Shop(), in_turn())
    await running.until(OPENED)
    await running.tell(1, Word("cora", "approve"))
    await running.until("apply_decision")
    assert running.shop.desk.outcomes == ["not_assignee"]
    await running.tell(2, Word("mona", "reject"))
    assert (await running.handle.result()).result == "rejected"


async def test_vote_goes_on_as_soon_as_it_is_decided(start: Start) -> None:
    running = await start(Shop(), vote(2))
    await running.until(OPENED)
    await running.tell(1, Word("mona", "reject"))
    await running.tell(2, Word("cora", "approve"))
    await running.until("apply_decision", 2)
    assert "reserve_stock" not in running.shop.calls
    await running.tell(3, Word("vera", "approve"))
    await running.until("reserve_stock")
    await complete(running)


async def test_vote_that_everybody_abstains_from_is_a_rejection(start: Start) -> None:
    running = await start(Shop(), vote(0.5))
    await running.until(OPENED)
    for number, person in enumerate(("mona", "vera", "cora"), 1):
        await running.tell(number, Word(person, "abstain"))
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.desk.outcomes == ["effective"] * 3


async def test_vote_that_is_not_decided_in_time_goes_up(start: Start) -> None:
    up: dict[str, Any] = {"escalate": [{"to": [{"role": "ceo"}]}], "remind": [], "timeout": "PT10M"}
    running = await start(Shop(), asking(mode={"vote": 2}, assignees=[{"user": "mona"}, {"user": "vera"}], **up))
    await running.until(OPENED)
    await running.tell(1, Word("mona", "approve"))
    await running.until("apply_decision")
    await running.environment.sleep(timedelta(minutes=11))
    await running.until("escalate_approval 0")
    await running.tell(2, Word("vera", "approve"))
    await running.until("apply_decision", 2)
    assert running.shop.desk.outcomes == ["effective", "not_assignee"]
    await running.tell(3, Word("cora", "approve"))
    await complete(running)


async def test_added_signer_has_time_and_gives_the_turn_back(start: Start) -> None:
    running = await start(Shop(), asking(timeout="PT12M", **ONE_LEVEL))
    await running.until(OPENED)
    await running.environment.sleep(timedelta(minutes=10))
    await running.tell(1, Word("gina", "add_signer", "cora", "before"))
    await running.until(OPENED, 2)
    await running.environment.sleep(timedelta(minutes=10))
    await running.tell(2, Word("cora", "approve"))
    await running.until(OPENED, 3)
    await running.environment.sleep(timedelta(minutes=10))
    assert await asked(running) == ["gina"]
    await running.tell(3, Word("gina", "approve"))
    await running.until("reserve_stock")
    await complete(running)


async def test_removal_of_the_last_silent_signer_lets_the_order_go_on(start: Start) -> None:
    running = await start(Shop(), asking(**ONE_LEVEL))
    await running.until(OPENED)
    await running.tell(1, Word("gina", "add_signer", "cora", "after"))
    await running.tell(2, Word("gina", "approve"))
    await running.until("apply_decision", 2)
    assert "reserve_stock" not in running.shop.calls
    await running.tell(3, Word("ops", "remove_signer", "cora"))
    await running.until("reserve_stock")
    await complete(running)


async def test_cancelled_order_asks_the_next_one_no_more(start: Start) -> None:
    running = await start(Shop(), in_turn())
    await running.until(OPENED)
    await running.tell(1, Word("mona", "approve"))
    await running.until(OPENED, 2)
    assert (await running.cancel()).lifecycle == "cancelled"
    assert running.shop.desk.still_open() == ()


async def test_forged_word_gives_nobody_the_turn(start: Start) -> None:
    running = await start(Shop(), in_turn())
    await running.until(OPENED)
    await running.forge("approval_decided", 99)
    await running.until("apply_decision forged")
    assert await asked(running) == ["mona"]
    assert (await running.handle.result()).result == "rejected"
