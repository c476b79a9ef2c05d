"""Asking orders for things over HTTP, and telling what was asked when something turns out to be wrong."""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar

import httpx
from hypothesis.control import current_build_context
from hypothesis.core import encode_failure
from hypothesis.stateful import RuleBasedStateMachine

from tests.faults.bench import EVERYBODY, Bench
from tests.faults.invariants import wrong_of_goods

WRONG_FOR_S: Final = 15.0

T = TypeVar("T")
View = dict[str, Any]
Wrong = dict[str, list[Any]]


@dataclass
class Order:
    """What the outside world knows of an order."""

    order_no: str
    body: View
    method: str
    reported: dict[str, int] = field(default_factory=dict)
    refunds: list[View] = field(default_factory=list)
    changes: list[View] = field(default_factory=list)
    returns: list[str] = field(default_factory=list)
    receipts: int = 0
    collected: int = 0


class Asking(RuleBasedStateMachine):
    """Some orders of the same goods, seen from outside."""

    system: ClassVar[Bench]
    loop: ClassVar[asyncio.AbstractEventLoop]
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.sku = f"SKU-{uuid.uuid4().hex[:10]}"
        self.orders: list[Order] = []
        self.receipts = 0
        self.units_in = 0
        # Costly, and once is enough for a story.
        self.lost = self.rested = False
        # What people do about goods that do not arrive.
        self.undelivered = "cancel"
        self.asked: list[str] = []
        self.failed = False

    @property
    def customer(self) -> str:
        return f"C-{self.sku}"

    @property
    def order_nos(self) -> list[str]:
        return [order.order_no for order in self.orders]

    def one(self, at: int) -> Order:
        return self.orders[at % len(self.orders)]

    def first(self, at: int, wanted: Callable[[Order], T | None]) -> tuple[Order, T] | None:
        """The first order from this one on of which there is what is wanted, and that."""
        for step in range(len(self.orders)):
            order = self.one(at + step)
            if found := wanted(order):
                return order, found
        return None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=180)
        except BaseException as failed:
            self.tell_of_failure(repr(failed))
            raise

    def ask(self, method: str, path: str, body: Any, *allowed: int, by: str = EVERYBODY) -> httpx.Response:
        answer = self.do(self.system.ask(method, path, by, json=body))
        self.require(answer.status_code in allowed, f"{method} {path} by {by}: {answer.status_code} {answer.text}")
        self.seen[f"{answer.status_code}"] += 1
        if method != "GET":
            said = json.dumps(body, ensure_ascii=False)[-240:]
            self.asked.append(f"{answer.status_code} {method} {path} by {by}: {said}")
        return answer

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.tell_of_failure(otherwise)
        assert holds, otherwise

    def tell_of_failure(self, failure: str) -> None:
        """What came in which moment may not come again when it is told once more: so all of it is kept the first time.

        ORDERFLOW_FAULT_STORY, set to what is told here, tells this very story.
        """
        if not self.failed:
            self.failed = True
            story = encode_failure(current_build_context().data.choices).decode()
            again = f"ORDERFLOW_FAULT_STORY={type(self).__name__}:{story}"
            self.system.told.append("\n".join([failure, *self.asked, again]))

    def shown(self, order: Order) -> View:
        view: View = self.ask("GET", f"/v1/orders/{order.order_no}", None, 200).json()
        return view

    def open_approvals(self, order: Order) -> list[View]:
        """What people are asked about the order now."""
        found: list[View] = self.ask("GET", f"/v1/approvals?order_no={order.order_no}", None, 200).json()["data"]
        return found

    def check(self, look: Callable[[Bench, list[str]], Coroutine[Any, Any, Wrong]]) -> None:
        """Nothing is wrong, or not for long: a timer may have run out, or money come back, while we looked."""
        deadline = time.monotonic() + WRONG_FOR_S
        while True:
            self.do(self.system.settle(self.order_nos))
            wrong = self.do(look(self.system, self.order_nos)) | self.do(
                wrong_of_goods(self.system, self.sku, self.units_in)
            )
            if not wrong or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        self.require(wrong == {}, str(wrong))
