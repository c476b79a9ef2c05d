"""A return beside its order: opened, decided, waited for, taken in, given back; each once."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.fakes.desk import Word
from tests.fakes.patience import eventually
from tests.fakes.shop import Shop
from tests.workflows.conftest import TimeSkipping, an_order
from workers.local_first import LocalFirst
from workflows.order.contract import EINVOICE_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE, FactSignal
from workflows.returns.contract import RETURN_SIGNALS, ReturnInput, return_workflow_id
from workflows.returns.workflow import ReturnWorkflow


@dataclass
class Running:
    """A return under way: its shop, its handle, and the ways to tell it facts."""

    environment: WorkflowEnvironment
    shop: Shop
    handle: WorkflowHandle[ReturnWorkflow, str]

    async def tell(self, kind: str, inbox_id: int, *, forged: bool = False) -> None:
        if not forged:
            self.shop.inbox[inbox_id] = None
        await self.handle.signal(RETURN_SIGNALS[kind], FactSignal(inbox_id))

    @property
    def return_no(self) -> str:
        return self.handle.id.split("/")[1]

    @property
    def asked(self) -> str:
        return f"open_approval return.{self.return_no}"

    async def say(self, inbox_id: int, person: str, action: str) -> None:
        """The person's word about the return, once they are asked."""
        await self.until(self.asked)
        self.shop.inbox[inbox_id] = Word(person, action)
        await self.handle.signal("approval_decided", FactSignal(inbox_id))

    async def until(self, call: str, times: int = 1) -> None:
        async def calls() -> int:
            return self.shop.calls.count(call)

        await eventually(calls, lambda count: count >= times)


Begin = Callable[..., Awaitable[Running]]


@pytest.fixture
async def begin(time_skipping: TimeSkipping) -> AsyncIterator[Begin]:
    async with AsyncExitStack() as workers:

        async def start(shop: Shop, time_scale: float = 1.0) -> Running:
            environment = await time_skipping()
            shop.desk.clock = environment.get_current_time
            for queue in (ORDERS_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE):
                worker = Worker(
                    environment.client,
                    task_queue=queue,
                    workflows=[ReturnWorkflow] if queue == ORDERS_QUEUE else [],
                    activities=shop.activities(),
                    max_cached_workflows=0,
                    workflow_runner=LocalFirst(),
                )
                await workers.enter_async_context(worker)
            return_no = f"RT{uuid.uuid4().hex[:12].upper()}"
            asked = ReturnInput(an_order(f"SO{uuid.uuid4().hex[:12].upper()}"), return_no, time_scale)
            handle = await environment.client.start_workflow(
                ReturnWorkflow.run, asked, id=return_workflow_id(return_no), task_queue=ORDERS_QUEUE
            )
            return Running(environment, shop, handle)

        yield start


async def test_goods_that_come_in_are_given_back_and_credited(begin: Begin) -> None:
    running = await begin(Shop())
    await running.tell("return.received", 1)
    assert await running.handle.result() == "closed"
    assert sorted(running.shop.calls) == ["credit_refunds", "open_return", "pay_refunds", "receive_return"]


