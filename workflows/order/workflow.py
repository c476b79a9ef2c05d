"""One order, from acceptance to its end."""

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.changing import ChangeActivities, ChangeAnswer, ChangeInput
    from activities.lane import HoldOrderInput, LaneActivities
    from activities.moving import MoveActivities, MoveInput
    from activities.orders import CancelInput, OrderActivities
    from domain.errors import DomainError
    from domain.flow.moving import Parked, place_in
    from domain.flow.nodes import Choice, ExceptionNode
    from domain.order import Standing, has_ended

from workflows import options
from workflows.order.contract import (
    CancelRequest,
    CancelResult,
    ChangeRequest,
    ChangeResult,
    FactSignal,
    HoldRequest,
    HoldResult,
    MoveRequest,
    MoveResult,
    OrderInput,
    OrderResult,
    ResolveRequest,
    ResolveResult,
)
from workflows.order.course import Course
from workflows.order.escalation import escalate_overdue
from workflows.order.giving_back import give_back_surplus
from workflows.order.inlet import HearsFacts, Inlet
from workflows.order.nodes import end, node_at, take_step
from workflows.order.nodes.compensate import repeat, undo_all
from workflows.order.nodes.end import Ended
from workflows.order.nodes.exception import objection
from workflows.order.trouble import StepFailed, Trouble

# What is owed back is tried again; nothing else can be done about it.
_UNDOING = ExceptionNode(kind="exception", choices=(Choice.RETRY,))


