"""How errors leave an activity: one stable code each, final or worth another try."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from domain.errors import DomainError
from integrations.failure import PartyFailure


class NotFoundInStore(DomainError):
    """A row that has to exist does not: retrying cannot help."""

    code = "not_found"


@contextmanager
def translated() -> Iterator[None]:
    """Business refusals leave as final failures under their own code; outside parties say themselves what is final.

    Whatever else happens stays retryable. The message is the code alone: failure messages stay in histories, and
    details may quote people.
    """
    try:
        yield
    except DomainError as refused:
        raise ApplicationError(refused.code, type=refused.code, non_retryable=True) from None
    except PartyFailure as failed:
        pause = failed.retry_after_seconds
        raise ApplicationError(
            failed.code,
            type=failed.code,
            non_retryable=not failed.retryable,
            next_retry_delay=None if pause is None else timedelta(seconds=pause),
        ) from None
