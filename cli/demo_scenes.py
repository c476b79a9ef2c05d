"""What happens to each sample order between its placing and its end, done by those who would do it in a shop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.demo_desk import DemoFailed, Desk, Json, reasons, statuses, until
from cli.demo_orders import (
    BALANCE_MISSED,
    BALANCE_PAID,
    BIG,
    CANCELLED,
    COUPON,
    EXCHANGED,
    FOREIGN,
    HELD,
    PAID_LATE,
    PRICED_WRONG,
    PRODUCTS,
    SENT_BACK,
    TWO_PARCELS,
    Sample,
)


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

    @property
    def return_nos(self) -> list[str]:
        return [back["return_no"] for back in self.order["returns"] or []]

    def await_until(self, desk: Desk, fits: Callable[[Json], bool], told: str, otherwise: str) -> bool:
        """Whether it came to that, said as something that happened or as a problem."""
        self.order = desk.await_order(self.order_no, fits)
        came = fits(self.order)
        (self.happened if came else self.problems).append(told if came else otherwise)
        return came


# It costs more than what is exchanged for it.
_INSTEAD: Final = "SCARF-SILK"

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


def escalate_and_approve(desk: Desk, one: Played) -> None:
    """The general manager says nothing; the superior who is asked next approves, and finance reviews the postings."""
    asked = until(lambda: _approval(desk, one), lambda found: found.get("level") == 1)
    if asked.get("level") != 1:
        one.problems.append("nobody above the silent general manager was asked")
        return
    one.happened.append("the general manager let his time pass; his superior was asked")
    _approve(desk, "ceo", asked)
    one.happened.append("approved by the superior")
    pay(desk, one)
    review = until(lambda: _approval(desk, one), lambda found: found.get("node") == "review")
    if review.get("node") != "review":
        one.problems.append("finance was not asked to review what was posted")
        return
    _approve(desk, "finance", review)
    one.happened.append("delivered, posted, invoiced, then reviewed by finance")


def pay_deposit_and_balance(desk: Desk, one: Played) -> None:
    """The deposit locks the goods, and nothing ships before the balance."""
    if _lock_by_deposit(desk, one):
        balance = one.order["totals"]["total_minor"] - one.order["totals"]["paid_minor"]
        _pay(desk, one, "P2", balance)
        one.happened.append("balance paid")


def miss_balance(desk: Desk, one: Played) -> None:
    """The deposit locks the goods; the balance does not come in its window."""
    if _lock_by_deposit(desk, one):
        one.await_until(
            desk, lambda order: order["lifecycle"] == "expired", "the balance did not come", "it did not expire"
        )


def pay_deposit_after_expiry(desk: Desk, one: Played) -> None:
    """The deposit comes when the order has ended for want of it."""
    if one.await_until(
        desk, lambda order: order["lifecycle"] == "expired", "the deposit did not come in time", "it did not expire"
    ):
        _pay_deposit(desk, one)
        one.happened.append("the deposit came after all")


def send_back(desk: Desk, one: Played) -> None:
    """Delivered and complete; then the customer sends the goods back."""
    if not _bring_back(desk, one, {}):
        return
    left = until(lambda: _accounts(desk, one), _has_nothing_sold)
    if not _has_nothing_sold(left):
        one.problems.append("what came back still counts as sold")


def exchange(desk: Desk, one: Played) -> None:
    """Delivered and complete; then the customer wants something else, and pays what that costs more."""
    if not _bring_back(desk, one, {"kind": "exchange", "instead": [{"line_id": "1", "sku": _INSTEAD, "quantity": 1}]}):
        return
    if not one.await_until(
        desk,
        lambda order: [back["replacement_no"] for back in order["returns"]] != [None],
        "what came back pays for a replacement",
        "nothing was ordered instead of what came back",
    ):
        return
    other = Played(one.sample, desk.order(one.order["returns"][0]["replacement_no"]))
    _pay(desk, other, "P2", other.order["totals"]["total_minor"] - other.order["totals"]["paid_minor"])
    other.await_until(
        desk,
        lambda order: order["lifecycle"] == "completed",
        f"{other.order_no}: the rest was paid, delivered, revenue recognised",
        "the replacement was not completed",
    )
    one.happened += other.happened
    one.problems += other.problems


def _bring_back(desk: Desk, one: Played, wish: Json) -> bool:
    """Whether all of the order arrived, was announced to come back, and came into the warehouse."""
    pay(desk, one)
    if not one.await_until(
        desk, lambda order: order["lifecycle"] == "completed", "delivered, revenue recognised", "it was not completed"
    ):
        return False
    lines = [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in one.order["lines"]]
    announced = wish | {"return_id": "A1", "lines": [line | {"reason_code": "not_as_described"} for line in lines]}
    return_no = desk.ask("channel", "POST", f"/v1/orders/{one.order_no}/returns", announced)["return_no"]
    if not one.await_until(
        desk,
        lambda order: [back["state"] for back in order["returns"]] == ["approved"],
        f"return {return_no} approved by rule",
        "its return was not approved",
    ):
        return False
    found = [{"line_id": line["line_id"], "resellable": line["quantity"]} for line in lines]
    receipt = {"receipt_id": "W1", "warehouse": "main", "lines": found}
    desk.ask("warehouse", "POST", f"/v1/returns/{return_no}/receipt", receipt)
    one.happened.append("the goods came back and were inspected")
    return True


ACTS: Final[Mapping[str, Act]] = {
    TWO_PARCELS.name: pay,
    COUPON.name: pay,
    FOREIGN.name: pay,
    CANCELLED.name: pay_and_cancel,
    HELD.name: pay_and_restock,
    PRICED_WRONG.name: mend_price_and_retry,
    BIG.name: escalate_and_approve,
    BALANCE_PAID.name: pay_deposit_and_balance,
    BALANCE_MISSED.name: miss_balance,
    PAID_LATE.name: pay_deposit_after_expiry,
    SENT_BACK.name: send_back,
    EXCHANGED.name: exchange,
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


def _lock_by_deposit(desk: Desk, one: Played) -> bool:
    _pay_deposit(desk, one)
    return one.await_until(
        desk,
        lambda order: order["fulfilment"] == "allocated" and not order["shipments"],
        "the deposit locked the goods, and nothing shipped",
        "the deposit did not lock the goods",
    )


def _pay_deposit(desk: Desk, one: Played) -> None:
    if one.sample.presale is not None:
        _pay(desk, one, "P1", one.sample.presale.deposit_minor)


def _approval(desk: Desk, one: Played) -> Json:
    """What people are asked about the order at the moment."""
    found = desk.ask("admin", "GET", "/v1/approvals", None, order_no=one.order_no, state="open")["data"]
    return dict(found[-1]) if found else {}


def _approve(desk: Desk, role: str, asked: Json) -> None:
    desk.ask(role, "POST", asked["links"]["decision"], {"decision": "approve", "comment": "looked into it"})


def _has_nothing_sold(balances: Json) -> bool:
    sold = {account["role"]: account["balance_minor"] for account in balances["data"]}
    return (sold.get("revenue"), sold.get("output_vat"), sold.get("cost_of_sales")) == (0, 0, 0)


def _accounts(desk: Desk, one: Played) -> Json:
    return desk.balances(voucher_no=str(one.order["voucher_no"]))


def _reserved(desk: Desk, sample: Sample) -> int:
    levels = [desk.ask("warehouse", "GET", "/v1/stock", None, sku=sku)["data"] for sku in sample.lines]
    return sum(level["reserved"] for of_sku in levels for level in of_sku)