@workflow.defn
class OrderWorkflow(HearsFacts):
    """Takes an order through its flow and ends when the order has ended, its facts applied and its money settled.

    Signals bring facts and decisions (`payment_settled`, `parcel_scanned`, `stock_replenished`, `approval_decided`,
    `hold_decided`); updates ask for something (`cancel` before goods have left, `resolve_exception` and `move_order`
    while the order is held, `hold_order` and `change_order` before it ships); `state` tells how it stands, `visited`
    where it has been. An order that is broken off is undone in reverse: parcels voided, invoices credited, money
    refunded, stock released. One that was changed goes through its flow anew.
    """

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._course = Course(order)
        if order.begun:
            # Called off before it has come to where an earlier run was, it undoes what that run has done.
            self._course.register_every_undo()
        self._inlet = Inlet(self._course)
        for kind, inbox_id in order.heard:
            self._inlet.hear(kind, FactSignal(inbox_id))
        self._refusal: str | None = None
        self._maybe_voided = False

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        self._inlet.open(escalate_overdue, give_back_surplus)
        result = await self._live()
        if result is None:
            workflow.continue_as_new(replace(self._course.order, heard=self._inlet.heard(), begun=True))
        await self._settle_late_facts(result)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not has_ended(self._course.standing.lifecycle):
            # Paid in full after it had expired, and accepted again: the story begins anew, its steps find what is done.
            workflow.continue_as_new(replace(self._course.order, heard=(), begun=True))
        self._inlet.close()
        return OrderResult(order.order_no, result)

    async def _live(self) -> str | None:
        """Follows the story until it ends or is called off; a refused cancellation resumes it where it was.

        None: its history is long, and the order only waits; it goes on in a new run.
        """
        course = self._course
        while True:
            story = course.story = asyncio.create_task(self._fulfil())
            try:
                await self._ended_or_called_off(story)
            except asyncio.CancelledError:
                # Somebody pressed Cancel in Temporal: that means what it means at our door, never less.
                course.cancel = CancelRequest("temporal", "temporal")
            if story.done():
                return await story
            rests = self._inlet.rests()
            if rests:
                # Before anything else can happen: what comes from now on is for the run that follows.
                self._inlet.close()
            await self._stop(story)
            if rests:
                return None
            if course.ended_unseen:
                return course.standing.lifecycle
            if course.cancel is None:
                if not story.cancelled():
                    return await story
                course.start_over()
            elif await self._undone():
                return "cancelled"

    async def _ended_or_called_off(self, story: asyncio.Task[str]) -> None:
        course = self._course
        await self._inlet.wait(
            lambda: (
                story.done()
                or course.cancel is not None
                or (course.begins_anew and not course.packing)
                or course.ended_unseen
                or self._inlet.rests()
            )
        )

    async def _fulfil(self) -> str:
        """The story of any order: node after node of its flow, until one says that it has ended."""
        course = self._course
        while True:
            following = await take_step(course)
            if isinstance(following, Ended):
                return following.result
            course.at = following
            # The order has ended without this run: nothing more is begun, and the frame takes the story down.
            if course.ended_unseen:
                await asyncio.Event().wait()

    async def _stop(self, story: asyncio.Task[str]) -> None:
        self._course.ahead.forget()
        story.cancel()
        await workflow.wait([story])

    async def _undone(self) -> bool:
        """Undoes the order, shielded from further cancellation; False when the carrier has the goods already."""
        undoing = asyncio.create_task(self._undo())
        while not undoing.done():
            try:
                await workflow.wait_condition(undoing.done)
            except asyncio.CancelledError:
                continue
        return await undoing

    async def _undo(self) -> bool:
        course, request = self._course, self._course.cancel
        if request is None:
            return False
        asked = CancelInput(course.order_no, request.actor, request.inbox_id)
        try:
            course.saw(await course.local(OrderActivities.begin_cancel, asked, "Begin to undo the order"))
            # First of all the parcels: if the carrier has one already, nothing else may be undone.
            late = await self._void_parcels()
        except StepFailed as failed:
            return await self._refuse_cancel(asked, failed.reason)
        if late:
            return await self._refuse_cancel(asked, "order_not_cancellable")
        await undo_all(course)
        await repeat(course, lambda: end.close(course, "cancelled"))
        return True

    async def _void_parcels(self) -> bool:
        """Whether the carrier has a parcel already; otherwise all are voided and need no further undoing."""
        course = self._course
        if "shipping.cancel" not in course.undo:
            return False
        # Until the answer says otherwise a parcel may have been voided whose answer was lost.
        self._maybe_voided = True
        outcome = (await course.perform("shipping.cancel")).outcome
        if outcome in ("too_late", "partly_voided"):
            self._maybe_voided = outcome == "partly_voided"
            return True
        course.undo.remove("shipping.cancel")
        return False

    async def _ship_what_was_voided(self) -> None:
        """One parcel has left, another was voided before we knew: its units get a new one."""
        try:
            await self._course.perform("shipping.create")
        except StepFailed as failed:
            await self._course.open_hold(Trouble(self._course.at, failed.reason))

    async def _refuse_cancel(self, asked: CancelInput, reason: str) -> bool:
        course = self._course
        await course.insist(OrderActivities.withdraw_cancel, asked, "The cancellation is refused")
        if self._maybe_voided:
            self._maybe_voided = False
            await self._ship_what_was_voided()
        self._refusal, course.cancel = reason, None
        return False

    async def _settle_late_facts(self, result: str) -> None:
        """Afterwards nothing that came in at the last moment is left: money of an order broken off goes back."""
        course = self._course
        while True:
            await self._inlet.all_booked()
            if not has_ended(course.standing.lifecycle):
                return
            if result == "completed":
                await self._inlet.wait(lambda: not course.standing.surplus_due)
                return
            if not course.standing.money_in:
                return
            course.register_undo("payment.refund")
            await undo_all(course)
            if course.standing.money_in:
                await workflow.sleep(options.UNDO_PAUSE, summary="Money is left that could not go back: next try")

    @workflow.update(description="Undo the order")
    async def cancel(self, request: CancelRequest) -> CancelResult:
        course = self._course
        if course.cancel is None:
            self._refusal, course.cancel = None, request
        await workflow.wait_condition(lambda: self._refusal is not None or has_ended(course.standing.lifecycle))
        if self._refusal is not None:
            raise ApplicationError(self._refusal, type="order_not_cancellable", non_retryable=True)
        return CancelResult(course.order_no, course.standing.lifecycle)

    @cancel.validator
    def _may_cancel(self, request: CancelRequest) -> None:  # noqa: ARG002 - a validator takes what its update takes
        if self._too_late_to_cancel():
            raise ApplicationError("order_not_cancellable", type="order_not_cancellable", non_retryable=True)

    @workflow.update(description="Settle a hold")
    async def resolve_exception(self, request: ResolveRequest) -> ResolveResult:
        course = self._course
        node = course.trouble.node if course.trouble else course.at
        course.resolution = request
        await workflow.wait_condition(lambda: course.resolution is None)
        return ResolveResult(course.order_no, request.choice, node)

    @resolve_exception.validator
    def _may_resolve(self, request: ResolveRequest) -> None:
        if not self._course.held or self._course.resolution is not None:
            raise ApplicationError("no_open_hold", type="no_open_hold", non_retryable=True)
        objection = self._objection(request)
        if objection is not None:
            raise ApplicationError(objection, type=objection, non_retryable=True)

    @workflow.update(description="Keep the order from being shipped")
    async def hold_order(self, request: HoldRequest) -> HoldResult:
        course = self._course
        asked = HoldOrderInput(course.order_no, course.at, request.actor, request.inbox_id)
        answer = None if self._is_over() else await course.local(LaneActivities.hold_order, asked, "Hold: by a person")
        if answer is None or answer.hold_id is None:
            raise ApplicationError("too_late_to_hold", type="too_late_to_hold", non_retryable=True)
        course.saw(answer.result)
        return HoldResult(course.order_no, answer.hold_id)

    @hold_order.validator
    def _may_hold(self, request: HoldRequest) -> None:  # noqa: ARG002 - a validator takes what its update takes
        if self._is_over():
            raise ApplicationError("too_late_to_hold", type="too_late_to_hold", non_retryable=True)

    @workflow.update(description="Change lines or address")
    async def change_order(self, request: ChangeRequest) -> ChangeResult:
        course = self._course
        while course.changing:
            await course.unchanging()
        self._refuse_change()
        course.changing = True
        asked = ChangeInput(course.order_no, course.at, request.inbox_id, request.version)
        try:
            answer: ChangeAnswer = await course.local(ChangeActivities.change_order, asked, "Change the order")
            refusal = answer.refusal
        except StepFailed as failed:
            refusal = failed.reason
        if refusal is not None:
            course.changing = False
            raise ApplicationError(refusal, type=refusal, non_retryable=True)
        course.saw(answer.result)
        if answer.relevant:
            course.begins_anew = True
            await workflow.wait_condition(lambda: not course.begins_anew or self._is_over())
        course.changing = False
        return ChangeResult(course.order_no)

    @change_order.validator
    def _may_change(self, request: ChangeRequest) -> None:  # noqa: ARG002 - a validator takes what its update takes
        self._refuse_change()

    def _refuse_change(self) -> None:
        if self._is_over() or self._course.packing or self._course.cancel is not None:
            raise ApplicationError("order_not_changeable", type="order_not_changeable", non_retryable=True)

    @workflow.update(description="Go on in another version of the flow")
    async def move_order(self, request: MoveRequest) -> MoveResult:
        course, version = self._course, request.flow.flow.version
        parked = self._parked()
        place = place_in(request.flow.flow, parked, request.nodes, course.standing)
        tokens = dict(place.tokens)
        move = MoveInput(
            course.order_no, version, parked.node, place.node, request.actor, request.inbox_id, branches=tokens
        )
        course.saw(await course.local(MoveActivities.move_order, move, "Move to another version of the flow"))
        course.move_to(request.flow, place)
        course.resolution = ResolveRequest(request.request_id, request.actor, Choice.JUMP, request.inbox_id, place.node)
        await workflow.wait_condition(lambda: course.resolution is None)
        return MoveResult(course.order_no, version, place.node, tokens)

    @move_order.validator
    def _may_move(self, request: MoveRequest) -> None:
        course, parked = self._course, self._parked()
        # Branches stand still once their parallel node has led to a lane.
        stray = course.branches.keys() - {parked.node}
        if not course.held or course.resolution is not None or course.unwinding or stray:
            raise ApplicationError("order_not_parked", type="order_not_parked", non_retryable=True)
        try:
            place_in(request.flow.flow, parked, request.nodes, course.standing)
        except DomainError as refused:
            raise ApplicationError(refused.code, type=refused.code, non_retryable=True) from None

    def _parked(self) -> Parked:
        course = self._course
        node = course.trouble.node if course.trouble else course.at
        return Parked(course.flow, node, dict(course.branches.get(node, {})))

    @workflow.query(description="How the order stands")
    def state(self) -> Standing:
        return self._course.standing

    @workflow.query(description="The nodes that the order has come to, each once")
    def visited(self) -> list[str]:
        return list(self._course.visits)

    def _too_late_to_cancel(self) -> bool:
        return self._course.standing.handed_over or self._is_over()

    def _is_over(self) -> bool:
        return self._course.unwinding or has_ended(self._course.standing.lifecycle)

    def _objection(self, asked: ResolveRequest) -> str | None:
        node = _UNDOING if self._course.unwinding else node_at(self._course)
        return objection(self._course, node, asked) if isinstance(node, ExceptionNode) else "choice_not_offered"
