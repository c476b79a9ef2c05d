"""A shop without a database: activities under their real names that remember what was asked of them.

For tests of the workflow's own decisions. What the real activities do is tested on a real database.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.advance import AdvanceActivities
from activities.changing import ChangeAnswer, ChangeInput
from activities.failures import translated
from activities.lane import HoldOrderInput, HoldOrderResult
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
from activities.returning import ReturnConsent, ReturnFact, ReturnResult, ReturnStep
from activities.step import Fact, Step, StepResult
from domain.approval import ApprovalState
from domain.flow.decide import decide
from domain.order import Standing, has_ended
from sandbox.market import STEPS_COME_OUT, UNDOING
from tests.fakes.desk import Desk, Word

STEPS: Mapping[str, Mapping[str, Any]] = {**STEPS_COME_OUT, **UNDOING}
_PLAIN = (
    *("check_order", "forfeit_deposit", "take_back_parcels", "reserve_stock", "recognise_revenue", "issue_invoice"),
    *("release_stock", "refund_payments", "reverse_revenue", "credit_invoices"),
)
# Whatever held the order at these is settled once they come out.
_SETTLING = frozenset({"check_order", "take_back_parcels", "reserve_stock"})


@dataclass
class Payment:
    """A payment fact that lies in the shop's inbox: what the order's payment status is once it is applied."""

    status: str = "paid"
    hold: str | None = None
    deposit: bool = False
    # It has come twice, and goes back; or it came late and brought the order back.
    surplus: bool = False
    revives: bool = False


@dataclass
class Scan:
    """A carrier fact in the shop's inbox: the fulfilment status once it is applied."""

    status: str
    hold: str | None = None


