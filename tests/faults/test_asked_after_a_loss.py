"""An order is asked for something just when its workflow was lost and given again, while lost steps go on."""

import uuid
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.factories.sales import PRICE, a_sale
from tests.fakes.figures import tell
from tests.faults.bench import Bench, bench
from tests.faults.invariants import wrong_at_the_end
from tests.faults.story import KINDS

TIMES = 8
MAY_BE_ASKED_AGAIN = 503


async def test_order_that_ends_meanwhile_is_too_late_to_hold_and_nothing_of_it_stays_behind(
    database: Database, open_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = open_dir / "bench"
    folder.mkdir()
    answers: Counter[int] = Counter()
    async with bench(database, folder) as system:
        for _time in range(TIMES):
            order_no = await _delivered(system)
            await system.lose([order_no])
            answer = await system.ask("POST", f"/v1/orders/{order_no}/holds", json={"reason": "the buyer hesitates"})
            answers[answer.status_code] += 1
            assert (answer.status_code == MAY_BE_ASKED_AGAIN) == ("Retry-After" in answer.headers)
            await system.settle([order_no])
            assert await wrong_at_the_end(system, [order_no]) == {}
    assert set(answers) <= {409, MAY_BE_ASKED_AGAIN}
    tell(capsys, f"{TIMES} orders lost as they ended, and asked to wait: answered {dict(answers)}, all of them ended")


async def _delivered(system: Bench) -> str:
    """An order whose parcel the carrier has just reported as delivered."""
    sku = f"SKU-{uuid.uuid4().hex[:10]}"
    line = {"sku": sku, "quantity": 2, "unit_cost_minor": 6_000}
    await system.ask("POST", "/v1/stock/receipts", json={"receipt_id": sku, "warehouse": "main", "lines": [line]})
    placed = await system.ask("POST", "/v1/orders", json=a_sale(sku, 2, **KINDS["presale, refundable"](2)))
    order_no: str = placed.json()["order_no"]
    await system.settle([order_no])
    paid = {"payment_id": "P-1", "method": "alipay", "amount_minor": 2 * PRICE, "currency": "CNY"}
    await system.ask("POST", f"/v1/orders/{order_no}/payments", json=paid)
    await system.settle([order_no])
    ((shipment_no,),) = await system.rows("SELECT shipment_no FROM shipments WHERE order_no = :no", no=order_no)
    scan = {"event_id": "delivered", "status": "delivered", "occurred_at": "2026-11-22T11:00:00Z"}
    assert (await system.ask("POST", f"/v1/shipments/{shipment_no}/events", json=scan)).status_code == 202
    return order_no
