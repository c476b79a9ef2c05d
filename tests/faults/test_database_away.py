"""PostgreSQL is frozen or dead: callers hear so at once, nothing is half-written, and then it goes on."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.faults import audit
from tests.faults.conftest import Start

ANSWER_WITHIN_S = 6.0


@contextlib.contextmanager
def _frozen(stack: RunningStack) -> Iterator[None]:
    """Every process of the server stands still, as behind a cut cable."""
    server = psutil.Process(stack.pids()["postgres"])
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


async def test_callers_hear_that_the_database_is_away_and_lose_nothing(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = start(sweep_interval_s="1")
    caller = Caller(stack)
    await caller.receive("SKU-1", 6)
    running = await caller.place(a_sale("SKU-1"))
    await caller.until(running, waiting_for="payment.full")
    before = _counts(stack)

    body = a_sale("SKU-1")
    with _frozen(stack):
        waits = [await _refused(caller, body) for _ in range(3)]
        reads = [await _refused(caller, None, f"/v1/orders/{running}") for _ in range(3)]
        began = time.monotonic()
        ready = await caller.ask("GET", "/readyz")
        not_ready = time.monotonic() - began
        assert ready.status_code == 503
        assert ready.json()["checks"]["database"] in ("timeout", "unreachable")
        assert (await caller.ask("GET", "/healthz")).status_code == 200
    assert _counts(stack) == before

    order_no = await _accepted(caller, body)
    os.kill(stack.pids()["postgres"], signal.SIGKILL)
    died = time.monotonic()
    other = await _accepted(caller, a_sale("SKU-1"))
    back = time.monotonic() - died

    for number in (running, order_no, other):
        await caller.pay(number, 2 * PRICE)
        await caller.deliver(number)
    await caller.http.aclose()
    await audit.check_finished(stack.facts["database_url"])
    assert audit.rows(stack.facts["database_url"], "SELECT count(*) FROM orders") == [(3,)]
    tell(
        capsys,
        f"database frozen: orders 503 after {max(waits):.1f} s at the most, reads after {max(reads):.1f} s,"
        f" /readyz after {not_ready:.1f} s; killed: next order taken after {back:.1f} s",
    )


async def _refused(caller: Caller, body: View | None, path: str = "/v1/orders") -> float:
    """Seconds until we heard that the database is away, by who places an order or reads one."""
    began = time.monotonic()
    answer = await caller.ask("POST" if body else "GET", path, "channel", json=body)
    waited = time.monotonic() - began
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert waited < ANSWER_WITHIN_S
    return waited


async def _accepted(caller: Caller, body: View) -> str:
    """The order's number; until the database is back, 503 and nothing else is answered."""

    async def ask() -> tuple[int, View]:
        answer = await caller.ask("POST", "/v1/orders", "channel", json=body)
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code, answer.json()

    _, placed = await eventually(ask, lambda answer: answer[0] == 202, 30)
    order_no: str = placed["order_no"]
    return order_no


def _counts(stack: RunningStack) -> list[tuple[int, int, int]]:
    query = """
        SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM inbox_messages), (SELECT count(*) FROM order_events)
        """
    return audit.rows(stack.facts["database_url"], query)
