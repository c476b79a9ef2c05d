"""What callers and histories may rely on: id and payloads of a return's workflow. Fields are only ever added."""

from dataclasses import dataclass

from workflows.order.contract import OrderInput


def return_workflow_id(return_no: str) -> str:
    """The id under which the return's workflow runs, and its first message in the inbox."""
    return f"return/{return_no}"


@dataclass(frozen=True)
class ReturnInput:
    """The order that goods come back of, as its workflow began with it, and the return.

    `time_scale`: its spans times this, as those of the order's flow are.
    """

    order: OrderInput
    return_no: str
    time_scale: float = 1.0


# How a fact of each inbox kind reaches the return's workflow.
RETURN_SIGNALS = {
    "approval.decided": "approval_decided",
    "return.received": "return_received",
}
