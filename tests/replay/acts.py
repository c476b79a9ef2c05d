"""What the outside world may do to a workflow, as building blocks of scenarios."""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage

from tests.fakes.desk import Word
from tests.fakes.patience import eventually
from tests.fakes.shop import Payment, Scan
from tests.replay.stage import Clock, Play, Scenario
from workflows.check import CheckFor, CheckWorkflow
from workflows.follow_up import FollowUpWorkflow
from workflows.order.contract import (
    ORDERS_QUEUE,
    SIGNALS,
    CancelRequest,
    ChangeRequest,
    FactSignal,
    HoldRequest,
    ResolveRequest,
    follow_up_workflow_id,
    order_workflow_id,
)
from workflows.order.shown import attributes_of, summary_of
from workflows.order.workflow import OrderWorkflow
from workflows.refunding import RefundInput, RefundWorkflow, refund_workflow_id
from workflows.relay import RelayFor, RelayWorkflow, relay_workflow_id
from workflows.returns.contract import RETURN_SIGNALS, ReturnInput, return_workflow_id
from workflows.returns.workflow import ReturnWorkflow

Act = Callable[[Play], Awaitable[None]]
Fact = Payment | Scan | Word | None

_NO_SUCH_ROW = 999


def order(name: str, *acts: Act, **differences: Any) -> Scenario:
    """A way through the order workflow; what differs from an ordinary order in an ordinary shop is given by name."""
    return Scenario(f"order/{name}", (place, *acts), **differences)


async def place(play: Play) -> None:
    """The order begins, as it does behind the door."""
    order = play.scenario.order()
    handle = await play.client.start_workflow(
        OrderWorkflow.run,
        order,
        id=order_workflow_id(order.order_no),
        task_queue=ORDERS_QUEUE,
        search_attributes=attributes_of(order),
        static_summary=summary_of(order),
    )
    play.begin(handle)


def follow_up(kind: str, fact: Fact) -> Act:
    """The fact has come for an order that has ended."""

    async def act(play: Play) -> None:
        order = play.scenario.order()
        handle = await play.client.start_workflow(
            FollowUpWorkflow.run,
            order,
            id=follow_up_workflow_id(order.order_no),
            task_queue=ORDERS_QUEUE,
            start_signal=SIGNALS[kind],
            start_signal_args=[_put_in_inbox(play, fact)],
            search_attributes=attributes_of(order),
            static_summary=f"After the end of {summary_of(order)}",
        )
        play.begin(handle)

    return act


def relay(destination: str) -> Act:
    """The destination is served from now on."""

    async def act(play: Play) -> None:
        handle = await play.client.start_workflow(
            RelayWorkflow.run, RelayFor(destination), id=relay_workflow_id(destination), task_queue=ORDERS_QUEUE
        )
        play.begin(handle)

    return act


def check(cause: str) -> Act:
    """The schedule has come round."""

    async def act(play: Play) -> None:
        handle = await play.client.start_workflow(
            CheckWorkflow.run, CheckFor(cause), id=f"check/{cause}", task_queue=ORDERS_QUEUE
        )
        play.begin(handle)

    return act


def pay(status: str = "paid", hold: str | None = None, *, deposit: bool = False, surplus: bool = False) -> Act:
    """Money has come in; the order's payment is then `status`, and held if a reason is given."""
    return _tell("payment.settled", Payment(status, hold, deposit, surplus))


def scan(status: str, hold: str | None = None) -> Act:
    """The carrier has reported a parcel; the order's fulfilment is then `status`, and held if a reason is given."""
    return _tell("parcel.scanned", Scan(status, hold))


def goods() -> Act:
    """Goods have come in."""
    return _tell("stock.replenished", None)


def say(person: str, action: str) -> Act:
    """A person has said something to the approval that is open."""
    return _tell("approval.decided", Word(person, action))


def add_signer(person: str, to: str, where: str) -> Act:
    """Somebody has been added to those who sign."""
    return _tell("approval.decided", Word(person, "add_signer", to, where))


def repeat(signal: str, inbox_id: int) -> Act:
    """The signal about this row comes once more; without such a row it is forged."""

    async def act(play: Play) -> None:
        await play.quiet()
        await play.handle.signal(signal, FactSignal(inbox_id))

    return act


def forge(signal: str) -> Act:
    """A signal has come past our door: no row stands behind it."""
    return repeat(signal, _NO_SUCH_ROW)


async def cancel(play: Play) -> None:
    """Somebody has asked for the order to be undone, and it is."""
    await play.quiet()
    await cancel_now(play)


async def cancel_now(play: Play) -> None:
    """The same, while an activity is still being tried."""
    request = CancelRequest(f"cancel-{play.next_number()}", "service", play.acts)
    await play.handle.execute_update("cancel", request, id=request.request_id)


async def begin_to_cancel(play: Play) -> None:
    """Somebody has asked for the order to be undone, and it has begun."""
    await play.quiet()
    request = CancelRequest(f"cancel-{play.next_number()}", "service", play.acts)
    accepted = WorkflowUpdateStage.ACCEPTED
    await play.handle.start_update("cancel", request, id=request.request_id, wait_for_stage=accepted)


async def cancel_in_vain(play: Play) -> None:
    """Somebody has asked for the order to be undone, and the order has refused."""
    await play.quiet()
    with pytest.raises(WorkflowUpdateFailedError):
        await cancel_now(play)


