"""How errors leave an activity: what is final, what is worth another try, and what is never said."""

import dataclasses

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.failures import HELPLESS_AFTER, NotFoundInStore, translated
from integrations.carrier.port import CarrierRefused, CarrierUnavailable

PERSONAL = "Key (phone)=(13800000000) already exists"
LOST = OperationalError("SELECT 1", {"phone": PERSONAL}, psycopg.OperationalError(PERSONAL))
CLASH = IntegrityError("INSERT", {"phone": PERSONAL}, psycopg.errors.UniqueViolation(PERSONAL))


def outcome(error: Exception, attempt: int = 1, *, local: bool = False) -> ApplicationError:
    """What leaves an activity whose work raises the error at this attempt."""

    def work() -> None:
        with translated():
            raise error

    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt, is_local=local)
    with pytest.raises(ApplicationError) as left:
        environment.run(work)
    return left.value


@pytest.mark.parametrize(
    ("error", "code", "final"),
    [
        (NotFoundInStore(), "not_found", True),
        (CarrierRefused("address_unserviceable", PERSONAL), "address_unserviceable", True),
        (CarrierUnavailable("carrier_unavailable", PERSONAL), "carrier_unavailable", False),
        (LOST, "database_away", False),
        (PoolTimeout(), "database_away", False),
        (CLASH, "step_failed", False),
        (KeyError(PERSONAL), "step_failed", False),
    ],
)
def test_every_error_has_a_code_and_quotes_nobody(error: Exception, code: str, final: bool) -> None:
    left = outcome(error)
    assert (left.type, left.non_retryable) == (code, final)
    assert PERSONAL not in str(left)
    assert (left.__cause__, left.__suppress_context__) == (None, True)


@pytest.mark.parametrize("error", [CLASH, KeyError(PERSONAL), ValueError(PERSONAL)])
def test_what_nobody_has_foreseen_is_final_once_it_has_happened_often_enough(error: Exception) -> None:
    outcomes = [outcome(error, attempt).non_retryable for attempt in range(1, HELPLESS_AFTER + 2)]
    assert outcomes == [False] * (HELPLESS_AFTER - 1) + [True, True]


@pytest.mark.parametrize("error", [LOST, PoolTimeout(), ConnectionResetError()])
def test_database_that_is_away_is_waited_for_however_long(error: Exception) -> None:
    assert outcome(error, attempt=10_000).non_retryable is False


def test_step_within_a_workflow_task_is_never_given_up_out_of_sight() -> None:
    assert outcome(CLASH, attempt=10_000, local=True).non_retryable is False


def test_failure_that_has_been_translated_leaves_as_it_is() -> None:
    known = ApplicationError("invoice_pending", type="invoice_pending")
    assert outcome(known) is known
