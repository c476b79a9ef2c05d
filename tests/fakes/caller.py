"""Whoever talks to Orderflow over HTTP: shop, till, warehouse and carrier in one, watching by HTTP alone."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack

View = dict[str, Any]

PATIENCE_S = 60.0
_ASKED_AGAIN = 5
_receipts = itertools.count(1)
_scans = itertools.count(1)


class Caller:
    """One running system, called by roles. Every verb asserts the answer that a caller may rely on."""

    def __init__(self, stack: RunningStack, timeout: float = 30.0) -> None:
        self._tokens: Mapping[str, str] = stack.facts["tokens"]
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        self.http = httpx.AsyncClient(base_url=stack.facts["api"], timeout=timeout, limits=limits)

    def token(self, role: str) -> str:
        return self._tokens[role]

    async def ask(self, method: str, path: str, role: str = "admin", **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(role)}"} | request.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **request)

    async def read(self, path: str, role: str = "admin", **params: str) -> View:
        answer = await self.ask("GET", path, role, params=params)
        assert answer.status_code == 200, answer.text
        view: View = answer.json()
        return view

    async def place(self, body: View, role: str = "channel") -> str:
        """The number of the order, which is committed."""
        answer = await self.ask("POST", "/v1/orders", role, json=body)
        assert answer.status_code == 202, answer.text
        order_no: str = answer.json()["order_no"]
        assert answer.headers["location"] == f"/v1/orders/{order_no}"
        return order_no

    async def pay(self, order_no: str, amount_minor: int, payment_id: str = "P-1", **changes: Any) -> httpx.Response:
        """The payment is on record: alipay, in CNY, unless `changes` say otherwise."""
        payment = {"payment_id": payment_id, "method": "alipay", "amount_minor": amount_minor, "currency": "CNY"}
        answer = await self.ask("POST", f"/v1/orders/{order_no}/payments", "finance", json=payment | changes)
        assert answer.status_code == 202, answer.text
        return answer

    async def receive(self, sku: str, quantity: int, unit_cost_minor: int = 6_000, warehouse: str = "main") -> None:
        """So many units have come in, 60.00 each."""
        line = {"sku": sku, "quantity": quantity, "unit_cost_minor": unit_cost_minor}
        receipt = {"receipt_id": f"R-{sku}-{next(_receipts)}", "warehouse": warehouse, "lines": [line]}
        answer = await self.ask("POST", "/v1/stock/receipts", "warehouse", json=receipt)
        assert answer.status_code == 201, answer.text

    async def scan(self, shipment_no: str, status: str) -> None:
        """The carrier has reported this of the parcel, as of now: how long ago that was says what may come back."""
        occurred_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        fact = {"event_id": f"E-{next(_scans)}", "status": status, "occurred_at": occurred_at}
        answer = await self.ask("POST", f"/v1/shipments/{shipment_no}/events", "warehouse", json=fact)
        assert answer.status_code == 202, answer.text

    async def ask_to_cancel(self, order_no: str, **params: str) -> httpx.Response:
        wish = {"reason": "changed their mind"}
        return await self.ask("POST", f"/v1/orders/{order_no}/cancel", "service", json=wish, params=params)

    async def cancel(self, order_no: str, **params: str) -> httpx.Response:
        """The answer; where the order could not be reached, that to asking again as the answer says one may."""
        for _again in range(_ASKED_AGAIN):
            answer = await self.ask_to_cancel(order_no, **params)
            if answer.status_code != 503:
                break
        return answer

    async def resolve(self, order_no: str, choice: str = "retry", **more: str) -> httpx.Response:
        wish = {"choice": choice, "reason_code": "checked", "reason": "looked into it"} | more
        return await self.ask("POST", f"/v1/orders/{order_no}/exception", "admin", json=wish)

    async def decide(self, order_no: str, role: str, decision: str = "approve") -> View:
        """What the order asks whoever has this role is found in their list, and decided with effect."""

        async def asked() -> list[View]:
            mine = await self.read("/v1/approvals", role, assignee="me", state="open", order_no=order_no)
            return list(mine["data"])

        (approval,) = await eventually(asked, bool, PATIENCE_S)
        word = {"decision": decision, "comment": "looked into it"}
        path, patience = f"/v1/approvals/{approval['approval_id']}/decision", {"Prefer": "wait=10"}
        answer = await self.ask("POST", path, role, json=word, headers=patience)
        assert (answer.status_code, answer.json()["state"]) == (200, "effective"), answer.text
        return approval

    async def order(self, order_no: str) -> View:
        return await self.read(f"/v1/orders/{order_no}")

    async def until(self, order_no: str, within_s: float = PATIENCE_S, **wanted: Any) -> View:
        """The order once all its fields are as wanted; `held` stands for the reasons of its open holds."""

        async def look() -> View:
            order = await self.order(order_no)
            return order | {"held": sorted(hold["reason_code"] for hold in order["holds"])}

        return await eventually(look, lambda order: {name: order[name] for name in wanted} == wanted, within_s)

    async def booked(self, order_no: str, parcels: int = 1) -> View:
        """The order once all its parcels are with nobody yet but known to the carrier."""

        def holds(order: View) -> bool:
            return [parcel["status"] for parcel in order["shipments"]] == ["booked"] * parcels

        return await eventually(lambda: self.order(order_no), holds, PATIENCE_S)

    async def deliver(self, order_no: str) -> View:
        """The order, completed: its one parcel has been collected and has arrived."""
        shipment_no = (await self.booked(order_no))["shipments"][0]["shipment_no"]
        for status in ("picked_up", "delivered"):
            await self.scan(shipment_no, status)
        return await self.until(order_no, lifecycle="completed")

    async def events(self, order_no: str) -> list[View]:
        """The order's events, oldest first."""
        timeline = await self.read(f"/v1/orders/{order_no}/timeline", limit="200")
        assert [event["seq"] for event in timeline["data"]] == list(range(1, len(timeline["data"]) + 1))
        told: list[View] = timeline["data"]
        return told

    async def kinds(self, order_no: str) -> list[str]:
        return [event["kind"] for event in await self.events(order_no)]

    async def balances(self, voucher_no: str) -> dict[str, int]:
        """What the voucher leaves on each account that it touched, by role, in functional minor units."""
        books = await self.read("/v1/ledger/balances", voucher_no=voucher_no)
        assert books["debit_minor"] == books["credit_minor"]
        return {row["role"]: row["balance_minor"] for row in books["data"]}

    async def stock(self, sku: str) -> tuple[int, int, int]:
        """Units on hand, reserved and available, all warehouses together."""
        levels = (await self.read("/v1/stock", sku=sku))["data"]
        return (
            sum(level["on_hand"] for level in levels),
            sum(level["reserved"] for level in levels),
            sum(level["available"] for level in levels),
        )