async def cancel_in_temporal(play: Play) -> None:
    """Somebody has pressed Cancel in Temporal's Web UI, whatever is going on."""
    await play.handle.cancel()


async def is_quiet(play: Play) -> None:
    """The workflow has done all that it can do by itself."""
    await play.quiet()


async def ship_unheard(play: Play) -> None:
    """A scan is committed, and its signal is still on its way."""
    await play.quiet()
    play.shop.standing = dataclasses.replace(play.shop.standing, fulfilment="shipped")


def resolve(choice: str, target: str = "") -> Act:
    """A person has settled the hold."""

    async def act(play: Play) -> None:
        await play.quiet()
        request = ResolveRequest(f"resolve-{play.next_number()}", "ops", choice, play.acts, target)
        await play.handle.execute_update("resolve_exception", request, id=request.request_id)

    return act


def decide(reason: str) -> Act:
    """A person has decided about the hold of this reason, wherever the order is."""

    async def act(play: Play) -> None:
        await play.quiet()
        number = play.next_number()
        play.shop.decisions[number] = reason
        await play.handle.signal("hold_decided", FactSignal(number))

    return act


async def hold(play: Play) -> None:
    """A person wants the order to stay where it is."""
    await play.quiet()
    request = HoldRequest(f"hold-{play.next_number()}", "ops", play.acts)
    await play.handle.execute_update("hold_order", request, id=request.request_id)


async def change(play: Play) -> None:
    """A person wants other lines, and gets them unless the shop refuses."""
    await play.quiet()
    request = ChangeRequest(f"change-{play.next_number()}", play.acts, 1)
    try:
        await play.handle.execute_update("change_order", request, id=request.request_id)
    except WorkflowUpdateFailedError:
        assert isinstance(play.shop.change, str)


def asked(call: str) -> Act:
    """The shop has been asked, and the answer may still be missing."""

    async def act(play: Play) -> None:
        async def calls() -> list[str]:
            return play.shop.calls

        await eventually(calls, lambda found: call in found)

    return act


def wait(time: timedelta) -> Act:
    """So much time has gone by on a clock that skips, whatever was going on meanwhile."""

    async def act(play: Play) -> None:
        assert play.scenario.clock is Clock.SKIPPING
        await play.environment.sleep(time)

    return act


def skip(time: timedelta) -> Act:
    """So much time has gone by in which nothing but timers could move the order."""

    async def act(play: Play) -> None:
        await play.quiet()
        await wait(time)(play)

    return act


async def everybody_is_back(play: Play) -> None:
    """Parties that were away answer again."""
    play.shop.away.clear()


def refuses(step: str, *codes: str) -> Act:
    """From now on the step says a final no, with these codes one after another, and then works again."""

    async def act(play: Play) -> None:
        await play.quiet()
        play.shop.fails[step] = list(codes)

    return act


def ends(result: object) -> Act:
    """The workflow has ended so, and with it every run that continued it. A clock that skips jumps there."""

    async def act(play: Play) -> None:
        await play.quiet()
        ended = await play.begun.result()
        assert getattr(ended, "result", ended) == result

    return act


async def refund(play: Play) -> None:
    """Somebody has asked for a refund, and the message is in the inbox."""
    await _begin_refund(play, _put_in_inbox(play, None).inbox_id)


async def forge_refund(play: Play) -> None:
    """Somebody has started a refund past our door."""
    await _begin_refund(play, _NO_SUCH_ROW)


async def _begin_refund(play: Play, inbox_id: int) -> None:
    order = play.scenario.order()
    handle = await play.client.start_workflow(
        RefundWorkflow.run,
        RefundInput(order, inbox_id),
        id=refund_workflow_id(order.order_no, "F-1"),
        task_queue=ORDERS_QUEUE,
        search_attributes=attributes_of(order),
        static_summary=f"Refund of {summary_of(order)}",
    )
    play.begin(handle)


async def announce_return(play: Play) -> None:
    """Somebody wants to send goods back, and the message is in the inbox."""
    order = play.scenario.order()
    _put_in_inbox(play, None)
    handle = await play.client.start_workflow(
        ReturnWorkflow.run,
        ReturnInput(order, "RT-1"),
        id=f"{return_workflow_id('RT-1')}/{order.order_no}",
        task_queue=ORDERS_QUEUE,
        search_attributes=attributes_of(order),
        static_summary=f"Return RT-1 of {summary_of(order)}",
    )
    play.begin(handle)


def tell_return(kind: str, *, forged: bool = False) -> Act:
    """A decision about the return, or its goods, have come in."""

    async def act(play: Play) -> None:
        await play.quiet()
        signal = FactSignal(_NO_SUCH_ROW) if forged else _put_in_inbox(play, None)
        await play.handle.signal(RETURN_SIGNALS[kind], signal)

    return act


def adjust() -> Act:
    """A part of the order was refunded."""
    return _tell("order.adjusted", None)


def _tell(kind: str, fact: Fact) -> Act:
    async def act(play: Play) -> None:
        await play.quiet()
        await play.handle.signal(SIGNALS[kind], _put_in_inbox(play, fact))

    return act


def _put_in_inbox(play: Play, fact: Fact) -> FactSignal:
    number = play.next_number()
    play.shop.inbox[number] = fact
    return FactSignal(number)
