"""We have committed and answered, and the answer is lost: asking again gives it, to the byte, and nothing twice."""

from typing import Any

import httpx
import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.figures import tell
from tests.fakes.middlebox import Middlebox, lost_after
from tests.fakes.patience import eventually
from tests.faults.laboratory import Lab

LOST = 3


class Cut:
    """A client whose wire is cut `LOST` times after the server has answered, before it at last hears the answer."""

    def __init__(self, lab: Lab, wire: Middlebox) -> None:
        self.http = httpx.AsyncClient(base_url=wire.url, timeout=30)
        self._lab, self._wire = lab, wire

    async def insist(self, path: str, role: str, body: dict[str, Any], marker: str) -> list[bytes]:
        """The bodies of every answer that was given, the ones that got lost first; all were the same success."""
        self._wire.upset(marker, *[lost_after] * LOST)
        known = len(self._wire.about(marker))
        headers = {"Authorization": f"Bearer {self._lab.caller.token(role)}", "Idempotency-Key": f'"{marker}"'}
        for _ in range(LOST):
            with pytest.raises(httpx.TransportError):
                await self.http.post(path, json=body, headers=headers)
        heard = await self.http.post(path, json=body, headers=headers)
        assert heard.is_success, heard.text
        given = [exchange.body for exchange in self._wire.about(marker)[known:]]
        assert given[-1] == heard.content
        return given


async def test_whatever_was_answered_is_answered_again_to_the_byte_and_done_once(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Middlebox(lab.stack.facts["api"]).open() as wire:
        client = Cut(lab, wire)
        line = {"sku": sku, "quantity": 10, "unit_cost_minor": 6_000}
        receipt = {"receipt_id": f"R-{sku}", "warehouse": "main", "lines": [line]}
        received = await client.insist("/v1/stock/receipts", "warehouse", receipt, f"R-{sku}")

        order = a_sale(sku)
        placed = await client.insist("/v1/orders", "channel", order, order["external_id"])
        [(order_no,)] = await lab.ask(f"SELECT order_no FROM orders WHERE external_id = '{order['external_id']}'")
        await lab.all([order_no], waiting_for="payment.full")

        payment = {"payment_id": f"P-{sku}", "method": "alipay", "amount_minor": 2 * PRICE, "currency": "CNY"}
        paid = await client.insist(f"/v1/orders/{order_no}/payments", "finance", payment, f"P-{sku}")
        await lab.caller.booked(order_no)

        wish = {"reason": f"lost {sku}"}
        cancelled = await client.insist(f"/v1/orders/{order_no}/cancel", "service", wish, f"lost {sku}")
        await client.http.aclose()

    for answers in (received, placed, paid, cancelled):
        assert len(answers) == LOST + 1
    # The answer to an order and to a payment is what it was; a cancellation tells how far it has come by then.
    assert len({*placed}) == len({*paid}) == 1
    view = await lab.caller.until(order_no, lifecycle="cancelled")
    assert await lab.caller.stock(sku) == (10, 0, 10)
    assert [(one["amount_minor"], one["state"]) for one in view["refunds"]] == [(2 * PRICE, "succeeded")]
    kinds = await lab.caller.kinds(order_no)
    assert [kinds.count(kind) for kind in ("payment.received", "order.cancel_requested", "order.cancelled")] == [1] * 3
    assert (len(lab.world.labels(order_no)), len(lab.world.refunds(order_no))) == (1, 1)
    tell(capsys, f"{LOST} answers lost at each of 4 doors: one order, one payment, one receipt, one cancellation")


async def test_order_whose_every_answer_is_lost_is_there_all_the_same(lab: Lab, sku: str) -> None:
    await lab.stocked(sku, 1)
    order = a_sale(sku)
    async with Middlebox(lab.stack.facts["api"]).open() as wire, httpx.AsyncClient(base_url=wire.url) as client:
        wire.upset(order["external_id"], lost_after)
        with pytest.raises(httpx.TransportError):
            await client.post(
                "/v1/orders", json=order, headers={"Authorization": f"Bearer {lab.caller.token('channel')}"}
            )

    async def found() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await lab.caller.read("/v1/orders", external_id=order["external_id"]))["data"]
        return listed

    listed = await eventually(found, lambda orders: [one["waiting_for"] for one in orders] == ["payment.full"])
    assert listed[0]["external_id"] == order["external_id"]
