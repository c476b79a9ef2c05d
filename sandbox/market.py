"""The world around one order that is tried: activities under their real names, by the script and by themselves."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.failures import translated
from activities.orders import (
    BranchInput,
    BranchResult,
    CancelInput,
    CloseInput,
    HoldInput,
    NotifyInput,
    ResolveInput,
    WaitInput,
    WaitResult,
)
from activities.step import Fact, Step, StepResult
from domain.flow.decide import decide
from domain.flow.script import ScriptedEvent
from domain.order import Standing
from sandbox.desk import Desk
from sandbox.story import Story

Facts = Mapping[str, bool | int | str | list[str]]
Clock = Callable[[], Awaitable[datetime]]
Send = Callable[[ScriptedEvent], Awaitable[None]]
_PAYMENTS = frozenset({"payment.full", "payment.deposit", "payment.balance"})
_ARRIVALS: Mapping[str, dict[str, Any]] = {
    "payment.full": {"payment": "paid", "money_in": True},
    "payment.deposit": {"payment": "partial", "money_in": True, "deposit_paid": True},
    "payment.balance": {"payment": "paid", "money_in": True},
    "shipment.handed_over": {"fulfilment": "shipped"},
    "shipment.delivered": {"fulfilment": "delivered", "revenue_due": True},
}


class Market:
    """How the one order stands, and everything that its workflow may ask for. `stuck`: only a person could go on."""

    def __init__(self, facts: Facts, story: Story, send: Send, desk: Desk) -> None:
        self.standing = Standing(payment_terms=str(facts["payment.terms"]))
        self.stuck = False
        self._facts, self._story, self._send, self._desk = dict(facts), story, send, desk
        # What has come in, by the number of its row in an inbox that is not there.
        self._arrived: dict[int, ScriptedEvent] = {}

    def arrive(self, event: ScriptedEvent) -> int:
        """Afterwards the fact can be applied under this number."""
        number = len(self._arrived) + 1
        self._arrived[number] = event
        return number

    def activities(self) -> Sequence[Callable[..., Any]]:
        """One for every name that an order's workflow may call."""
        steps = [getattr(self, name) for name in dir(type(self)) if hasattr(getattr(type(self), name), _MARK)]
        return [*steps, *self._desk.activities(self._changed)]

    def _changed(self, **changes: Any) -> StepResult:
        self.standing = dataclasses.replace(self.standing, version=self.standing.version + 1, **changes)
        return StepResult(self.standing)

    def _done(self, step: Step, **changes: Any) -> StepResult:
        """The step succeeds, or is held for the reason that the script gives."""
        reason = self._story.failure_of(step.node)
        if reason is None:
            return self._changed(**changes)
        held = tuple(dict.fromkeys((*self.standing.blocking_holds, reason)))
        return dataclasses.replace(self._changed(blocking_holds=held), held=reason)

    @activity.defn
    async def check_order(self, step: Step) -> StepResult:
        return self._done(step, lifecycle="accepted")

    @activity.defn
    async def check_credit(self, step: Step) -> StepResult:
        if self._desk.has_approved:
            self._facts["order.above_credit"] = False
        return self._done(step)

    @activity.defn
    async def check_customs(self, step: Step) -> StepResult:
        return self._done(step)

    @activity.defn
    async def join_group(self, step: Step) -> StepResult:
        return self._done(step)

    @activity.defn
    async def forfeit_deposit(self, step: Step) -> StepResult:
        return self._done(step)

    @activity.defn
    async def take_back_parcels(self, step: Step) -> StepResult:
        return self._done(step)

    @activity.defn
    async def reserve_stock(self, step: Step) -> StepResult:
        return self._done(step, fulfilment="allocated")

    @activity.defn
    async def release_stock(self, step: Step) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(fulfilment="unallocated")

    @activity.defn
    async def book_shipments(self, step: Step) -> StepResult:
        return self._done(step, fulfilment="shipping", lifecycle="fulfilling")

    @activity.defn
    async def cancel_shipments(self, step: Step) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed()

    @activity.defn
    async def refund_payments(self, step: Step) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(payment="refunded", money_in=False, surplus_due=False)

    @activity.defn
    async def refund_surplus(self, step: Step) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(surplus_due=False)

    @activity.defn
    async def recognise_revenue(self, step: Step) -> StepResult:
        return self._done(step, revenue="full", revenue_due=False)

    @activity.defn
    async def reverse_revenue(self, step: Step) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(revenue="none")

    @activity.defn
    async def issue_invoice(self, step: Step) -> StepResult:
        return self._done(step, invoice="full")

    @activity.defn
    async def credit_invoices(self, step: Step) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(invoice="none")

    @activity.defn
    async def decide_branch(self, branch: BranchInput) -> BranchResult:
        with translated():
            decision = decide(branch.branch, {**self._facts, **branch.facts, **self._known()})
        return BranchResult(decision.label, decision.next)

    def _known(self) -> Facts:
        """What changes while an order runs; what people were asked about counts as granted once they agreed."""
        return {
            "payment.paid_in_full": self.standing.payment == "paid",
            "order.above_credit": bool(self._facts["order.above_credit"]),
        }

    @activity.defn
    async def open_wait(self, wait: WaitInput) -> WaitResult:
        coming = self._story.coming(wait.node, wait.event)
        if coming is not None:
            await self._send(coming)
        deadline = wait.until or await self._desk.clock() + wait.keep
        return WaitResult(self._changed(), deadline)

    @activity.defn
    async def open_hold(self, hold: HoldInput) -> StepResult:
        chosen = self._story.choice(hold.node)
        if hold.blocking and hold.try_after is None:
            self.stuck = chosen is None
        if chosen is not None:
            await self._send(chosen)
        held = tuple(dict.fromkeys((*self.standing.blocking_holds, hold.reason_code)))
        return self._changed(blocking_holds=held) if hold.blocking else self._changed()

    @activity.defn
    async def resolve_holds(self, resolve: ResolveInput) -> StepResult:
        left = tuple(one for one in self.standing.blocking_holds if one not in resolve.reasons)
        return self._changed(blocking_holds=left)

    @activity.defn
    async def begin_cancel(self, cancel: CancelInput) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(cancelling=True, open_approvals=())

    @activity.defn
    async def withdraw_cancel(self, cancel: CancelInput) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed(cancelling=False)

    @activity.defn
    async def close_order(self, close: CloseInput) -> StepResult:
        return self._changed(lifecycle=close.result, blocking_holds=(), open_approvals=())

    @activity.defn
    async def notify(self, note: NotifyInput) -> StepResult:  # noqa: ARG002 - asked as the real one is
        return self._changed()

    @activity.defn
    async def acknowledge(self, fact: Fact) -> StepResult:
        return self._apply(fact)

    @activity.defn
    async def apply_payment(self, fact: Fact) -> StepResult:
        return self._apply(fact)

    @activity.defn
    async def apply_scan(self, fact: Fact) -> StepResult:
        return self._apply(fact)

    @activity.defn
    async def apply_arrival(self, fact: Fact) -> StepResult:
        return self._apply(fact)

    @activity.defn
    async def apply_decision(self, fact: Fact) -> StepResult:
        self._desk.hear(self._arrived[fact.inbox_id])
        return self._changed(open_approvals=self._desk.still_open)

    def _apply(self, fact: Fact) -> StepResult:
        event = self._arrived[fact.inbox_id].event
        return self._changed(**_ARRIVALS.get(event, {}))


_MARK = "__temporal_activity_definition"


def is_payment(event: str) -> bool:
    """Whether the fact is about money."""
    return event in _PAYMENTS


def pause_until(event: ScriptedEvent, since: timedelta) -> timedelta:
    """How long until the scripted thing happens, seen from `since` after the order was placed."""
    return max((event.after or since) - since, timedelta(seconds=1))
