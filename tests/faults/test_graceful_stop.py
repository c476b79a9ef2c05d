"""API and worker are asked to stop in the middle of work: what they have begun they finish, and nothing is lost."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from tests.factories.sales import a_sale
from tests.fakes.figures import tell
from tests.fakes.middlebox import Gate, slow
from tests.fakes.patience import eventually
from tests.faults.laboratory import BACK_WITHIN_S, Lab

BUYERS = 6
GONE_WITHIN_S = 30.0
CALLS = 4


@dataclass
class Crowd:
    """Buyers who place one order after the other; `heard` is what became of their requests."""

    lab: Lab
    sku: str
    heard: Counter[str] = field(default_factory=Counter)
    placed: dict[str, str] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def buy(self) -> None:
        await asyncio.gather(*(self._one_after_the_other(keep=buyer % 2 == 0) for buyer in range(BUYERS)))

    async def _one_after_the_other(self, *, keep: bool) -> None:
        """With a connection that is kept open, or with a new one for each order."""
        limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
        headers = {"Authorization": f"Bearer {self.lab.caller.token('channel')}"}
        url = self.lab.stack.facts["api"]
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60) as client:
            while not self.stop.is_set():
                body = a_sale(self.sku, 1)
                while not await self._is_placed(client, body):
                    await self._back(client)

    async def _is_placed(self, client: httpx.AsyncClient, body: dict[str, str]) -> bool:
        try:
            answer = await client.post("/v1/orders", json=body)
        except httpx.ConnectError:
            self.heard["nobody listens"] += 1
            return False
        except httpx.TransportError as lost:
            self.heard[f"cut off: {type(lost).__name__}"] += 1
            return False
        code = answer.json().get("code", "")
        self.heard[f"{answer.status_code} {code}".strip()] += 1
        if answer.status_code == 202:
            self.placed[body["external_id"]] = answer.json()["order_no"]
        return answer.status_code == 202

    async def _back(self, client: httpx.AsyncClient) -> None:
        """As anybody who shares out requests does: no more of them until the process says that it is ready."""

        async def ready() -> bool:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, bool, BACK_WITHIN_S)


async def test_api_that_is_asked_to_stop_fails_no_request(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.caller.receive(sku, 10_000)
    crowd = Crowd(lab, sku)
    buying = asyncio.create_task(crowd.buy())
    await eventually(lambda: _count(crowd), lambda count: count >= 2 * BUYERS)
    took = await _stopped(lab, "api")
    before = len(crowd.placed)
    await eventually(lambda: _count(crowd), lambda count: count >= before + 2 * BUYERS)
    crowd.stop.set()
    await buying

    assert set(crowd.heard) <= {"202", "503 shutting_down", "nobody listens"}
    on_record = await lab.ask(
        f"SELECT external_id, order_no FROM orders JOIN order_lines USING (order_no) WHERE sku = '{sku}'"
    )
    assert dict(on_record) == crowd.placed
    assert len(on_record) == len(crowd.placed)
    assert took < GONE_WITHIN_S
    tell(capsys, f"API asked to stop under load: gone after {took:.1f} s; {BUYERS} buyers heard {dict(crowd.heard)}")


async def test_worker_that_is_asked_to_stop_finishes_and_leaves_the_rest_to_the_next(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.caller.receive(sku, 10_000)
    slowly, hanging = await lab.waiting(sku, CALLS), await lab.waiting(sku, CALLS)
    gates = [Gate() for _ in hanging]
    for order_no in slowly:
        lab.world.carrier.upset(order_no, slow(2))
    for order_no, gate in zip(hanging, gates, strict=True):
        lab.world.carrier.upset(order_no, gate.after)
    crowd = Crowd(lab, sku)
    buying = asyncio.create_task(crowd.buy())
    await asyncio.gather(*map(lab.pay, slowly + hanging))
    await asyncio.gather(*(gate.reached.wait() for gate in gates))
    took = await _stopped(lab, "worker")
    for gate in gates:
        gate.opened.set()
    crowd.stop.set()
    await buying

    assert set(crowd.heard) == {"202"}
    for order_no in slowly + hanging:
        await lab.caller.booked(order_no)
        assert len(lab.world.labels(order_no)) == 1
    # Their calls were finished before the worker went, not made again.
    assert [len(lab.world.carrier.about(order_no)) for order_no in slowly] == [1] * CALLS
    await lab.all(list(crowd.placed.values()), waiting_for="payment.full")
    assert took < GONE_WITHIN_S
    tell(
        capsys,
        f"worker asked to stop under load: gone after {took:.1f} s; {CALLS} calls finished, {CALLS} that hung left to "
        f"the next one; {len(crowd.placed)} orders came in meanwhile, none was lost",
    )


async def _count(crowd: Crowd) -> int:
    return len(crowd.placed)


async def _stopped(lab: Lab, part: str) -> float:
    """Seconds from the wish until the process was gone."""
    process = psutil.Process(await lab.pid(part))
    process.terminate()
    asked = time.monotonic()

    async def gone() -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await eventually(gone, bool, 2 * GONE_WITHIN_S)
    return time.monotonic() - asked
