"""Plays the sample orders against a running API, as a shop, a warehouse, customer service and finance would.

Every promise of the demo is checked here against what the API says afterwards; nothing is assumed.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cli.demo_desk import Desk, Json, reasons
from cli.demo_orders import CANCELLED, FOREIGN, PRODUCTS, SAMPLES, SECOND_WAREHOUSE, Sample
from cli.demo_scenes import ACTS, Played, put_product, receive

Say = Callable[[str], None]


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
    say("putting products, warehouses and stock")
    _stock_up(desk)
    say("placing the orders, and letting to each happen what its story says")
    # First and alone: it has to be called off before the carrier comes for it.
    cancelled = _play_one(desk, CANCELLED)
    others = [sample for sample in SAMPLES if sample is not CANCELLED]
    with ThreadPoolExecutor(len(others)) as side_by_side:
        played = list(side_by_side.map(lambda sample: _play_one(desk, sample), others))
    in_order = sorted([cancelled, *played], key=lambda one: SAMPLES.index(one.sample))
    undone = desk.balances(voucher_no=str(cancelled.order["voucher_no"]))
    return Result(in_order, undone, desk.balances(), time.monotonic() - started)


def _stock_up(desk: Desk) -> None:
    code, warehouse = SECOND_WAREHOUSE
    desk.ask("admin", "PUT", f"/v1/warehouses/{code}", dict(warehouse))
    for sku, product in PRODUCTS.items():
        put_product(desk, sku, product.price_minor)
    for at in ("main", code):
        units = {sku: product.stock[at] for sku, product in PRODUCTS.items() if at in product.stock}
        receive(desk, f"demo-{desk.run}-{at}", at, units)


def _play_one(desk: Desk, sample: Sample) -> Played:
    """The order as it came out; `problems` says in what that is not as promised."""
    external_id = f"DEMO-{desk.run}-{SAMPLES.index(sample) + 1}"
    placed = desk.ask(sample.placed_by, "POST", "/v1/orders", sample.body(external_id))
    one = Played(sample, desk.order(placed["order_no"]))
    ACTS[sample.name](desk, one)
    one.order = desk.await_order(one.order_no, lambda order: not _differences(sample, order))
    one.problems += _differences(sample, one.order)
    parcels = [f"{parcel['warehouse']} {parcel['tracking_no']} {parcel['status']}" for parcel in one.shipments]
    one.happened += [f"parcel from {parcel}" for parcel in parcels]
    if sample is FOREIGN and (fx := one.order["fx"]):
        one.happened.append(f"booked at {fx['rate']} {fx['functional_currency']}")
    return one


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
        differing.append(f"held: {', '.join(reasons(order))}")
    return differing
