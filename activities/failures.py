"""How errors leave an activity: one stable code each, final or worth another try."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from traceback import format_tb
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError

from domain.errors import DomainError
from integrations.failure import PartyFailure

# What nobody has foreseen may pass: a crowd, a deployment. After fifteen seconds of it a person has to know.
HELPLESS_AFTER: Final = 5
# Full connections, lost connections, deadlocks, a server that shuts down: the database comes back by itself.
_AWAY: Final = (OperationalError, InterfaceError, PoolTimeout, OSError)

_log = structlog.get_logger(__name__)


class NotFoundInStore(DomainError):
    """A row that has to exist does not: retrying cannot help."""

    code = "not_found"


@contextmanager
def translated() -> Iterator[None]:
    """Business refusals leave as final failures under their own code; outside parties say themselves what is final.

    Whatever else happens stays retryable: for ever where the database is away, and otherwise until it has happened
    `HELPLESS_AFTER` times to a step that operators see; then it is final as `step_failed`, and the order is held. The
    message is a code or a kind of error alone: failure messages stay in histories, and details may quote people.
    """
    try:
        yield
    except FailureError:
        raise
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
    except _AWAY as away:
        raise ApplicationError(_kind(away), type="database_away") from None
    except Exception as unforeseen:  # noqa: BLE001 - it leaves under a code like any other
        _log.warning("step failed", error=_kind(unforeseen), stack="".join(format_tb(unforeseen.__traceback__)))
        raise ApplicationError(_kind(unforeseen), type="step_failed", non_retryable=_is_helpless()) from None


def _kind(error: Exception) -> str:
    """The name of the error's class, and of the driver's own where there is one."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return type(error).__name__ if cause is None else f"{type(error).__name__}: {type(cause).__name__}"


def _is_helpless() -> bool:
    if not activity.in_activity():
        return False
    info = activity.info()
    return not info.is_local and info.attempt >= HELPLESS_AFTER
