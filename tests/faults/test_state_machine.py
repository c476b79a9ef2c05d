"""Whatever is asked of orders in whatever sequence, while steps fail before and after their effect, last or happen
twice: at rest everything agrees, and once nothing fails any more every order comes to its end."""

import asyncio
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.conftest import Database
from tests.factories.sales import PRICE, a_sale
from tests.fakes.figures import tell
from tests.faults.bench import IMPATIENT, Bench, bench
from tests.faults.invariants import wrong_at_rest, wrong_at_the_end

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
EXAMPLES = int(os.environ.get("ORDERFLOW_FAULT_EXAMPLES", "5000" if FULL else "200"))
STEPS = 12
MOST_ORDERS = 3
ROUNDS_TO_THE_END = 40

WRONG_FOR_S = 15.0

T = TypeVar("T")
Wrong = dict[str, list[Any]]


@dataclass
class Order:
    """What the outside world knows of an order."""

    order_no: str
    body: dict[str, Any]
    total_minor: int
    reported: dict[str, int] = field(default_factory=dict)

    @property
    def due_minor(self) -> int:
        return self.total_minor - sum(self.reported.values())


class Commands(RuleBasedStateMachine):
    """One story: up to three orders of the same goods. The rules are what channels, payers, carriers and people do."""

    system: ClassVar[Bench]
    loop: ClassVar[asyncio.AbstractEventLoop]
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.sku = f"SKU-{uuid.uuid4().hex[:10]}"
        self.orders: list[Order] = []
        self.receipts = 0

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=120)

    def _ask(self, method: str, path: str, body: Any, *allowed: int) -> httpx.Response:
        answer = self._do(self.system.ask(method, path, json=body))
        assert answer.status_code in allowed, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    @initialize(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.1, 0.3, 0.5]), units=st.integers(0, 8))
    def begin(self, seed: int, share: float, units: int) -> None:
        note(f"faults: seed {seed}, share {share}")
        self.system.faults.chance, self.system.faults.share = random.Random(seed), share
        self.replenish(max(units, 1))
        self.place(2, impatient=False)

    @precondition(lambda self: len(self.orders) < MOST_ORDERS)
    @rule(quantity=st.integers(1, 3), impatient=st.integers(0, 9).map(lambda drawn: drawn == 9))
    def place(self, quantity: int, impatient: bool) -> None:
        body = a_sale(self.sku, quantity, store=IMPATIENT if impatient else None)
        answer = self._ask("POST", "/v1/orders", body, 202)
        self.orders.append(Order(answer.json()["order_no"], body, quantity * PRICE))

    def _one(self, at: int) -> Order:
        return self.orders[at % len(self.orders)]

    @precondition(lambda self: self.orders)
    @rule(at=st.integers(0, 2))
    def place_again(self, at: int) -> None:
        answer = self._ask("POST", "/v1/orders", self._one(at).body, 202)
        assert answer.json()["order_no"] == self._one(at).order_no

    @precondition(lambda self: self.orders)
    @rule(at=st.integers(0, 2), how=st.sampled_from(["all", "all", "all", "part", "over", "again", "otherwise"]))
    def pay(self, at: int, how: str) -> None:
        order = self._one(at)
        number, expected = f"P-{len(order.reported) + 1}", [202]
        amount = {"part": PRICE // 2, "over": max(order.due_minor, 0) + 500}.get(how, order.due_minor)
        if how in ("again", "otherwise"):
            if not order.reported:
                return
            number, amount = next(iter(order.reported.items()))
            if how == "otherwise":
                amount, expected = amount + 1, [422]
        if amount <= 0:
            return
        self._report(order, number, amount, *expected)
        if expected == [202]:
            order.reported[number] = amount

    def _report(self, order: Order, number: str, amount: int, *expected: int) -> None:
        payment = {"payment_id": number, "method": "alipay", "amount_minor": amount, "currency": "CNY"}
        self._ask("POST", f"/v1/orders/{order.order_no}/payments", payment, *expected)

    @precondition(lambda self: self.orders)
    @rule(at=st.integers(0, 2), status=st.sampled_from(["picked_up", "in_transit", "delivered"]))
    def scan(self, at: int, status: str) -> None:
        for shipment_no in self._parcels(self._one(at)):
            fact = {"event_id": status, "status": status, "occurred_at": "2026-11-22T11:00:00Z"}
            self._ask("POST", f"/v1/shipments/{shipment_no}/events", fact, 202)

    def _parcels(self, order: Order) -> list[str]:
        """Parcels that the carrier has agreed to fetch, and has not been told to leave."""
        shown = self._ask("GET", f"/v1/orders/{order.order_no}", None, 200).json()["shipments"]
        return [parcel["shipment_no"] for parcel in shown if parcel["status"] not in ("created", "voided")]

    @precondition(lambda self: self.orders)
    @rule(at=st.integers(0, 2))
    def cancel(self, at: int) -> None:
        self._ask(
            "POST", f"/v1/orders/{self._one(at).order_no}/cancel", {"reason": "changed their mind"}, 200, 202, 409, 503
        )

    @precondition(lambda self: self.orders)
    @rule(at=st.integers(0, 2), choice=st.sampled_from(["retry", "retry", "skip", "cancel"]))
    def resolve(self, at: int, choice: str) -> None:
        self._resolve(self._one(at), choice)

    def _resolve(self, order: Order, choice: str) -> None:
        wish = {"choice": choice, "reason_code": "checked", "reason": "looked into it"}
        self._ask("POST", f"/v1/orders/{order.order_no}/exception", wish, 200, 202, 409, 503)

    @rule(units=st.integers(1, 6))
    def replenish(self, units: int) -> None:
        self.receipts += 1
        line = {"sku": self.sku, "quantity": units, "unit_cost_minor": 6_000}
        receipt = {"receipt_id": f"R-{self.sku}-{self.receipts}", "warehouse": "main", "lines": [line]}
        self._ask("POST", "/v1/stock/receipts", receipt, 201)

    @rule(trouble=st.sampled_from(["carrier down", "carrier loses replies", "carrier refuses", "refunds fail", "none"]))
    def parties(self, trouble: str) -> None:
        carrier, provider = self.system.carrier, self.system.provider
        match trouble:
            case "carrier down":
                carrier.behaviour = changed(carrier.behaviour, down=True)
            case "carrier loses replies":
                carrier.behaviour = changed(carrier.behaviour, lost_reply_share=0.5)
            case "carrier refuses":
                carrier.behaviour = changed(carrier.behaviour, refused_cities=frozenset({"杭州市"}))
            case "refunds fail":
                provider.behaviour = changed(provider.behaviour, refused_methods=frozenset({"alipay"}))
            case _:
                share = self.system.faults.share
                self.system.heal()
                self.system.faults.share = share

    @precondition(lambda self: self.orders)
    @rule()
    def rest(self) -> None:
        assert self._wrong(wrong_at_rest) == {}

    def _wrong(self, look: Callable[[Bench, list[str]], Coroutine[Any, Any, Wrong]]) -> Wrong:
        """What is wrong and stays so: a timer may have run out, or money come back, while we looked."""
        order_nos = [order.order_no for order in self.orders]
        deadline = time.monotonic() + WRONG_FOR_S
        while True:
            self._do(self.system.settle(order_nos))
            wrong = self._do(look(self.system, order_nos))
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(0.1)

    def teardown(self) -> None:
        self.system.heal()
        if not self.orders:
            return
        self.rest()
        order_nos = [order.order_no for order in self.orders]
        self.replenish(MOST_ORDERS * 3)
        for _ in range(ROUNDS_TO_THE_END):
            open_orders = [order for order in self.orders if self._take_further(order)]
            self._do(self.system.settle(order_nos))
            if not open_orders:
                break
        self.seen["orders"] += len(self.orders)
        assert self._wrong(wrong_at_the_end) == {}

    def _take_further(self, order: Order) -> bool:
        """Whether the order is still open; if so, it gets what it lacks."""
        shown = self._ask("GET", f"/v1/orders/{order.order_no}", None, 200).json()
        if shown["lifecycle"] in ("completed", "cancelled", "expired"):
            self.seen[shown["lifecycle"]] += 1
            return False
        if shown["waiting_for"] == "payment.full" and order.due_minor > 0:
            self.pay(self.orders.index(order), "all")
        elif shown["holds"]:
            self._resolve(order, "retry")
        elif shown["waiting_for"] == "shipment.delivered":
            self.scan(self.orders.index(order), "delivered")
        return True


@pytest.mark.timeout(20_000 if FULL else 1_500)
async def test_orders_agree_with_themselves_and_end_whatever_is_asked_and_fails(
    database: Database, open_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=not FULL,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if FULL else (Phase.generate,),
    )
    folder = open_dir / "bench"
    folder.mkdir()
    began = time.monotonic()
    async with bench(database, folder) as system:
        Commands.system, Commands.loop = system, asyncio.get_running_loop()
        await asyncio.to_thread(run_state_machine_as_test, Commands, settings=profile)
    took = time.monotonic() - began
    happened = dict(system.faults.happened)
    tell(capsys, f"{EXAMPLES} stories in {took:.0f} s: {dict(Commands.seen)}; faults of activities: {happened}")
