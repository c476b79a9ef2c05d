"""How errors leave an activity: one stable code each, final or worth another try."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from domain.errors import DomainError


class NotFoundInStore(DomainError):
    """A row that has to exist does not: retrying cannot help."""

    code = "not_found"


@contextmanager
def translated() -> Iterator[None]:
    """Business refusals leave as final failures under their own code; whatever else happens stays retryable.

    The message is the code alone: failure messages stay in histories, and details may quote people.
    """
    try:
        yield
    except DomainError as refused:
        raise ApplicationError(refused.code, type=refused.code, non_retryable=True) from None
