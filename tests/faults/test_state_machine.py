"""Whatever is asked of orders in whatever sequence, while steps fail before and after their effect, last or happen
twice, and workflows are lost: at rest everything agrees, and once nothing fails any more every order ends."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, reproduce_failure, settings
from hypothesis import seed as from_seed
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import Database
from tests.fakes.figures import tell
from tests.faults.bench import bench
from tests.faults.commands import Buying, Deciding, GivingBack, Losing, Sending
from tests.faults.invariants import failed_checks, wrong_at_the_end
from tests.faults.story import MOST_ORDERS, OF_SEVERAL, Story

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
EXAMPLES = int(os.environ.get("ORDERFLOW_FAULT_EXAMPLES", "5000" if FULL else "200"))
# Each seed tells its part of the stories, so that several processes share them; of the last one several people decide
# together.
SEEDS = (1, 2, 3, 4, 5)
# What a failed story was told as, to tell it again.
STORY = os.environ.get("ORDERFLOW_FAULT_STORY")
STEPS = 10
ENDS_WITHIN_S = 90.0


class Ending(Story):
    """After everything that happens, the way to the end."""

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
        return sum(self.take_further(order) for order in self.orders) > 0


class Commands(Ending, Buying, Sending, Losing, Deciding, GivingBack):
    """Everything that may happen."""


class Signing(Ending, Losing, Deciding):
    """What people say to orders that several of them have to answer for, in every way in which they can."""

    drawn = OF_SEVERAL


TOLD: Final[dict[str, type[Ending]]] = {"Commands": Commands, "Signing": Signing}


@pytest.mark.timeout(20_000 if FULL else 1_500)
@pytest.mark.parametrize("seed", SEEDS if STORY is None else (0,))
async def test_orders_agree_with_themselves_and_end_whatever_is_asked_and_fails(
    database: Database, open_dir: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    profile = settings(
        max_examples=EXAMPLES // len(SEEDS),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if FULL else (Phase.generate,),
    )
    folder = open_dir / f"bench-{seed}"
    folder.mkdir()
    began = time.monotonic()
    name, _, story = ("Signing" if seed == SEEDS[-1] else "Commands", "", "") if STORY is None else STORY.partition(":")
    machine = TOLD[name]
    told = from_seed(seed) if STORY is None else reproduce_failure(hypothesis.__version__, story.encode())
    async with bench(database, folder) as system:
        machine.system, machine.loop, machine.seen = system, asyncio.get_running_loop(), Counter()
        try:
            await asyncio.to_thread(run_state_machine_as_test, told(machine), settings=profile)
        finally:
            for failure in system.told:
                tell(capsys, f"seed {seed}, a story failed: {failure}")
        assert await failed_checks(system) == {}
    took, seen = time.monotonic() - began, dict(sorted(machine.seen.items()))
    faults = dict(system.faults.happened)
    tell(capsys, f"seed {seed}: {profile.max_examples} stories in {took:.0f} s: {seen}; faults of activities: {faults}")
