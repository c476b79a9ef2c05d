"""Steps in one go: as far as they go smoothly, and a party is asked only as long as it answers at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import advance
from activities.advance import CLOSE, WAIT, AdvanceActivities, AdvanceInput, AdvanceResult, Ahead, Party
from activities.orders import CloseInput, WaitInput
from activities.step import Step, StepResult
from domain.order import Standing
from tests.fakes.shop import Payment, Shop

STEP = Step("SO-1", "ship")


def _steps(*names: str) -> tuple[Ahead, ...]:
    return tuple(Ahead(name, Step("SO-1", name)) for name in names)


def _wait(event: str) -> Ahead:
    return Ahead(WAIT, Step("SO-1", "wait"), wait=WaitInput("SO-1", "wait", 1, event, timedelta(hours=1)))


def _close() -> Ahead:
    return Ahead(CLOSE, Step("SO-1", "done"), close=CloseInput("SO-1", "completed"))


async def _go(shop: Shop, *ahead: Ahead, kind: str = "", awaited: str = "") -> AdvanceResult:
    asked = AdvanceInput("SO-1", ahead, kind, 1 if kind else 0, awaited)
    done: AdvanceResult = await ActivityEnvironment().run(shop.advancing.advance, asked)
    return done


async def test_all_is_done_in_order_and_each_thing_has_its_answer() -> None:
    shop = Shop()
    answer = await _go(shop, *_steps("order.check", "stock.reserve"), _wait("payment.full"))
    assert shop.calls == ["check_order", "reserve_stock", "open_wait payment.full"]
    assert (len(answer.done), len(answer.tried), answer.refused) == (3, 3, "")
    assert answer.deadline is not None
    assert [one.standing.version for one in answer.done] == [1, 2, 3]


async def test_what_is_held_is_told_and_nothing_behind_it_is_begun() -> None:
    shop = Shop(holds={"reserve_stock": ["out_of_stock"]})
    answer = await _go(shop, *_steps("order.check", "stock.reserve"), _wait("payment.full"))
    assert [one.held for one in answer.done] == [None, "out_of_stock"]
    assert answer.tried == ("order.check order.check/1", "stock.reserve stock.reserve/1")
    assert "open_wait payment.full" not in shop.calls


async def test_a_final_refusal_is_told_with_its_code() -> None:
    shop = Shop(fails={"recognise_revenue": ["account_mapping_missing"]})
    answer = await _go(shop, *_steps("revenue.recognise", "invoice.issue"), _close())
    assert (answer.done, answer.refused, len(answer.tried)) == ((), "account_mapping_missing", 1)
    assert shop.calls == ["recognise_revenue"]


async def test_what_fails_otherwise_is_left_to_be_asked_for_by_itself() -> None:
    shop = Shop()
    shop.away["issue_invoice"] = 1
    answer = await _go(shop, *_steps("revenue.recognise", "invoice.issue"), _close())
    assert (len(answer.done), answer.refused, len(answer.tried)) == (1, "", 2)
    assert shop.calls == ["recognise_revenue", "issue_invoice"]


async def test_a_fact_takes_along_what_had_waited_for_it() -> None:
    shop = Shop(inbox={1: Payment()})
    answer = await _go(
        shop, *_steps("shipping.create"), _wait("shipment.delivered"), kind="payment.settled", awaited="payment.full"
    )
    assert answer.fact is not None
    assert answer.fact.standing.payment == "paid"
    assert (len(answer.done), len(answer.tried)) == (2, 2)


async def test_a_fact_that_is_not_what_was_waited_for_takes_nothing_along() -> None:
    shop = Shop(inbox={1: Payment(status="partial")})
    answer = await _go(shop, *_steps("shipping.create"), kind="payment.settled", awaited="payment.full")
    assert answer.fact is not None
    assert (answer.done, answer.tried) == ((), ())
    assert "book_shipments" not in shop.calls


async def test_what_has_happened_already_is_not_waited_for() -> None:
    shop = Shop(standing=Standing(payment="paid"))
    answer = await _go(shop, *_steps("stock.reserve"), _wait("payment.full"))
    assert len(answer.done) == 1
    assert "open_wait payment.full" not in shop.calls


@pytest.mark.parametrize("change", [{"cancelling": True}, {"surplus_due": True}])
async def test_an_order_that_somebody_stops_goes_no_further(change: dict[str, object]) -> None:
    shop = Shop()
    shop.standing = replace(shop.standing, **change)  # type: ignore[arg-type]
    answer = await _go(shop, *_steps("order.check", "stock.reserve"))
    assert (len(answer.done), shop.calls) == (1, ["check_order"])


@dataclass
class Slow:
    """A party that answers when it is let, and counts who asks."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def ask(self, step: Step) -> StepResult:
        self.asked += 1
        await self.may_answer.wait()
        return StepResult()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advance, "PARTY_AT_ONCE_S", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_a_party_that_is_late_twice_running_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advance, "PARTY_RESTS_S", 0.5)
    slow = Slow()
    party = Party(slow.ask)
    for _ in range(4):
        with pytest.raises(TimeoutError):
            await party(STEP)
    assert slow.asked == 2
    await asyncio.sleep(0.6)
    slow.may_answer.set()
    assert await party(STEP) == StepResult()


@pytest.mark.usefixtures("impatient")
async def test_a_party_that_answers_in_between_is_not_left_alone() -> None:
    slow = Slow()
    party = Party(slow.ask)
    for is_late in (True, False, True, False):
        slow.may_answer.clear() if is_late else slow.may_answer.set()
        await _asked(party, is_late=is_late)
    assert slow.asked == 4


async def test_few_ask_a_party_at_the_same_time() -> None:
    slow = Slow()
    party = Party(slow.ask)
    asking = [asyncio.create_task(party(STEP)) for _ in range(advance.PARTY_HANDS)]
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await party(STEP)
    slow.may_answer.set()
    await asyncio.gather(*asking)
    assert slow.asked == advance.PARTY_HANDS
    assert await party(STEP) == StepResult()


async def test_a_refusal_of_the_party_is_no_lateness() -> None:
    async def refuse(_step: Step) -> StepResult:
        raise ApplicationError("no", type="carrier_refused", non_retryable=True)

    party = Party(refuse)
    for _ in range(3):
        with pytest.raises(ApplicationError):
            await party(STEP)


async def _asked(party: Callable[[Step], Awaitable[StepResult]], *, is_late: bool) -> None:
    if is_late:
        with pytest.raises(TimeoutError):
            await party(STEP)
    else:
        await party(STEP)


def test_every_step_that_may_be_done_ahead_can_be() -> None:
    from workflows.order.ahead import AT_ONCE, FULFILLING

    made: AdvanceActivities = Shop().advancing
    assert made._steps.keys() == AT_ONCE
    assert made._facts.keys() == FULFILLING
