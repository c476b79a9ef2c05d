"""Everything a caller may do to an order: start it, tell it facts, cancel it, settle its holds."""

from datetime import timedelta
from typing import Any, cast

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateStage
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from workflows.follow_up import FollowUpWorkflow
from workflows.order.contract import (
    ORDERS_QUEUE,
    SIGNALS,
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
    follow_up_workflow_id,
    order_workflow_id,
)
from workflows.order.shown import attributes_of, summary_of
from workflows.order.workflow import OrderWorkflow
from workflows.refunding import RefundInput, RefundWorkflow

RPC_TIMEOUT = timedelta(seconds=5)

_Request = CancelRequest | ResolveRequest | HoldRequest | ChangeRequest | MoveRequest


class OrderHandle:
    """One order's workflow, as seen from outside. Errors of Temporal itself leave as RPCError."""

    def __init__(self, client: Client, order_no: str) -> None:
        self._client = client
        self.order_no = order_no

    async def start(self, order: OrderInput) -> None:
        """Afterwards the order's workflow runs, or has ended in some way but failure. Twice is once."""
        try:
            await self._client.start_workflow(
                OrderWorkflow.run,
                order,
                id=order_workflow_id(self.order_no),
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                search_attributes=attributes_of(order),
                static_summary=summary_of(order),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return

    async def tell(self, kind: str, signal: FactSignal, workflow_id: str | None = None) -> bool:
        """Afterwards the running workflow (the order's own, if no other is named) has the fact; False if none runs."""
        told = self._client.get_workflow_handle(workflow_id or order_workflow_id(self.order_no))
        try:
            await told.signal(SIGNALS[kind], signal, rpc_timeout=RPC_TIMEOUT)
        except RPCError as refused:
            if refused.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def follow_up(self, order: OrderInput, kind: str, signal: FactSignal) -> None:
        """Afterwards a follow-up of the ended order has the fact."""
        await self._client.start_workflow(
            FollowUpWorkflow.run,
            order,
            id=follow_up_workflow_id(self.order_no),
            task_queue=ORDERS_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=SIGNALS[kind],
            start_signal_args=[signal],
            search_attributes=attributes_of(order),
            static_summary=f"After the end of {summary_of(order)}",
            rpc_timeout=RPC_TIMEOUT,
        )

    async def refund(self, asked: RefundInput, workflow_id: str) -> None:
        """Afterwards the refund's workflow runs, or has ended, whatever the order does. Twice is once."""
        try:
            await self._client.start_workflow(
                RefundWorkflow.run,
                asked,
                id=workflow_id,
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                search_attributes=attributes_of(asked.order),
                static_summary=f"Refund of {summary_of(asked.order)}",
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return

    async def cancel(self, request: CancelRequest, wait: timedelta) -> CancelResult:
        """The order is undone. Raises WorkflowUpdateFailedError when it may not be, or an RPC time-out."""
        return cast("CancelResult", await self._ask(OrderWorkflow.cancel, request, wait))

    async def resolve(self, request: ResolveRequest, wait: timedelta) -> ResolveResult:
        """The hold is settled as chosen. Raises WorkflowUpdateFailedError when the lane does not offer the choice."""
        return cast("ResolveResult", await self._ask(OrderWorkflow.resolve_exception, request, wait))

    async def hold(self, request: HoldRequest, wait: timedelta) -> HoldResult:
        """The order will not be shipped. Raises WorkflowUpdateFailedError when it is too late for that."""
        return cast("HoldResult", await self._ask(OrderWorkflow.hold_order, request, wait))

    async def change(self, request: ChangeRequest, wait: timedelta) -> ChangeResult:
        """The order is another one. Raises WorkflowUpdateFailedError when it may not be, or an RPC time-out."""
        return cast("ChangeResult", await self._ask(OrderWorkflow.change_order, request, wait))

    async def move(self, request: MoveRequest, wait: timedelta) -> MoveResult:
        """The order goes on in another version. Raises WorkflowUpdateFailedError when it may not, or a time-out."""
        return cast("MoveResult", await self._ask(OrderWorkflow.move_order, request, wait))

    async def _ask(self, update: Any, request: _Request, wait: timedelta) -> Any:
        """The answer to an update, which is one and the same update for the same request."""
        asked = await self._workflow().start_update(
            update,
            request,
            id=request.request_id,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            rpc_timeout=RPC_TIMEOUT,
        )
        return await asked.result(rpc_timeout=wait)

    def _workflow(self) -> WorkflowHandle[OrderWorkflow, OrderResult]:
        return self._client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(self.order_no))