async def test_what_people_approve_waits_for_its_goods(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    for _again in range(3):
        await running.say(1, "sven", "approve")
    await running.until("settle_return")
    await running.tell("return.received", 2)
    assert await running.handle.result() == "closed"
    assert running.shop.calls[:5] == ["open_return", running.asked, "apply_decision", running.asked, "settle_return"]
    assert (running.shop.calls.count("apply_decision"), running.shop.calls.count("pay_refunds")) == (1, 1)


async def test_what_people_reject_is_over(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    await running.say(1, "sven", "reject")
    assert await running.handle.result() == "rejected"
    assert "pay_refunds" not in running.shop.calls


async def test_goods_that_come_before_the_decision_wait_for_no_money(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    await running.tell("return.received", 1)
    await running.until("receive_return")
    await running.say(2, "sven", "approve")
    await running.until("settle_return")
    assert "pay_refunds" not in running.shop.calls
    await running.tell("return.received", 3)
    assert await running.handle.result() == "closed"


async def test_silence_goes_up_and_then_to_everybody_anew(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    await running.until(running.asked)
    await running.environment.sleep(timedelta(hours=25))
    await running.until("escalate_approval 0")
    await running.environment.sleep(timedelta(hours=50))
    await running.until("settle_return")
    first, second = running.shop.desk.opened.values()
    assert (first.state, first.played.level, second.asked.visit) == ("timed_out", 2, 2)
    assert running.shop.calls.count("remind_approval 0") >= 2
    running.shop.inbox[1] = Word("sven", "reject")
    await running.handle.signal("approval_decided", FactSignal(1))
    assert await running.handle.result() == "rejected"


async def test_who_decides_has_the_time_of_the_orders_flow(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"), time_scale=1 / 1440)
    await running.until(running.asked)
    asked = next(iter(running.shop.desk.opened.values())).asked
    assert [level.timeout for level in asked.approval.levels] == [timedelta(minutes=1)] * 3
    assert (asked.amount_minor, asked.content.partition(":")[0]) == (11_300, f"return {running.return_no}")
    await running.say(1, "sven", "reject")
    assert await running.handle.result() == "rejected"


async def test_word_of_somebody_who_is_not_asked_changes_nothing(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    await running.say(1, "fred", "approve")
    await running.until("apply_decision")
    await running.say(2, "sven", "reject")
    assert await running.handle.result() == "rejected"
    assert running.shop.desk.outcomes == ["not_assignee", "effective"]


async def test_decision_past_the_door_decides_nothing(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    await running.until(running.asked)
    await running.tell("approval.decided", 9, forged=True)
    await running.until("apply_decision forged")
    assert running.shop.desk.still_open() != ()
    await running.say(2, "sven", "reject")
    assert await running.handle.result() == "rejected"


async def test_decision_that_comes_after_the_end_is_heard_and_changes_nothing(begin: Begin) -> None:
    shop = Shop(returned="requested")
    running = await begin(shop)
    await running.say(1, "sven", "reject")
    assert await running.handle.result() == "rejected"
    shop.inbox[2] = Word("mona", "approve")
    again = await running.environment.client.start_workflow(
        ReturnWorkflow.run,
        ReturnInput(an_order("SO-LATE"), "RT-LATE"),
        id=f"{running.handle.id}/again",
        task_queue=ORDERS_QUEUE,
        start_signal="approval_decided",
        start_signal_args=[FactSignal(2)],
    )
    assert await again.result() == "rejected"
    assert shop.desk.outcomes == ["effective", "superseded"]


async def test_a_signal_past_the_door_gives_nothing_back(begin: Begin) -> None:
    running = await begin(Shop())
    await running.tell("return.received", 9, forged=True)
    await running.until("receive_return forged")
    assert await running.handle.result() == "expired"
    assert "pay_refunds" not in running.shop.calls


async def test_a_return_whose_goods_never_come_expires(begin: Begin) -> None:
    running = await begin(Shop())
    begun = await running.environment.get_current_time()
    assert await running.handle.result() == "expired"
    took = await running.environment.get_current_time() - begun
    assert timedelta(days=14) <= took < timedelta(days=15)
    assert running.shop.calls == ["open_return", "expire_return"]


async def test_an_exchange_whose_goods_stop_coming_gives_back_what_pays_for_nothing(begin: Begin) -> None:
    running = await begin(Shop(exchanged=True))
    assert await running.handle.result() == "expired"
    assert sorted(running.shop.calls) == ["credit_refunds", "expire_return", "open_return", "pay_refunds"]


@pytest.mark.parametrize(("returned", "result"), [("rejected", "rejected"), (None, "ignored"), ("closed", "closed")])
async def test_a_return_that_waits_for_nothing_ends_at_once(begin: Begin, returned: str | None, result: str) -> None:
    running = await begin(Shop(returned=returned))
    assert await running.handle.result() == result
    assert running.shop.calls == ["open_return"]


async def test_a_payout_that_fails_is_held_and_repeated_until_it_succeeds(begin: Begin) -> None:
    running = await begin(Shop(holds={"pay_refunds": ["refund_failed", "refund_failed"]}))
    await running.tell("return.received", 1)
    assert await running.handle.result() == "closed"
    assert (running.shop.calls.count("pay_refunds"), running.shop.resolved) == (3, ["retried"])


async def test_whoever_settles_the_hold_of_a_return_has_it_tried_at_once(begin: Begin) -> None:
    running = await begin(Shop(fails={"receive_return": ["account_mapping_missing"]}))
    running.shop.decisions[7] = "account_mapping_missing"
    await running.tell("return.received", 1)
    await running.until("open_hold account_mapping_missing")
    begun = await running.environment.get_current_time()
    await running.handle.signal("hold_decided", FactSignal(7))
    await running.until("receive_return", 2)
    assert await running.environment.get_current_time() - begun < timedelta(minutes=5)
    assert await running.handle.result() == "closed"


async def test_goods_whose_books_cannot_be_kept_yet_are_taken_in_later(begin: Begin) -> None:
    running = await begin(Shop(fails={"receive_return": ["account_mapping_missing"]}))
    await running.tell("return.received", 1)
    assert await running.handle.result() == "closed"
    assert running.shop.calls.count("receive_return") == 2
    assert "open_hold account_mapping_missing" in running.shop.calls
