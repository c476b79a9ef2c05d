"""The API as the people of a local stack reach it, each with a token of their own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

PATIENCE_S: Final = 90.0
_LOOK_S: Final = 0.1
_ENDED: Final = frozenset({"completed", "cancelled", "rejected", "expired"})

Json = dict[str, Any]


class DemoFailed(Exception):
    """The demo cannot go on; the text says what was asked and what was answered."""


@dataclass(frozen=True)
class Desk:
    """One client for everybody; `run` tells the demos of one data folder apart."""

    client: httpx.Client
    tokens: Mapping[str, str]
    run: str

    def ask(self, role: str, method: str, path: str, body: Json | None = None, **params: str) -> Json:
        """The answer. Raises DemoFailed for every other one than a success."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        try:
            answer = self.client.request(method, path, json=body, params=params or None, headers=headers)
        except httpx.HTTPError as failed:
            raise DemoFailed(f"{method} {path}: {type(failed).__name__}") from None
        told: Json = answer.json()
        if answer.is_error:
            errors = "; ".join(f"{error['pointer']}: {error['detail']}" for error in told.get("errors") or [])
            raise DemoFailed(f"{method} {path}: {answer.status_code} {told.get('detail')} {errors}".rstrip())
        return told

    def order(self, order_no: str) -> Json:
        """One order with everything, as an administrator sees it."""
        return self.ask("admin", "GET", f"/v1/orders/{order_no}")

    def balances(self, **params: str) -> Json:
        """Account balances, of all orders or of one voucher."""
        return self.ask("finance", "GET", "/v1/ledger/balances", None, **params)

    def await_order(self, order_no: str, fits: Callable[[Json], bool]) -> Json:
        """The order once it fits, or as it is at the end of patience."""
        return until(lambda: self.order(order_no), fits)


def until(look: Callable[[], Json], fits: Callable[[Json], bool]) -> Json:
    """What is seen once it fits, or at the end of patience. An order that has ended otherwise is not waited for."""
    deadline = time.monotonic() + PATIENCE_S
    ended_at: float | None = None
    while True:
        seen = look()
        now = time.monotonic()
        if seen.get("lifecycle") in _ENDED and ended_at is None:
            ended_at = now
        # What follows an order's end (a refund that settles) needs a moment of its own.
        if fits(seen) or now > deadline or (ended_at is not None and now > ended_at + PATIENCE_S / 3):
            return seen
        time.sleep(_LOOK_S)


def statuses(order: Json) -> list[str]:
    """How the order's parcels stand."""
    return [parcel["status"] for parcel in order["shipments"]]


def reasons(order: Json) -> list[str]:
    """Why the order is held."""
    return [hold["reason_code"] for hold in order["holds"]]
