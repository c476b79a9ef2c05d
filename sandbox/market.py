"""The world around one order that is tried: activities under their real names, by the script and by themselves."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.advance import AdvanceActivities
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
from workflows.order.ahead import AT_ONCE, FULFILLING
from workflows.order.steps import FACTS, STEPS

Facts = Mapping[str, bool | int | str | list[str]]
Clock = Callable[[], Awaitable[datetime]]
Send = Callable[[ScriptedEvent], Awaitable[None]]
# Steps that succeed unless the script says otherwise, and what is true of the order then.
STEPS_COME_OUT: Mapping[str, dict[str, Any]] = {
    "check_order": {"lifecycle": "accepted"},
    "check_customs": {},
    "check_credit": {},
    "join_group": {},
    "forfeit_deposit": {},
    "take_back_parcels": {},
    "reserve_stock": {"fulfilment": "allocated"},
    "book_shipments": {"fulfilment": "shipping", "lifecycle": "fulfilling"},
    "recognise_revenue": {"revenue": "full", "revenue_due": False},
    "issue_invoice": {"invoice": "full"},
}
# What undoes them always succeeds.
UNDOING: Mapping[str, dict[str, Any]] = {
    "release_stock": {"fulfilment": "unallocated"},
    "cancel_shipments": {},
    "refund_payments": {"payment": "refunded", "money_in": False, "surplus_due": False},
    "reverse_revenue": {"revenue": "none"},
    "credit_invoices": {"invoice": "none"},
    "refund_surplus": {"surplus_due": False},
}
_APPLYING = ("acknowledge", "apply_payment", "apply_scan", "apply_arrival")
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
        steps = {name: self._step(name, changes) for name, changes in STEPS_COME_OUT.items()}
        facts = {name: self._apply(name) for name in _APPLYING}
        in_one_go = AdvanceActivities(
            {name: steps[STEPS[name].method.__name__] for name in AT_ONCE},
            {kind: facts[FACTS[kind].__name__] for kind in FULFILLING},
            self.open_wait,
            self.close_order,
        )
        return [
            *steps.values(),
            *(self._undo(name, changes) for name, changes in UNDOING.items()),
            *facts.values(),
            in_one_go.advance,
            self.decide_branch,
            self.open_wait,
            self.open_hold,
            self.resolve_holds,
            self.begin_cancel,
            self.withdraw_cancel,
            self.close_order,
            self.notify,
            self.apply_decision,
            *self._desk.activities(self._changed),
        ]

    def _changed(self, **changes: Any) -> StepResult:
        self.standing = dataclasses.replace(self.standing, version=self.standing.version + 1, **changes)
        return StepResult(self.standing)

    def _step(self, name: str, changes: Mapping[str, Any]) -> Callable[..., Any]:
        @activity.defn(name=name)
        async def step(asked: Step) -> StepResult:
            reason = self._story.failure_of(asked.node)
            if reason is None:
                return self._changed(**changes)
            held = tuple(dict.fromkeys((*self.standing.blocking_holds, reason)))
            return dataclasses.replace(self._changed(blocking_holds=held), held=reason)

        return step

    def _undo(self, name: str, changes: Mapping[str, Any]) -> Callable[..., Any]:
        @activity.defn(name=name)
        async def undo(_asked: Step) -> StepResult:
            return self._changed(**changes)

        return undo

    def _apply(self, name: str) -> Callable[..., Any]:
        @activity.defn(name=name)
        async def apply(fact: Fact) -> StepResult:
            event = self._arrived[fact.inbox_id].event
            return self._changed(came=(*self.standing.came, event), **_ARRIVALS.get(event, {}))

        return apply

    @activity.defn
    async def decide_branch(self, branch: BranchInput) -> BranchResult:
        known = {"payment.paid_in_full": self.standing.payment == "paid"}
        if self._desk.has_approved:
            # Whoever was asked about the credit has let the order pass.
            known["order.above_credit"] = False
        with translated():
            decision = decide(branch.branch, {**self._facts, **branch.facts, **known})
        return BranchResult(decision.label, decision.next)

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
    async def begin_cancel(self, _cancel: CancelInput) -> StepResult:
        return self._changed(cancelling=True, open_approvals=())

    @activity.defn
    async def withdraw_cancel(self, _cancel: CancelInput) -> StepResult:
        return self._changed(cancelling=False)

    @activity.defn
    async def close_order(self, close: CloseInput) -> StepResult:
        return self._changed(lifecycle=close.result, blocking_holds=(), open_approvals=())

    @activity.defn
    async def notify(self, _note: NotifyInput) -> StepResult:
        return self._changed()

    @activity.defn
    async def apply_decision(self, fact: Fact) -> StepResult:
        await self._desk.hear(self._arrived[fact.inbox_id])
        return dataclasses.replace(self._changed(open_approvals=self._desk.still_open), outcome="effective")


def is_payment(event: str) -> bool:
    """Whether the fact is about money."""
    return event in _PAYMENTS


def pause_until(event: ScriptedEvent, since: timedelta) -> timedelta:
    """How long until the scripted thing happens, seen from `since` after the order was placed."""
    return max((event.after or since) - since, timedelta(seconds=1))
