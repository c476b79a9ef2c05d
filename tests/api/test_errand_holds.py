"""What a refund beside its order is held for, settled over HTTP: it is tried again at once, and not after its pause."""

from typing import Any

from sqlalchemy import text

from tests.api.conftest import Api, As
from tests.api.running_orders import RunningOrder
from tests.fakes.patience import eventually

_REASON = "account_mapping_missing"


async def _account_known_from(api: Api, day: str) -> None:
    async with api.database.sessions() as session, session.begin():
        changed: Any = await session.execute(
            text("UPDATE account_mappings SET valid_from = CAST(:day AS text)::date WHERE role = 'refund_payable'"),
            {"day": day},
        )
    assert changed.rowcount > 0


async def test_a_held_refund_is_tried_again_through_both_doors(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await order.packed()
    await _account_known_from(running, "2999-01-01")
    asked = {"refund_id": "F-1", "goodwill": {"amount_minor": 100}, "reason_code": "late_delivery"}
    assert (await admin.post(f"{order.own}/refunds", json=asked)).status_code == 202
    assert await order.held() == [_REASON]
    first = (await order.read())["holds"][0]["hold_id"]

    # Nothing is mended yet: it was tried, and is held anew.
    said = {"choice": "retry", "reason_code": "checked", "reason": "looked into it", "hold_id": first}
    assert (await admin.post(f"{order.own}/exception", json=said)).status_code == 202

    def is_held_anew(shown: dict[str, Any]) -> bool:
        return [hold["reason_code"] for hold in shown["holds"] if hold["hold_id"] != first] == [_REASON]

    await eventually(order.read, is_held_anew, 60)
    await _account_known_from(running, "2000-01-01")
    bulk = await admin.post("/v1/holds:retry", json={"reason_code": _REASON, "reason": "the account is there"})
    assert (bulk.status_code, bulk.json()["accepted"]) == (200, 1)

    def is_back(shown: dict[str, Any]) -> bool:
        return [one["state"] for one in shown["refunds"]] == ["succeeded"] and not shown["holds"]

    await eventually(order.read, is_back, 60)
