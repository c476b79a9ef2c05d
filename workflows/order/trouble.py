"""What stops an order: a step that failed for good, and the trouble that it is then in."""

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.flow.vocabulary import HOLD_REASONS


@dataclass(frozen=True)
class Trouble:
    """Why the order cannot proceed at a node. `opened`: the step itself has put the hold on record."""

    node: str
    reason: str
    opened: bool = False
    # Whether the order stands still for it: trouble of an errand beside the order does not stop the order.
    blocking: bool = True


class StepFailed(Exception):
    """A step has said a final no, or an outside party stayed away for too long; `reason` names the hold."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def raise_final(failed: FailureError) -> None:
    """Cancellation stays cancellation, a final no becomes StepFailed; anything else returns to the caller.

    A local activity's error comes wrapped in an ActivityError when it happens and bare when it is replayed.
    """
    if is_cancelled_exception(failed):
        raise asyncio.CancelledError from failed
    cause = failed.cause if isinstance(failed, ActivityError) else failed
    if isinstance(cause, ApplicationError) and cause.non_retryable:
        raise known_reason(cause.type) from None


def known_reason(code: str | None) -> StepFailed:
    """The refusal of a step with this code, under the reason by which the order is then held."""
    return StepFailed(code if code is not None and code in HOLD_REASONS else "step_failed")
