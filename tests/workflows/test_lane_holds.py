"""Several holds at once, holds that nobody looks at, and holds that people open: each is dealt with by itself."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.order import Standing
from tests.factories.flows import sound_document
from tests.fakes.patience import eventually
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, code_of
from workflows.order.contract import FactSignal, HoldRequest, HoldResult, ResolveRequest
from workflows.order.workflow import OrderWorkflow

_SLA = timedelta(hours=2)


async def decide(running: Running, inbox_id: int, reason: str) -> None:
    """A person has decided about the hold of this reason alone."""
    running.shop.decisions[inbox_id] = reason
    await running.handle.signal("hold_decided", FactSignal(inbox_id))


async def hold(running: Running) -> HoldResult:
    held: HoldResult = await running.handle.execute_update(
        "hold_order", HoldRequest("h-1", "lin", 21), result_type=HoldResult
    )
    return held


async def held_for(running: Running, *reasons: str) -> None:
    """Waits until just these holds stop the order."""

    async def stops() -> tuple[str, ...]:
        return (await running.handle.query(OrderWorkflow.state)).blocking_holds

    await eventually(stops, lambda found: found == reasons)


def with_lane(*choices: str, targets: tuple[str, ...] = (), sla: str = "PT2H") -> FlowDefinition:
    lane = {"kind": "exception", "choices": list(choices), "sla": sla} | ({"targets": list(targets)} if targets else {})
    check = {"kind": "action", "action": "order.check", "next": "reserve", "on_error": "lane"}
    return parse_definition(sound_document(check=check, lane=lane) | {"start": "check"})


async def test_retry_settles_what_the_order_stands_at_and_leaves_the_other_hold(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    running.shop.standing = dataclasses.replace(running.shop.standing, blocking_holds=("payment_conflict",))
    await running.tell(1, Payment("overpaid", hold="payment_over"))
    await held_for(running, "payment_conflict", "payment_over")
    await eventually(lambda: _offers(running, "payment_conflict"), bool)
    await held_for(running, "payment_over")
    assert "book_shipments" not in running.shop.calls
    await eventually(lambda: _offers(running, "payment_over"), bool)
    await running.until("book_shipments")


async def _offers(running: Running, reason: str) -> bool:
    request = ResolveRequest(f"r-{reason}", "lin", "retry", 12, reasons=(reason,))
    try:
        await running.handle.execute_update("resolve_exception", request)
    except WorkflowUpdateFailedError:
        return False
    return True


async def test_choice_about_a_hold_of_another_role_is_refused(start: Start) -> None:
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    await held_for(running, "out_of_stock")
    request = ResolveRequest("r-1", "lin", "retry", 12, reasons=("payment_over",))

    async def refusal() -> str | None:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await running.handle.execute_update("resolve_exception", request)
        return code_of(refused)

    await eventually(refusal, lambda code: code == "not_the_owner")
    assert running.shop.resolved == []


async def test_hold_that_is_decided_by_itself_lets_the_order_go_on(start: Start) -> None:
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    await decide(running, 5, "out_of_stock")
    await running.until("open_wait payment.full")
    assert running.shop.calls.count("reserve_stock") == 2
    assert running.shop.resolved == []


async def test_decision_about_another_hold_moves_nothing(start: Start) -> None:
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    await decide(running, 5, "payment_over")
    await running.until("settle_hold in vain")
    await held_for(running, "out_of_stock")
    assert running.shop.calls.count("reserve_stock") == 1


async def test_overdue_hold_goes_up_until_nobody_is_left_and_waits_on(start: Start) -> None:
    now = datetime.now(UTC)
    shop = Shop(holds={"reserve_stock": ["out_of_stock"]}, patience=[_SLA, _SLA])
    shop.standing = Standing(escalates_at=now + _SLA)
    running = await start(shop)
    await running.until("reserve_stock")
    await running.environment.sleep(timedelta(hours=1, minutes=50))
    assert "escalate_holds" not in shop.calls
    await running.environment.sleep(timedelta(minutes=20))
    assert shop.calls.count("escalate_holds") == 1
    await running.environment.sleep(timedelta(days=3))
    assert shop.calls.count("escalate_holds") == 3
    await running.resolve("retry")
    await running.until("open_wait payment.full")


async def test_refund_that_cannot_be_made_goes_up_while_the_order_is_undone(start: Start) -> None:
    shop = Shop(holds={"refund_payments": ["refund_failed"] * 20})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment("partial"))
    await running.until("apply_payment")
    shop.standing = dataclasses.replace(shop.standing, escalates_at=datetime.now(UTC) + timedelta(hours=26))
    await running.tell(2, Payment("partial"))
    await running.until("apply_payment", 2)
    await running.environment.sleep(timedelta(hours=25))
    assert shop.calls.count("refund_payments") >= 3
    assert "escalate_holds" not in shop.calls
    await running.environment.sleep(timedelta(hours=2))
    assert shop.calls.count("escalate_holds") == 1
    assert shop.resolved == []
    assert (await running.handle.result()).result == "expired"
    assert shop.calls.count("refund_payments") == 21
    assert shop.resolved == ["retried"]


async def test_deadline_of_the_flows_lane_is_given_to_the_hold(start: Start) -> None:
    running = await start(Shop(holds={"check_order": ["price_mismatch"]}), with_lane("retry", "cancel", sla="PT45M"))
    await running.until("check_order")
    await eventually(lambda: _deadlines(running), lambda found: "price_mismatch" in found)
    assert running.shop.deadlines == {"price_mismatch": timedelta(minutes=45)}


async def _deadlines(running: Running) -> dict[str, timedelta | None]:
    return running.shop.deadlines


async def test_jump_leads_to_a_target_of_the_lane(start: Start) -> None:
    flow = with_lane("retry", "jump", targets=("reserve",))
    running = await start(Shop(holds={"check_order": ["price_mismatch"]}), flow)
    await running.until("check_order")
    await held_for(running, "price_mismatch")

    async def jumped() -> bool:
        request = ResolveRequest("r-1", "lin", "jump", 12, target="reserve")
        try:
            await running.handle.execute_update("resolve_exception", request)
        except WorkflowUpdateFailedError:
            return False
        return True

    await eventually(jumped, bool)
    await running.until("open_wait payment.full")
    assert running.shop.calls.count("check_order") == 1
    assert running.shop.resolved == ["jump"]


@pytest.mark.parametrize("target", ["ship", "reserve", "nowhere"])
async def test_jump_past_a_core_step_or_to_no_target_is_refused_while_it_runs(start: Start, target: str) -> None:
    # Not sound, and so never published; the order refuses all the same.
    flow = with_lane("retry", "jump", targets=("ship",))
    running = await start(Shop(holds={"check_order": ["price_mismatch"]}), flow)
    await running.until("check_order")
    await eventually(lambda: _deadlines(running), lambda found: "price_mismatch" in found)

    async def refusal() -> str | None:
        request = ResolveRequest("r-1", "lin", "jump", 12, target=target)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await running.handle.execute_update("resolve_exception", request)
        return code_of(refused)

    await eventually(refusal, lambda code: code == "choice_not_offered")
    assert "reserve_stock" not in running.shop.calls
    assert running.shop.resolved == []


async def test_delivery_that_comes_late_takes_the_order_on_by_itself(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.environment.sleep(timedelta(days=15, minutes=1))
    await running.until("open_hold delivery_overdue")
    await running.tell(2, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert running.shop.resolved == ["arrived"]


async def test_order_held_by_a_person_takes_money_and_does_not_ship(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    assert (await hold(running)).hold_id == "H-1"
    await running.tell(1, Payment())
    await running.until("book_shipments held")
    assert "book_shipments" not in running.shop.calls
    await decide(running, 5, "manual")
    await running.until("book_shipments")
    await running.until("open_wait shipment.delivered")


async def test_order_that_is_with_the_carrier_cannot_be_held_any_more(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await hold(running)
    assert code_of(refused) == "too_late_to_hold"
    assert (await running.handle.query(OrderWorkflow.state)).blocking_holds == ()


@pytest.mark.parametrize(("shop", "booked"), [(Shop(collected=True), 1), (Shop(partly_voided=True), 2)])
async def test_refused_cancellation_ships_again_only_what_was_voided(start: Start, shop: Shop, booked: int) -> None:
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    with pytest.raises(WorkflowUpdateFailedError):
        await running.cancel()
    assert shop.calls.count("book_shipments") == booked
    await running.tell(2, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
