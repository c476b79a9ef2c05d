"""A story that a state machine tells: a few orders of the same goods, and everything one can ask of them over HTTP."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

import httpx
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from store import orders as order_rows
from store import refunding
from tests.factories.sales import PRICE, a_sale
from tests.faults.asking import Asking, Order, View
from tests.faults.bench_flows import ASKED, ASKED_BRIEFLY, BRIEFLY, IMPATIENT, PRESOLD_BRIEFLY, SEVERAL
from tests.faults.invariants import wrong_at_rest

MOST_ORDERS: Final = 3
UNIT_COST: Final = 6_000
ORDERS = st.integers(0, MOST_ORDERS - 1)
ENDED: Final = ("completed", "cancelled", "expired", "rejected")


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _presale(quantity: int, opens_in: float, closes_in: float, *, refundable: bool = False) -> View:
    window = {"balance_opens_at": _in(opens_in), "balance_closes_at": _in(closes_in)}
    terms = {"method": "alipay", "terms": "deposit_balance", "deposit_refundable": refundable}
    return {"type": "presale", "payment": terms | window | {"deposit_minor": quantity * PRICE * 3 // 10}}


def _of_store(store: str) -> Callable[[int], View]:
    return lambda _units: {"store": store}


KINDS: Final[dict[str, Callable[[int], View]]] = {
    "prepaid": lambda _: {},
    "impatient": lambda _: {"store": IMPATIENT},
    "asked": lambda _: {"store": ASKED},
    "asked briefly": lambda _: {"store": ASKED_BRIEFLY},
    "sample": lambda _: {"type": "sample", "payment": {"method": "none", "terms": "none"}},
    "on delivery": lambda _: {"payment": {"method": "cod", "terms": "cash_on_delivery"}},
    "on credit": lambda _: {"payment": {"method": "bank_transfer", "terms": "on_credit"}},
    "presale": lambda units: _presale(units, 0.2, 3_600),
    "presale, balance soon": lambda units: _presale(units, 0.3, 1.2),
    "presale, refundable": lambda units: _presale(units, 0.1, 0.8, refundable=True),
    "presale, deposit soon": lambda units: _presale(units, 600, 3_600) | {"store": PRESOLD_BRIEFLY},
    **{store: _of_store(store) for name in SEVERAL for store in (name, f"{name}{BRIEFLY}")},
}
"""What an order of so many units is told beside its line."""
# Most orders are prepaid.
OF_ALL_KINDS: Final = ["prepaid"] * 5 + sorted(KINDS.keys() - {"prepaid"})
# Of these, several people decide together.
OF_SEVERAL: Final = [store for name in SEVERAL for store in (name, f"{name}{BRIEFLY}")]
KIND = st.integers(0, 59)


def asked_people(approval: View) -> list[str]:
    """Whose word the approval waits for."""
    return sorted(one["person_id"] for one in approval["assignees"] if one["state"] == "asked")


class Story(Asking):
    """One story: up to three orders of the same goods. The rules are what channels, payers, carriers and people do."""

    drawn: ClassVar[Sequence[str]] = OF_ALL_KINDS

    @initialize(
        seed=st.integers(0, 2**32),
        share=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
        units=st.integers(0, 8),
        kind=KIND,
        far=st.sampled_from([0, 0, 0, 1, 2, 3, 4]),
        undelivered=st.sampled_from(["cancel", "resend"]),
    )
    def begin(self, seed: int, share: float, units: int, kind: int, far: int, undelivered: str) -> None:
        self.undelivered = undelivered
        note(f"faults: seed {seed}, share {share}")
        self.system.faults.chance, self.system.faults.share = random.Random(seed), share
        credit = {"credit_limit_minor": 4 * PRICE, "credit_currency": "CNY", "payment_days": 30}
        self.ask("PUT", f"/v1/customers/{self.customer}", credit, 200, 201)
        self.bring(max(units, 1))
        self.order_of(2, kind)
        # Much can only happen to what has come far.
        for _ in range(far):
            self.do(self.system.settle(self.order_nos))
            self.take_further(self.orders[0])

    def order_of(self, quantity: int, drawn: int) -> None:
        """Afterwards one more order has been placed."""
        kind = self.drawn[drawn % len(self.drawn)]
        said = {"customer": {"id": self.customer}} | KINDS[kind](quantity)
        body = a_sale(self.sku, quantity, **said)
        answer = self.ask("POST", "/v1/orders", body, 202)
        self.orders.append(Order(answer.json()["order_no"], body, body["payment"]["method"]))
        self.seen[f"placed {kind}"] += 1

    def bring(self, units: int) -> None:
        """Afterwards so many more units are there."""
        self.receipts, self.units_in = self.receipts + 1, self.units_in + units
        line = {"sku": self.sku, "quantity": units, "unit_cost_minor": UNIT_COST}
        receipt = {"receipt_id": f"R-{self.sku}-{self.receipts}", "warehouse": "main", "lines": [line]}
        self.ask("POST", "/v1/stock/receipts", receipt, 201)

    def report(self, order: Order, amount: int, number: str, *expected: int) -> None:
        """The provider says that this payment came."""
        method = "alipay" if order.method == "none" else order.method
        payment = {"payment_id": number, "method": method, "amount_minor": amount, "currency": "CNY"}
        self.ask("POST", f"/v1/orders/{order.order_no}/payments", payment, *expected)
        if expected == (202,):
            order.reported[number] = amount

    def scanned(self, order: Order, status: str) -> None:
        """The carrier says this of every parcel that it has agreed to fetch, and that is not out of the world."""
        for parcel in self.shown(order)["shipments"]:
            if parcel["status"] not in ("created", "voided", "given_up"):
                fact = {"event_id": status, "status": status, "occurred_at": "2026-11-22T11:00:00Z"}
                self.ask("POST", f"/v1/shipments/{parcel['shipment_no']}/events", fact, 202)

    def settled(self, order: Order, choice: str, **more: str) -> None:
        wish = {"choice": choice, "reason_code": "checked", "reason": "looked into it"} | more
        self.ask("POST", f"/v1/orders/{order.order_no}/exception", wish, 200, 202, 409, 503)

    def decided(self, approval: View, by: str, decision: str, *allowed: int) -> httpx.Response:
        word = {"decision": decision, "comment": "looked into it"}
        return self.ask("POST", f"/v1/approvals/{approval['approval_id']}/decision", word, *allowed, by=by)

    def check_rest(self) -> None:
        self.check(wrong_at_rest)

    def take_further(self, order: Order) -> bool:
        """Whether the order, or a return of it, is still open; if so, it gets what it lacks."""
        shown = self.shown(order)
        for approval in self.open_approvals(order):
            for person in asked_people(approval):
                self.decided(approval, person, "approve", 200, 202, 403, 409)
        for return_no in order.returns:
            self._finish_return(order, shown, return_no)
        if shown["lifecycle"] in ENDED:
            return any(one["closed_at"] is None for one in shown["returns"])
        waits_for = shown["waiting_for"] or ""
        due = self.do(self._due(order))
        if (waits_for.startswith("payment.") or "change_unpaid" in self._reasons(shown)) and due > 0:
            self.report(order, due, f"P-{len(order.reported) + 1}", 202)
        if self._reasons(shown) - {"change_unpaid"}:
            self._settle_all(order, shown)
        elif shown["shipments"]:
            self.scanned(order, "delivered")
        return True

    def _settle_all(self, order: Order, shown: View) -> None:
        """People settle what the order is held for, with goods that do not arrive as this story does it."""
        failed = {parcel["status"] for parcel in shown["shipments"]} & {"lost", "returned"}
        about = [hold for hold in shown["holds"] if hold["reason_code"] == "delivery_failed"]
        if failed and about and self.undelivered == "resend":
            self.settled(order, "resend", hold_id=about[0]["hold_id"])
            self.seen["resent"] += 1
            return
        self.settled(order, "cancel" if failed else "retry")
        for hold in [] if failed else shown["holds"]:
            self.settled(order, "retry", hold_id=hold["hold_id"])

    def _reasons(self, shown: View) -> set[str]:
        return {hold["reason_code"] for hold in shown["holds"]}

    def _finish_return(self, order: Order, shown: View, return_no: str) -> None:
        for found in shown["returns"]:
            if found["return_no"] == return_no and found["state"] == "approved":
                (line,) = found["lines"]
                self.taken_in(order, return_no, {"resellable": line["quantity"] - line["received"]}, last=True)

    async def _due(self, order: Order) -> int:
        """What is to be paid for the order besides what is on record."""
        async with self.system.database.sessions() as session:
            return await refunding.still_due(session, await order_rows.get(session, order.order_no))

    def taken_in(self, order: Order, return_no: str, found: dict[str, int], *, last: bool) -> None:
        """The warehouse says how returned units were found."""
        order.receipts += 1
        receipt = {
            "receipt_id": f"W-{order.receipts}",
            "warehouse": "main",
            "lines": [{"line_id": "1"} | found],
            "last": last,
        }
        # Until its workflow has opened it, nobody knows of a return that was asked for.
        answer = self.ask("POST", f"/v1/returns/{return_no}/receipt", receipt, 202, 404, 409)
        if answer.status_code == 202:
            self.seen[f"received {'+'.join(found)}"] += 1
