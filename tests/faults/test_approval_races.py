"""Approval, rejection, cancellation and the end of the time to answer, all at the same moment: one of them wins."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.factories.sales import a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.faults import audit
from tests.faults.conftest import Start

RACES = 200 if os.environ.get("ORDERFLOW_FULL_FAULTS") == "1" else 24
AT_ONCE = 12
# Half an hour is eight seconds. The general manager's superior is the chief executive here, so that level is the last.
LEVEL_S = 8
SCALE = LEVEL_S / 1800
SKU, UNITS = "SKU-1", 500
_HOW_THEY_ENDED = """
SELECT a.order_no, o.lifecycle, a.state,
       count(*) FILTER (WHERE t.kind = 'decided' AND t.outcome = 'effective'),
       count(*) FILTER (WHERE t.kind IN ('voided', 'timed_out')),
       count(*) FILTER (WHERE t.kind = 'decided'),
       (SELECT count(*) FROM inbox_messages m WHERE m.order_no = a.order_no AND m.kind = 'approval.decided')
FROM approvals a JOIN approval_trail t USING (approval_id) JOIN orders o USING (order_no)
WHERE a.node = 'gm' GROUP BY a.approval_id, o.lifecycle
"""


@pytest.mark.timeout(900)
async def test_of_all_that_comes_in_the_last_moment_of_an_approval_one_wins(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = start(time_scale=str(SCALE))
    caller, chance = Caller(stack), random.Random(13)
    await caller.receive(SKU, UNITS * RACES)
    said: Counter[int] = Counter()
    for _ in range(RACES // AT_ONCE):
        for statuses in await asyncio.gather(*(_race(caller, chance) for _ in range(AT_ONCE))):
            said.update(statuses)
    await caller.http.aclose()
    url = stack.facts["database_url"]

    # Words that came after the end are heard by what follows the order up.
    async def look() -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(audit.rows, url, _HOW_THEY_ENDED)

    ended = await eventually(look, lambda rows: all(row[5] == row[6] for row in rows) and len(rows) == RACES, 60)
    for _, lifecycle, state, effective, over, _, _ in ended:
        assert effective + over == 1, ended
        assert effective == (state in ("approved", "rejected"))
        assert lifecycle == "cancelled" or (lifecycle == "rejected" and state in ("rejected", "timed_out"))
    assert audit.rows(url, "SELECT order_no FROM shipments") == []
    assert audit.rows(url, "SELECT sum(reserved) FROM stock_levels") == [(0,)]
    won = Counter(row[2] for row in ended)
    tell(capsys, f"{RACES} approvals decided three ways and timed out at once: {dict(won)}; answers {dict(said)}")


async def _race(caller: Caller, chance: random.Random) -> list[int]:
    """What everybody heard who wanted something of one order in its last moment."""
    order_no = await caller.place(a_sale(SKU, UNITS))
    await asyncio.sleep(LEVEL_S)
    last = await eventually(lambda: _asked(caller, order_no), lambda found: found.get("level") == 1, 120)
    decide = last["links"]["decision"]
    rivals: list[Awaitable[Any]] = [
        caller.ask("POST", decide, "gm", json={"decision": "approve", "comment": "a good customer"}),
        caller.ask("POST", decide, "ceo", json={"decision": "reject", "comment": "too risky"}),
        caller.ask("POST", f"/v1/orders/{order_no}/cancel", "operations", json={"reason": "changed their mind"}),
    ]
    chance.shuffle(rivals)
    left = (datetime.fromisoformat(last["deadline_at"]) - datetime.now(UTC)).total_seconds()
    await asyncio.sleep(max(left - chance.uniform(-0.05, 0.25), 0))
    answers = await asyncio.gather(*rivals)
    await eventually(lambda: caller.order(order_no), lambda shown: shown["lifecycle"] in ("cancelled", "rejected"), 120)
    return [answer.status_code for answer in answers]


async def _asked(caller: Caller, order_no: str) -> View:
    found = (await caller.read("/v1/approvals", order_no=order_no, state="open"))["data"]
    return dict(found[-1]) if found else {}
