"""What happens to each sample order between its placing and its end, done by those who would do it in a shop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.demo_desk import DemoFailed, Desk, Json, reasons, statuses, until
from cli.demo_orders import CANCELLED, COUPON, FOREIGN, HELD, PRICED_WRONG, PRODUCTS, TWO_PARCELS, Sample


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

    def await_until(self, desk: Desk, fits: Callable[[Json], bool], told: str, otherwise: str) -> bool:
        """Whether it came to that, said as something that happened or as a problem."""
        self.order = desk.await_order(self.order_no, fits)
        came = fits(self.order)
        (self.happened if came else self.problems).append(told if came else otherwise)
        return came


Act = Callable[[Desk, Played], None]


def pay(desk: Desk, one: Played) -> None:
    """The whole sum comes in."""
    _pay(desk, one, "P1", one.order["totals"]["total_minor"])


def pay_and_cancel(desk: Desk, one: Played) -> None:
    """Paid, booked with the carrier, then called off by customer service."""
    pay(desk, one)
    one.await_until(
        desk, lambda order: statuses(order) == ["booked"], "parcel booked, payment received", "no parcel was booked"
    )
    reason = {"reason": "The customer no longer wants it", "reason_code": "customer_request"}
    try:
        desk.ask("service", "POST", f"/v1/orders/{one.order_no}/cancel", reason)
    except DemoFailed as refused:
        one.problems.append(str(refused))
    undone = until(lambda: _accounts(desk, one), is_zero)
    if not is_zero(undone):
        one.problems.append("the order leaves balances in its accounts")
    if _reserved(desk, one.sample):
        one.problems.append("its goods are still reserved")


def pay_and_restock(desk: Desk, one: Played) -> None:
    """Held because nothing is in stock; goods come in."""
    pay(desk, one)
    one.await_until(
        desk,
        lambda order: "out_of_stock" in reasons(order),
        "held: out of stock; 1 unit received",
        "it was not held although nothing was in stock",
    )
    receive(desk, f"demo-{desk.run}-restock", "main", one.sample.lines)


def mend_price_and_retry(desk: Desk, one: Played) -> None:
    """Held because its price is not the catalogue's; a person mends the catalogue and lets the order try again."""
    pay(desk, one)
    if one.await_until(
        desk,
        lambda order: "price_mismatch" in reasons(order),
        "held: price differs from the catalogue",
        "it was not held although its price is not the catalogue's",
    ):
        for sku in one.sample.lines:
            put_product(desk, sku, one.sample.prices[sku])
        chosen = {
            "choice": "retry",
            "reason_code": "catalogue_corrected",
            "reason": "The sale price was not yet put in",
        }
        desk.ask("sales", "POST", f"/v1/orders/{one.order_no}/exception", chosen)
        one.happened.append("sales corrected the catalogue and chose retry")


ACTS: Final[Mapping[str, Act]] = {
    TWO_PARCELS.name: pay,
    COUPON.name: pay,
    FOREIGN.name: pay,
    CANCELLED.name: pay_and_cancel,
    HELD.name: pay_and_restock,
    PRICED_WRONG.name: mend_price_and_retry,
}


def put_product(desk: Desk, sku: str, price_minor: int) -> None:
    """Afterwards the catalogue has the product at this price."""
    price = {"price_minor": price_minor, "currency": "CNY", "tax_rate": "0.13"}
    desk.ask("admin", "PUT", f"/v1/products/{sku}", {"name": PRODUCTS[sku].name, **price})


def receive(desk: Desk, receipt_id: str, warehouse: str, units: Mapping[str, int]) -> None:
    """Afterwards these units are in the warehouse."""
    lines = [{"sku": sku, "quantity": n, "unit_cost_minor": PRODUCTS[sku].cost_minor} for sku, n in units.items()]
    goods = {"receipt_id": receipt_id, "warehouse": warehouse, "lines": lines}
    desk.ask("warehouse", "POST", "/v1/stock/receipts", goods)


def is_zero(balances: Json) -> bool:
    """Whether something was booked and nothing of it is left."""
    return bool(balances["data"]) and all(account["balance_minor"] == 0 for account in balances["data"])


def _pay(desk: Desk, one: Played, payment: str, amount_minor: int) -> None:
    paid = {
        "payment_id": f"{one.order['external_id']}-{payment}",
        "method": one.sample.method,
        "amount_minor": amount_minor,
        "currency": one.sample.currency,
    }
    desk.ask("channel", "POST", f"/v1/orders/{one.order_no}/payments", paid)


def _accounts(desk: Desk, one: Played) -> Json:
    return desk.balances(voucher_no=str(one.order["voucher_no"]))


def _reserved(desk: Desk, sample: Sample) -> int:
    levels = [desk.ask("warehouse", "GET", "/v1/stock", None, sku=sku)["data"] for sku in sample.lines]
    return sum(level["reserved"] for of_sku in levels for level in of_sku)