@dataclass
class Shop:
    """State of the one order that the shop has, and the script of what goes wrong."""

    standing: Standing = field(default_factory=Standing)
    inbox: dict[int, Payment | Scan | Word | None] = field(default_factory=dict)
    # How many more times a step holds (by reason), fails finally (by code) or finds nobody (retryable error).
    holds: dict[str, list[str]] = field(default_factory=dict)
    fails: dict[str, list[str]] = field(default_factory=dict)
    away: Counter[str] = field(default_factory=Counter)
    collected: bool = False
    # What is decided about a refund that was asked for.
    decision: str = "granted"
    # How the one return stands; goods are due two weeks after it was opened.
    returned: str | None = "approved"
    # Whether it is an exchange: what of its goods has come by then is not lost when the rest does not.
    exchanged: bool = False
    # What a branch is decided on beside the facts that the order began with.
    known: Mapping[str, bool | int | str | list[str]] = field(default_factory=dict)
    # The order does not fit its customer's credit, unless people have let it pass.
    above_credit: bool = False
    # Of several parcels the carrier had one already, and another was voided before it said so.
    partly_voided: bool = False
    # What a decision about a hold settles, by the number of its row.
    decisions: dict[int, str] = field(default_factory=dict)
    # What a change makes of the order, or why it is refused; and whether its flow has to be gone through anew.
    change: Mapping[str, Any] | str = field(default_factory=dict)
    relevant: bool = True
    calls: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    # Of holds that were opened: what their lane allows. How long a step's hold has, and each further level.
    deadlines: dict[str, timedelta | None] = field(default_factory=dict)
    sla: timedelta | None = None
    patience: list[timedelta] = field(default_factory=list)
    # What was waited for, and at which visit.
    waits: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = Desk(self, self.calls)
        steps = {name: self._plain(name, STEPS[name]) for name in _PLAIN}
        self.advancing = AdvanceActivities(
            {
                "order.check": steps["check_order"],
                "stock.reserve": steps["reserve_stock"],
                "credit.check": self.check_credit,
                "revenue.recognise": steps["recognise_revenue"],
                "shipping.create": self.book_shipments,
                "invoice.issue": steps["issue_invoice"],
            },
            {"payment.settled": self.apply_payment, "parcel.scanned": self.apply_scan},
            self.open_wait,
            self.close_order,
        )
        self._steps = tuple(steps.values())

    def activities(self) -> Sequence[Callable[..., Any]]:
        return [
            self.advancing.advance,
            *self._steps,
            self.check_credit,
            self.decide_branch,
            self.open_wait,
            self.open_hold,
            self.resolve_holds,
            self.begin_cancel,
            self.withdraw_cancel,
            self.close_order,
            self.notify,
            self.acknowledge,
            self.hold_order,
            self.change_order,
            self.settle_hold,
            self.escalate_holds,
            self.apply_payment,
            self.refund_surplus,
            self.grant_refund,
            self.pay_refunds,
            self.credit_refunds,
            self.open_return,
            self.settle_return,
            self.receive_return,
            self.expire_return,
            self.book_shipments,
            self.cancel_shipments,
            self.apply_scan,
            self.apply_decision,
            *self.desk.activities(),
        ]

    def now(self, **changes: Any) -> StepResult:
        """How the order stands after these changes."""
        self.standing = dataclasses.replace(self.standing, version=self.standing.version + 1, **changes)
        return StepResult(self.standing)

    def _step(self, name: str, **changes: Any) -> StepResult:
        self.calls.append(name)
        if self.away[name]:
            self.away[name] -= 1
            raise RuntimeError("nobody there")
        if self.fails.get(name):
            code = self.fails[name].pop(0)
            raise ApplicationError(code, type=code, non_retryable=True)
        if self.holds.get(name):
            reason = self.holds[name].pop(0)
            if self.sla is not None:
                due = activity.info().current_attempt_scheduled_time + self.sla
                self.standing = dataclasses.replace(self.standing, escalates_at=due)
            kind = "quiet_holds" if name == "refund_surplus" else "blocking_holds"
            held = self.now(**{kind: (*getattr(self.standing, kind), reason)})
            return dataclasses.replace(held, held=reason)
        return self.now(**changes)

    def _plain(self, name: str, changes: Mapping[str, Any]) -> Callable[..., Any]:
        """A step that comes out as it does in the sandbox, unless something goes wrong."""
        settles: dict[str, Any] = {"blocking_holds": ()} if name in _SETTLING else {}

        @activity.defn(name=name)
        async def step(asked: Step) -> StepResult:
            return self._step(name, **settles, **changes)

        return step

    @activity.defn
    async def check_credit(self, step: Step) -> StepResult:
        granted = any(one.state is ApprovalState.APPROVED for one in self.desk.opened.values())
        self.known = {**self.known, "order.above_credit": self.above_credit and not granted}
        return self._step("check_credit", blocking_holds=())

    @activity.defn
    async def decide_branch(self, branch: BranchInput) -> BranchResult:
        self._step("decide_branch")
        with translated():
            decision = decide(branch.branch, {**branch.facts, **self.known})
        return BranchResult(decision.label, decision.next)

    @activity.defn
    async def open_wait(self, wait: WaitInput) -> WaitResult:
        self.waits.append((wait.event, wait.visit))
        opened = self._step(f"open_wait {wait.event}")
        return WaitResult(opened, wait.until or activity.info().current_attempt_scheduled_time + wait.keep)

    @activity.defn
    async def open_hold(self, hold: HoldInput) -> StepResult:
        self.deadlines[hold.reason_code] = hold.sla
        if hold.opened:
            return self.now()
        kind = "blocking_holds" if hold.blocking else "quiet_holds"
        held = tuple(dict.fromkeys((*getattr(self.standing, kind), hold.reason_code)))
        return self._step(f"open_hold {hold.reason_code}", **{kind: held})

    @activity.defn
    async def resolve_holds(self, resolve: ResolveInput) -> StepResult:
        settled = self._step("resolve_holds", escalates_at=None, **self._without(resolve.reasons))
        self.resolved.append(resolve.resolution)
        return settled

    @activity.defn
    async def begin_cancel(self, cancel: CancelInput) -> StepResult:
        self.calls.append("begin_cancel")
        if self.standing.handed_over or has_ended(self.standing.lifecycle):
            raise ApplicationError("order_not_cancellable", type="order_not_cancellable", non_retryable=True)
        self.desk.void_open()
        return self.now(cancelling=True, open_approvals=())

    @activity.defn
    async def withdraw_cancel(self, cancel: CancelInput) -> StepResult:
        self.calls.append("withdraw_cancel")
        return self.now(cancelling=False)

    @activity.defn
    async def close_order(self, close: CloseInput) -> StepResult:
        return self._step(f"close {close.result}", lifecycle=close.result, blocking_holds=())

    @activity.defn
    async def notify(self, note: NotifyInput) -> StepResult:
        self.notices.append(note.event)
        return self.now()

    @activity.defn
    async def acknowledge(self, fact: Fact) -> StepResult:
        return await self._applied("acknowledge", fact)

    @activity.defn
    async def hold_order(self, hold: HoldOrderInput) -> HoldOrderResult:
        if self.standing.fulfilment == "shipping":
            return HoldOrderResult(self._step("hold_order too late"))
        held = self._step("hold_order", blocking_holds=(*self.standing.blocking_holds, "manual"))
        return HoldOrderResult(held, "H-1")

    @activity.defn
    async def change_order(self, asked: ChangeInput) -> ChangeAnswer:
        if isinstance(self.change, str):
            return ChangeAnswer(self._step("change_order refused"), self.change)
        return ChangeAnswer(self._step("change_order", **self.change), relevant=self.relevant)

    @activity.defn
    async def settle_hold(self, fact: Fact) -> StepResult:
        settled = self.decisions.get(fact.inbox_id)
        if settled not in (*self.standing.blocking_holds, *self.standing.quiet_holds):
            return dataclasses.replace(self._step("settle_hold in vain"), outcome="superseded")
        return dataclasses.replace(self._step("settle_hold", **self._without((settled,))), outcome="effective")

    def _without(self, reasons: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The holds that are left."""
        open_holds = {"blocking_holds": self.standing.blocking_holds, "quiet_holds": self.standing.quiet_holds}
        return {kind: tuple(one for one in held if one not in reasons) for kind, held in open_holds.items()}

    @activity.defn
    async def escalate_holds(self, order_no: str) -> StepResult:
        """The next level is due as long after this one as `patience` says, as often as it says so."""
        due = self.standing.escalates_at
        following = due + self.patience.pop(0) if due is not None and self.patience else None
        return self._step("escalate_holds", escalates_at=following)

    @activity.defn
    async def apply_payment(self, fact: Fact) -> StepResult:
        return await self._applied("apply_payment", fact)

    @activity.defn
    async def refund_surplus(self, step: Step) -> StepResult:
        return self._step("refund_surplus", payment="paid", surplus_due=False, quiet_holds=())

    @activity.defn
    async def grant_refund(self, fact: Fact) -> StepResult:
        decided = await self._applied("grant_refund", fact)
        return dataclasses.replace(decided, outcome=self.decision) if decided.outcome == "applied" else decided

    @activity.defn
    async def pay_refunds(self, step: Step) -> StepResult:
        return self._step("pay_refunds", payment="refunded")

    @activity.defn
    async def credit_refunds(self, step: Step) -> StepResult:
        return self._step("credit_refunds", invoice="partial")

    @activity.defn
    async def book_shipments(self, step: Step) -> StepResult:
        if "manual" in self.standing.blocking_holds:
            return dataclasses.replace(self._step("book_shipments held"), held="manual")
        return self._step("book_shipments", fulfilment="shipping", lifecycle="fulfilling")

    @activity.defn
    async def cancel_shipments(self, step: Step) -> StepResult:
        voided = self._step("cancel_shipments")
        if self.partly_voided:
            return dataclasses.replace(voided, outcome="partly_voided")
        return dataclasses.replace(voided, outcome="too_late") if self.collected else voided

    @activity.defn
    async def apply_scan(self, fact: Fact) -> StepResult:
        return await self._applied("apply_scan", fact)

    @activity.defn
    async def apply_decision(self, fact: Fact) -> StepResult:
        return await self._applied("apply_decision", fact)

    @activity.defn
    async def open_return(self, step: ReturnStep) -> ReturnResult:
        return self._of_return(self._step("open_return"))

    @activity.defn
    async def settle_return(self, consent: ReturnConsent) -> ReturnResult:
        decided = self.desk.opened[consent.approval_id].state
        if decided in (ApprovalState.APPROVED, ApprovalState.REJECTED):
            self.returned = decided.value
        return self._of_return(self._step("settle_return"))

    @activity.defn
    async def receive_return(self, fact: ReturnFact) -> ReturnResult:
        done = await self._applied("receive_return", Fact(fact.order_no, fact.inbox_id))
        granted = done.outcome == "applied" and done.held is None and self.returned == "approved"
        if granted:
            self.returned = "closed"
        return self._of_return(done, granted=granted)

    @activity.defn
    async def expire_return(self, step: ReturnStep) -> ReturnResult:
        self.returned = "expired"
        return self._of_return(self._step("expire_return"), granted=self.exchanged)

    def _of_return(self, done: StepResult, *, granted: bool = False) -> ReturnResult:
        due = activity.info().current_attempt_scheduled_time + timedelta(days=14)
        of_it: dict[str, Any] = {"units": {"1": 1}, "worth_minor": 11_300}
        return ReturnResult(done.standing, done.held, done.outcome, self.returned, due, granted, **of_it)

    def _held(self, hold: str | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.standing.blocking_holds, *([hold] if hold else []))))

    async def _applied(self, name: str, fact: Fact) -> StepResult:
        if fact.inbox_id not in self.inbox:
            self.calls.append(f"{name} forged")
            return dataclasses.replace(self.now(), outcome="ignored")
        match self.inbox[fact.inbox_id]:
            case Payment() as payment:
                changes: dict[str, Any] = {"payment": payment.status, "money_in": True}
                changes |= {"deposit_paid": payment.deposit, "blocking_holds": self._held(payment.hold)}
                changes |= {"surplus_due": payment.surplus or self.standing.surplus_due}
                changes |= {"lifecycle": "accepted", "fulfilment": "allocated"} if payment.revives else {}
                return self._step(name, **changes)
            case Scan(status=status, hold=hold):
                holds = self._held(hold)
                due = status in ("delivered", "partially_delivered")
                return self._step(name, fulfilment=status, revenue_due=due, blocking_holds=holds)
            case Word() as word:
                outcome = await self.desk.hear(word)
                step = self._step(name, open_approvals=self.desk.still_open())
                return dataclasses.replace(step, outcome=outcome)
            case _:
                return self._step(name)
