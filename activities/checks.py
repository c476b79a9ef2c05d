"""Checks: whether all records of the same thing agree, asked one after the other and put on record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from temporalio import activity

from activities.failures import translated
from runtime.database import Sessions
from store import discrepancies
from store.checks.catalogue import CHECKS
from store.checks.finding import Check, Finding

DAILY = "daily"
Progress = Callable[[Check, Sequence[Finding]], None]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CheckInput:
    """Which run this is, what brought it about, and the one order to look at, if it is one."""

    run_id: str
    cause: str
    order_no: str | None = None


@dataclass(frozen=True)
class CheckResult:
    """How many findings each check has."""

    run_id: str
    found: dict[str, int]


class CheckActivities:
    """The checks of our own database, and `others`: those that need somebody else, such as Temporal."""

    def __init__(self, sessions: Sessions, others: Sequence[Check] = ()) -> None:
        self._sessions = sessions
        self._checks: tuple[Check, ...] = (*CHECKS, *others)

    @activity.defn
    async def run_checks(self, asked: CheckInput) -> CheckResult:
        """Effect: every check was asked; what it found is on record and alerted, what it no longer finds is fixed.
        Key: the run; a discrepancy is one row by its check and its key.
        Fails: never by a finding.
        """
        with translated():
            return await self.run(asked)

    async def run(self, asked: CheckInput, progress: Progress | None = None) -> CheckResult:
        """The same without Temporal around it; `progress` hears of each check once it is done."""
        found: dict[str, int] = {}
        for check in self._checks:
            if check.is_long and asked.cause == DAILY:
                continue
            # Apart from what is written down of it: a check may ask Temporal.
            async with self._sessions() as session:
                findings = await check.ask(session, asked.order_no)
            async with self._sessions() as session, session.begin():
                run = await discrepancies.begin(session, asked.run_id, asked.cause, asked.order_no)
                raised = await discrepancies.note(session, run, check, findings)
            for one in raised:
                _log.error("discrepancy", check=one.check_name, key=one.key, left=one.lhs, right=one.rhs)
            found[check.name] = len(findings)
            if progress is not None:
                progress(check, findings)
        async with self._sessions() as session, session.begin():
            discrepancies.finish(await discrepancies.begin(session, asked.run_id, asked.cause, asked.order_no))
        return CheckResult(asked.run_id, found)
