"""The course of one order: where it is, what it knows, and the verbs by which nodes act."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.advance import WAIT
    from activities.orders import HoldInput, OrderActivities, ResolveInput, WaitInput, WaitResult
    from activities.step import Step, StepResult
    from domain.flow.definition import FlowDefinition, FlowSnapshot
    from domain.flow.moving import Place
    from domain.flow.nodes import ActionNode, WaitNode
    from domain.flow.vocabulary import HOLD_REASONS
    from domain.flow.words import said, title_of
    from domain.order import Standing, has_ended, has_happened

from workflows import options, search_attributes
from workflows.order.ahead import DoneAhead, Found
from workflows.order.contract import CancelRequest, FactText, OrderInput, ResolveRequest
from workflows.order.shown import Page, moment
from workflows.order.steps import CARRIER, STEPS, Call, Party
from workflows.order.trouble import StepFailed, Trouble, known_reason, raise_final

Payload = TypeVar("Payload")
Answer = TypeVar("Answer")


class Course:
    """State of a running order. Nodes read it and act through it; the workflow's handlers write into it."""

    def __init__(self, order: OrderInput) -> None:
        self.order = order
        self.flow: FlowDefinition = order.flow.flow
        self.at: str = self.flow.start
        self.visits: dict[str, int] = {}
        # Visits of a node that somebody, or goods that came in, asked for: they do not count against its limit.
        self.sent_back: dict[str, int] = {}
        # Visits of each node before the story began anew.
        self.visits_before: dict[str, int] = {}
        self.undo: list[str] = []
        # What the flow itself has said of the order, for conditions further on.
        self.said: dict[str, FactText] = {}
        # Where the branches of parallel nodes stand that are not finished, by node and number of the branch.
        self.branches: dict[str, dict[int, str]] = {}
        self.standing = Standing(payment_terms=str(order.facts.get("payment.terms", "prepaid")))
        self.trouble: Trouble | None = None
        self.resolution: ResolveRequest | None = None
        self.cancel: CancelRequest | None = None
        # What follows the flow; it is cancelled when the order is called off.
        self.story: asyncio.Task[str] | None = None
        # Set while the order is being changed, and then until its story has begun anew; not while it is being packed.
        self.changing = False
        self.begins_anew = False
        self.packing = False
        # Set while the order is being undone: from then on nobody may cancel or resolve anything.
        self.unwinding = False
        # Set while the order is being closed, and from then on.
        self.closing = False
        self.woken = False
        # Set while a person may settle a hold.
        self.held = False
        # Why facts could not be booked; they are tried again once somebody has settled that.
        self.unbooked: list[str] = []
        self.book_again = False
        # Facts that were heard and whose turn has not come or is not over.
        self.facts_under_way = 0
        # What people have said to approvals with effect: whoever waits for them looks again.
        self.words_heard = 0
        # What was done ahead of the story, and the event that the story waits for at its wait node.
        self.ahead = DoneAhead()
        self.awaiting = ""
        self._page = Page(order)

    @property
    def order_no(self) -> str:
        return self.order.order_no

    @property
    def visit(self) -> int:
        return self.visits[self.at]

    @property
    def ended_unseen(self) -> bool:
        """Whether the order was closed by something that its history has lost.

        Temporal gives up a workflow task, with the updates in it, when something comes in just as it would end the
        workflow. What the task had done in the database stays done.
        """
        return has_ended(self.standing.lifecycle) and not self.closing

    def only_waits(self) -> bool:
        """Whether the order stands at a wait, with nothing of it under way: its flow can be gone through anew up to
        here, because steps find what is done."""
        standing = self.standing
        # What goes on in the branches of a parallel node is not only waiting.
        stands_still = bool(self.awaiting) and not self.branches and not has_happened(self.awaiting, standing)
        at_rest = not standing.surplus_due and not standing.blocking_holds and not standing.quiet_holds
        called_off = self.cancel is not None or self.begins_anew or self.changing or standing.cancelling
        return stands_still and at_rest and not called_off

    def heed(self) -> None:
        """Raises CancelledError in a story that has been told to stop, and was not stopped by that.

        Whatever comes out in the moment in which it is cancelled comes out all the same, and swallows the cancellation.
        """
        task = asyncio.current_task()
        if task is not None and task is self.story and task.cancelling():
            raise asyncio.CancelledError

    def enter(self) -> None:
        """Afterwards this visit of the node is counted and told in the Web UI."""
        self.visits[self.at] = self.visits.get(self.at, 0) + 1
        self.ahead.entered(self.at, self.visit)
        self._page.stands_at(title := title_of(self.at, self.flow.nodes.get(self.at)))
        self.tell(title)

    def tell(self, what: str) -> None:
        """Afterwards the order's page in the Web UI says so; costs no event."""
        self._page.add(what)
        workflow.set_current_details(self._page.text(self.standing.lifecycle))

    def tell_wait(self, what: str, until: datetime | None = None) -> None:
        """Afterwards the page says first of all for what and for whom the order waits, and until when."""
        self._page.stands_at(what if until is None else f"{what}, until {moment(until)}")
        workflow.set_current_details(self._page.text(self.standing.lifecycle))

    def register_undo(self, compensation: str | None) -> None:
        """Afterwards undoing the order includes this; called before the step that it undoes."""
        if compensation is not None and compensation not in self.undo:
            self.undo.append(compensation)

    def register_every_undo(self) -> None:
        """Afterwards undoing the order includes all that there is; undoing what was not done is harmless."""
        for compensation in _ALL_COMPENSATIONS:
            self.register_undo(compensation)

    def saw(self, result: StepResult) -> StepResult:
        """Takes over how the order stands, unless something later is known already."""
        if result.standing.version >= self.standing.version:
            self.standing = result.standing
        if self.standing.cancelling and self.cancel is None:
            # An earlier run of this order had begun to undo it when Temporal lost it. What that run had done we cannot
            # know.
            self.cancel = CancelRequest("resumed", "orderflow")
            self.register_every_undo()
        return result

    async def perform(self, name: str) -> StepResult:
        """Runs the step that the vocabulary calls `name` for this visit. Raises StepFailed."""
        step = Step(self.order_no, self.at, self.visits.get(self.at, 1), has_ended(self.standing.lifecycle))
        call = STEPS[name]
        found = self.ahead.take(name, step.node, step.visit)
        if found is not None:
            return self.found(found)
        if name == _PACKING:
            return self.saw(await self._packed(step, call))
        if call.party is None:
            return self.saw(await self.local(call.method, step, said(name)))
        return self.saw(await self.external(call.method, step, call.party, said(name)))

    def found(self, found: Found) -> StepResult:
        """What came of a step that was done ahead. Raises StepFailed when it was refused."""
        if found.result is None:
            raise known_reason(found.refused)
        return self.saw(found.result)

    async def _packed(self, step: Step, call: Call) -> StepResult:
        """What is being changed is not packed, and what is being packed is not changed."""
        await self.unchanging()
        self.packing = True
        try:
            packed: StepResult = await self.external(call.method, step, CARRIER, said(_PACKING))
        finally:
            self.packing = False
        return packed

    async def unchanging(self) -> None:
        """Afterwards nobody is changing the order."""
        await workflow.wait_condition(lambda: not self.changing)
        self.heed()

    def start_over(self) -> None:
        """Afterwards the order is at the beginning of its flow, with nobody waited for: it is another one than it was.

        What was done is not done twice: steps look at what is there. Visits that this asks for are not counted.
        """
        for node, visits in self.visits.items():
            self.sent_back[node] = self.sent_back.get(node, 0) + bool(visits)
        self.visits_before = dict(self.visits)
        self.at = self.flow.start
        self.ahead.forget()
        self.trouble, self.resolution, self.held, self.woken = None, None, False, False
        self.changing, self.begins_anew = False, False
        self.said.clear()
        self.branches.clear()
        self.tell("changed: begins anew")
        self.show(search_attributes.HOLD.value_set([]), search_attributes.WAITING_FOR.value_unset())

    def move_to(self, flow: FlowSnapshot, place: Place) -> None:
        """Afterwards the order follows this flow, its branches from their places on; the rest is for its lane to do."""
        self.order, self.flow = replace(self.order, flow=flow), flow.flow
        self.branches = {place.node: dict(place.branches)} if place.branches else {}
        self.tell(f"moved to version {flow.flow.version}")

    async def local(self, method: Callable[[Any, Payload], Any], payload: Payload, summary: str) -> Any:
        """A database step: within the workflow task, and as an ordinary, visible activity when that takes too long."""
        try:
            answer = await workflow.execute_local_activity_method(
                method,
                payload,
                schedule_to_close_timeout=options.LOCAL_STEP_WITHIN,
                retry_policy=options.LOCAL_STEP_RETRY,
                summary=summary,
            )
        except FailureError as failed:
            raise_final(failed)
        else:
            self.heed()
            return answer
        self.heed()
        return await self._visible(method, payload, summary)

    async def insist(self, method: Callable[[Any, Payload], Any], payload: Payload, summary: str) -> StepResult:
        """A database step of the lane itself: no other lane stands behind it, so a no is asked again after a pause."""
        while True:
            try:
                return self.saw(await self.local(method, payload, summary))
            except StepFailed as failed:
                self.tell(f"{summary}: refused ({failed.reason}), next try in {options.LANE_PAUSE}")
                await workflow.sleep(options.LANE_PAUSE, summary=f"{summary}: refused, next try")

    async def _visible(self, method: Callable[[Any, Payload], Any], payload: Payload, summary: str) -> Any:
        self.tell(f"{summary}: the database is slow or away, still trying")
        try:
            return await workflow.execute_activity_method(
                method,
                payload,
                start_to_close_timeout=options.DATABASE_STEP,
                retry_policy=options.DATABASE_STEP_RETRY,
                summary=f"{summary} (database step repeated)",
            )
        except FailureError as failed:
            raise_final(failed)
            raise StepFailed("step_failed") from None

    async def external(
        self, method: Callable[[Any, Payload], Any], payload: Payload, party: Party, summary: str
    ) -> Any:
        """A step that calls an outside party, on that party's own queue. Raises StepFailed when it stays away."""
        try:
            answer = await workflow.execute_activity_method(
                method,
                payload,
                task_queue=party.task_queue,
                start_to_close_timeout=options.PARTY_CALL,
                schedule_to_close_timeout=options.REFUND_GIVES_UP if party.owes_money else options.PARTY_GIVES_UP,
                heartbeat_timeout=options.PARTY_SIGN_OF_LIFE,
                retry_policy=options.PARTY_CALL_RETRY,
                summary=summary,
            )
        except FailureError as failed:
            raise_final(failed)
            raise StepFailed(party.away) from None
        self.heed()
        return answer

    async def open_wait(self, node: WaitNode) -> datetime:
        """Afterwards the order says what it waits for; returns the deadline.

        Where the story began anew, a wait that it had come to before goes on as it was left.
        """
        found = self.ahead.take(WAIT, self.at, self.visit)
        if found is not None:
            opened = WaitResult(self.found(found), found.deadline or workflow.now())
        else:
            visit = self.visit - self.visits_before.get(self.at, 0)
            until = self._moment(node.timeout_at) if node.timeout_at else None
            wait = WaitInput(self.order_no, self.at, visit, node.event, node.timeout or timedelta(0), until)
            opened = await self.local(OrderActivities.open_wait, wait, f"Wait for: {said(node.event)}")
        self.saw(opened.result)
        self.show(
            search_attributes.WAITING_FOR.value_set(node.event), search_attributes.DEADLINE.value_set(opened.deadline)
        )
        deadline: datetime = opened.deadline
        self.tell_wait(f"Wait for: {said(node.event)}", deadline)
        return deadline

    def _moment(self, fact: str) -> datetime:
        return datetime.fromisoformat(str(self.order.facts[fact]))

    def until(self, fact: str) -> timedelta:
        """How long it is until the moment that a fact names; never negative."""
        return max(self._moment(fact) - workflow.now(), timedelta(0))

    def show(self, *updates: Any) -> None:
        """Afterwards operators find the order by its status and by these attributes; costs one event."""
        status = search_attributes.ORDER_STATUS.value_set(self.standing.lifecycle)
        workflow.upsert_search_attributes([status, *updates])

    def to_lane(self, on_error: str | None, trouble: Trouble) -> str:
        """Remembers what is wrong; returns the node that deals with it: the one given, or the lane shared by all."""
        self.trouble = trouble
        return on_error or LANE

    async def open_hold(
        self, trouble: Trouble, sla: timedelta | None = None, try_after: timedelta | None = None
    ) -> None:
        """Afterwards the order is held for this reason; the hold says when it is due and when it is tried again."""
        known, opened = HOLD_REASONS[trouble.reason], trouble.opened
        hold = HoldInput(
            self.order_no, trouble.node, trouble.reason, known.en, trouble.blocking, opened, sla, try_after
        )
        await self.insist(OrderActivities.open_hold, hold, f"Hold: {known.en}")

    async def settle(self, trouble: Trouble, resolution: str, by: str = "orderflow", inbox_id: int = 0) -> None:
        """Afterwards the holds of this trouble are settled, others are not; facts that they kept out are in line."""
        reasons = (trouble.reason, *(reason for reason in self.unbooked if reason != trouble.reason))
        settled = ResolveInput(self.order_no, resolution, by, inbox_id, reasons, trouble.node)
        await self.insist(OrderActivities.resolve_holds, settled, f"Settle the hold: {resolution}")
        self.book_again = bool(self.unbooked)

    def is_open(self, reason: str) -> bool:
        """Whether a hold of this reason is open."""
        return reason in self.standing.blocking_holds or reason in self.standing.quiet_holds

    def next_after(self, node_id: str) -> str | None:
        """Where the flow goes on when this node is skipped; None when it may not be."""
        node = self.flow.nodes.get(node_id)
        return node.next if isinstance(node, ActionNode) and node.skippable else None


_PACKING = "shipping.create"

# In the order of their steps: they are run in reverse.
_ALL_COMPENSATIONS = ("stock.release", "payment.refund", "shipping.cancel")

# The lane of nodes that name none of their own: retry or cancel, always.
LANE = "exception_lane"
