"""Whatever is asked of orders in whatever sequence, while steps fail before and after their effect, last or happen
twice, and workflows are lost: at rest everything agrees, and once nothing fails any more every order ends."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, reproduce_failure, settings
from hypothesis.stateful import run_state_machine_as_test

from store import orders as order_rows
from store import refunding
from tests.conftest import Database
from tests.fakes.figures import tell
from tests.faults.bench import bench
from tests.faults.commands import Buying, Deciding, GivingBack, Sending
from tests.faults.invariants import wrong_at_the_end
from tests.faults.story import ENDED, MOST_ORDERS, Order, View

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
EXAMPLES = int(os.environ.get("ORDERFLOW_FAULT_EXAMPLES", "5000" if FULL else "200"))
# What a failed story was told as, to tell it again.
STORY = os.environ.get("ORDERFLOW_FAULT_STORY")
STEPS = 12
ENDS_WITHIN_S = 90.0


class Commands(Buying, Sending, Deciding, GivingBack):
    """Everything that may happen, and after it the way to the end."""

    def teardown(self) -> None:
        self.system.heal()
        if not self.orders:
            return
        self.check_rest()
        self.bring(MOST_ORDERS * 5)
        deadline = time.monotonic() + ENDS_WITHIN_S
        while self._are_open() and time.monotonic() < deadline:
            self.do(self.system.settle(self.order_nos))
        self.seen["orders"] += len(self.orders)
        self.check(wrong_at_the_end)
        for order in self.orders:
            self.seen[self.shown(order)["lifecycle"]] += 1

    def _are_open(self) -> bool:
        """Whether any order is; each of them gets what it lacks."""
        return sum(self._take_further(order) for order in self.orders) > 0

    def _take_further(self, order: Order) -> bool:
        """Whether the order, or a return of it, is still open; if so, it gets what it lacks."""
        shown = self.shown(order)
        for approval in self.open_approvals(order):
            for person in self.asked_people(approval)[:1]:
                self.decided(approval, person, "approve", 202, 403, 409)
        for return_no in order.returns:
            self._finish_return(order, shown, return_no)
        if shown["lifecycle"] in ENDED:
            return any(one["closed_at"] is None for one in shown["returns"])
        waits_for = shown["waiting_for"] or ""
        due = self.do(self._due(order))
        if (waits_for.startswith("payment.") or "change_unpaid" in self._reasons(shown)) and due > 0:
            self.report(order, due, f"P-{len(order.reported) + 1}", 202)
        if self._reasons(shown) - {"change_unpaid"}:
            came_back = any(parcel["status"] == "returned" for parcel in shown["shipments"])
            self.settled(order, "cancel" if came_back else "retry")
            for hold in shown["holds"]:
                self.settled(order, "retry", hold_id=hold["hold_id"])
        if shown["shipments"]:
            self.scanned(order, "delivered")
        return True

    def _reasons(self, shown: View) -> set[str]:
        return {hold["reason_code"] for hold in shown["holds"]}

    def _finish_return(self, order: Order, shown: View, return_no: str) -> None:
        for found in shown["returns"]:
            if found["return_no"] == return_no and found["state"] == "approved":
                (line,) = found["lines"]
                self.take_in(order, return_no, {"resellable": line["quantity"] - line["received"]}, last=True)

    async def _due(self, order: Order) -> int:
        """What is to be paid for the order besides what is on record."""
        async with self.system.database.sessions() as session:
            return await refunding.still_due(session, await order_rows.get(session, order.order_no))


@pytest.mark.timeout(20_000 if FULL else 1_500)
async def test_orders_agree_with_themselves_and_end_whatever_is_asked_and_fails(
    database: Database, open_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=not FULL and STORY is None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if FULL else (Phase.generate,),
    )
    folder = open_dir / "bench"
    folder.mkdir()
    began = time.monotonic()
    stories = Commands if STORY is None else reproduce_failure(hypothesis.__version__, STORY.encode())(Commands)
    async with bench(database, folder) as system:
        Commands.system, Commands.loop, Commands.seen = system, asyncio.get_running_loop(), Counter()
        try:
            await asyncio.to_thread(run_state_machine_as_test, stories, settings=profile)
        finally:
            for told in system.told:
                tell(capsys, f"a story failed: {told}")
    took = time.monotonic() - began
    happened = dict(system.faults.happened)
    seen = dict(sorted(Commands.seen.items()))
    tell(capsys, f"{EXAMPLES} stories in {took:.0f} s: {seen}; faults of activities: {happened}")
