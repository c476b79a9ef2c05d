"""Plays the sample orders against a running API, as a shop, a warehouse, customer service and finance would.

Every promise of the demo is checked here against what the API says afterwards; nothing is assumed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from cli.demo_orders import CANCELLED, FOREIGN, HELD, PRODUCTS, SAMPLES, SECOND_WAREHOUSE, Sample

_PATIENCE_S: Final = 90.0
_LOOK_S: Final = 0.1
_ENDED: Final = frozenset({"completed", "cancelled", "rejected", "expired"})
_OUT_OF_STOCK: Final = "out_of_stock"

Json = dict[str, Any]
Say = Callable[[str], None]


class DemoFailed(Exception):
    """The demo cannot go on; the text says what was asked and what was answered."""


@dataclass(frozen=True)
class Desk:
    """The API as the people of a local stack reach it, each with a token of their own."""

    client: httpx.Client
    tokens: Mapping[str, str]

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
        return self.ask("admin", "GET", f"/v1/orders/{order_no}")

    def balances(self, **params: str) -> Json:
        return self.ask("finance", "GET", "/v1/ledger/balances", None, **params)


@dataclass
class Played:
    """One sample order, how it stands and what is wrong with that."""

    sample: Sample
    order: Json
    happened: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def order_no(self) -> str:
        return str(self.order["order_no"])

    @property
    def shipments(self) -> Sequence[Json]:
        return list(self.order["shipments"])

    @property
    def invoice_nos(self) -> list[str]:
        return [invoice["invoice_no"] for invoice in self.order["invoices"] or [] if invoice["invoice_no"]]


@dataclass
class Result:
    """All samples, the accounts that the cancelled order touched, and the trial balance."""

    played: list[Played]
    undone: Json
    trial: Json
    seconds: float

    @property
    def problems(self) -> list[str]:
        found = [f"{one.sample.name}: {problem}" for one in self.played for problem in one.problems]
        if self.trial["debit_minor"] != self.trial["credit_minor"] or not self.trial["data"]:
            found.append("the trial balance does not sum to zero")
        return found


def play(desk: Desk, say: Say) -> Result:
    """Runs every sample to its end or until patience runs out, and says how each came out."""
    started = time.monotonic()
    run = f"{datetime.now(UTC):%y%m%d-%H%M%S}"
    say("putting products, warehouses and stock")
    _stock_up(desk, run)
    say("placing and paying the orders")
    # First and alone: it has to be called off before the carrier comes for it.
    played = {CANCELLED.name: _place(desk, CANCELLED, run)}
    _cancel(desk, played[CANCELLED.name])
    for sample in SAMPLES:
        if sample is not CANCELLED:
            played[sample.name] = _place(desk, sample, run)
    say("waiting for stock, carrier, invoices and revenue")
    _restock(desk, played[HELD.name], run)
    for one in played.values():
        _follow(desk, one)
    voucher_no = str(played[CANCELLED.name].order["voucher_no"])
    undone = _until(lambda: desk.balances(voucher_no=voucher_no), _is_zero)
    if not _is_zero(undone):
        played[CANCELLED.name].problems.append("the order leaves balances in its accounts")
    if _reserved(desk, CANCELLED):
        played[CANCELLED.name].problems.append("its goods are still reserved")
    in_order = [played[sample.name] for sample in SAMPLES]
    return Result(in_order, undone, desk.balances(), time.monotonic() - started)


def _stock_up(desk: Desk, run: str) -> None:
    code, warehouse = SECOND_WAREHOUSE
    desk.ask("admin", "PUT", f"/v1/warehouses/{code}", dict(warehouse))
    for sku, product in PRODUCTS.items():
        price = {"price_minor": product.price_minor, "currency": "CNY", "tax_rate": "0.13"}
        desk.ask("admin", "PUT", f"/v1/products/{sku}", {"name": product.name, **price})
    for at in ("main", code):
        units = {sku: product.stock[at] for sku, product in PRODUCTS.items() if at in product.stock}
        _receive(desk, f"demo-{run}-{at}", at, units)


def _receive(desk: Desk, receipt_id: str, warehouse: str, units: Mapping[str, int]) -> None:
    lines = [{"sku": sku, "quantity": n, "unit_cost_minor": PRODUCTS[sku].cost_minor} for sku, n in units.items()]
    goods = {"receipt_id": receipt_id, "warehouse": warehouse, "lines": lines}
    desk.ask("warehouse", "POST", "/v1/stock/receipts", goods)


def _place(desk: Desk, sample: Sample, run: str) -> Played:
    external_id = f"DEMO-{run}-{SAMPLES.index(sample) + 1}"
    placed = desk.ask("channel", "POST", "/v1/orders", sample.body(external_id))
    order = desk.order(placed["order_no"])
    paid = {
        "payment_id": f"{external_id}-P1",
        "method": sample.method,
        "amount_minor": order["totals"]["total_minor"],
        "currency": sample.currency,
    }
    desk.ask("channel", "POST", f"/v1/orders/{order['order_no']}/payments", paid)
    return Played(sample, order)


def _cancel(desk: Desk, one: Played) -> None:
    one.order = _until(lambda: desk.order(one.order_no), lambda order: _statuses(order) == ["booked"])
    if _statuses(one.order) == ["booked"]:
        one.happened.append("parcel booked, payment received")
    reason = {"reason": "The customer no longer wants it", "reason_code": "customer_request"}
    try:
        desk.ask("service", "POST", f"/v1/orders/{one.order_no}/cancel", reason)
    except DemoFailed as refused:
        one.problems.append(str(refused))


def _restock(desk: Desk, one: Played, run: str) -> None:
    """Afterwards goods have come in for the order that was held for want of them."""
    one.order = _until(lambda: desk.order(one.order_no), lambda order: _OUT_OF_STOCK in _reasons(order))
    if _OUT_OF_STOCK in _reasons(one.order):
        one.happened.append("held: out of stock; 1 unit received")
    else:
        one.problems.append("it was not held although nothing was in stock")
    _receive(desk, f"demo-{run}-restock", "main", HELD.lines)


def _follow(desk: Desk, one: Played) -> None:
    """Afterwards the order is as promised, or `problems` says in what it is not."""
    one.order = _until(lambda: desk.order(one.order_no), lambda order: not _differences(one.sample, order))
    one.problems += _differences(one.sample, one.order)
    parcels = [f"{parcel['warehouse']} {parcel['tracking_no']} {parcel['status']}" for parcel in one.shipments]
    one.happened += [f"parcel from {parcel}" for parcel in parcels]
    if one.sample is FOREIGN and (fx := one.order["fx"]):
        one.happened.append(f"booked at {fx['rate']} {fx['functional_currency']}")


def _differences(sample: Sample, order: Json) -> list[str]:
    actual = {name: order.get(name) for name in sample.expected}
    actual["warehouses"] = sorted(parcel["warehouse"] for parcel in order["shipments"])
    actual["total_minor"] = order["totals"]["total_minor"]
    differing = [
        f"{name} is {actual[name]}, not {wanted}" for name, wanted in sample.expected.items() if actual[name] != wanted
    ]
    discount = sum(one["amount_minor"] for one in sample.discounts)
    if order["totals"]["seller_discount_minor"] != discount:
        differing.append("the coupon is not in the totals")
    if sample is FOREIGN and not (order["fx"] or {}).get("rate"):
        differing.append("there is no exchange rate")
    if differing and order["holds"]:
        differing.append(f"held: {', '.join(_reasons(order))}")
    return differing


def _statuses(order: Json) -> list[str]:
    return [parcel["status"] for parcel in order["shipments"]]


def _reasons(order: Json) -> list[str]:
    return [hold["reason_code"] for hold in order["holds"]]


def _reserved(desk: Desk, sample: Sample) -> int:
    levels = [desk.ask("warehouse", "GET", "/v1/stock", None, sku=sku)["data"] for sku in sample.lines]
    return sum(level["reserved"] for of_sku in levels for level in of_sku)


def _is_zero(balances: Json) -> bool:
    return bool(balances["data"]) and all(account["balance_minor"] == 0 for account in balances["data"])


def _until(look: Callable[[], Json], fits: Callable[[Json], bool]) -> Json:
    """What is seen once it fits, or at the end of patience. An order that has ended otherwise is not waited for."""
    deadline = time.monotonic() + _PATIENCE_S
    ended_at: float | None = None
    while True:
        seen = look()
        now = time.monotonic()
        if seen.get("lifecycle") in _ENDED and ended_at is None:
            ended_at = now
        # What follows an order's end (a refund that settles) needs a moment of its own.
        if fits(seen) or now > deadline or (ended_at is not None and now > ended_at + _PATIENCE_S / 3):
            return seen
        time.sleep(_LOOK_S)
