"""Everything a caller may do to a return: start it, and tell it facts."""

from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from workflows.order.contract import ORDERS_QUEUE, FactSignal
from workflows.order.handle import RPC_TIMEOUT
from workflows.order.shown import attributes_of, summary_of
from workflows.returns.contract import RETURN_SIGNALS, ReturnInput, return_workflow_id
from workflows.returns.workflow import ReturnWorkflow


class ReturnHandle:
    """One return's workflow, as seen from outside. Errors of Temporal itself leave as RPCError."""

    def __init__(self, client: Client, return_no: str) -> None:
        self._client = client
        self.return_no = return_no

    async def tell(self, asked: ReturnInput, kind: str, signal: FactSignal) -> None:
        """Afterwards the return's workflow runs, or has found out that nothing is left to do, and has the fact.

        One that has ended begins again from what is on record, so no fact is lost; twice is once.
        """
        # One that runs has what it began with; only a signal brings it more.
        signalled: dict[str, Any] = {"id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING}
        if kind in RETURN_SIGNALS:
            signalled = {"start_signal": RETURN_SIGNALS[kind], "start_signal_args": [signal]}
        await self._client.start_workflow(
            ReturnWorkflow.run,
            asked,
            id=return_workflow_id(self.return_no),
            task_queue=ORDERS_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=attributes_of(asked.order),
            static_summary=f"Return {self.return_no} of {summary_of(asked.order)}",
            rpc_timeout=RPC_TIMEOUT,
            **signalled,
        )
