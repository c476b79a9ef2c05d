"""Every way through our workflows, by name. Each has a recorded history and a fingerprint."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.order import Standing
from tests.factories.flows import Document, order_facts, sound_document
from tests.fakes.shop import Payment, Scan, Shop
from tests.replay import aftermath
from tests.replay.acts import (
    adjust,
    asked,
    begin_to_cancel,
    cancel,
    cancel_in_temporal,
    cancel_in_vain,
    cancel_now,
    change,
    check,
    decide,
    ends,
    everybody_is_back,
    follow_up,
    forge,
    goods,
    hold,
    is_quiet,
    order,
    pay,
    refuses,
    relay,
    repeat,
    resolve,
    scan,
    ship_unheard,
    skip,
    wait,
)
from tests.replay.approval_scenarios import approvals, approvals_over_time, big_orders, late_decision
from tests.replay.stage import Clock, Post, Scenario
from tests.replay.terms import moments_ahead, on_terms, other_terms, presales

_DELIVERED: Final = (scan("delivered"), ends("completed"))
_PAID_AND_DELIVERED: Final = (pay(), *_DELIVERED)
_CANCELLED: Final = (cancel, ends("cancelled"))
_RETRY: Final = resolve("retry")
# Two calls outside at once may end in either order: money comes again once the parcel is booked.
_PAID_TWICE: Final = (pay(), asked("open_wait shipment.delivered"), pay("overpaid", surplus=True))
_HALF_AN_HOUR: Final = timedelta(minutes=31)
_UNPAID_FOR_TOO_LONG: Final = timedelta(hours=24, minutes=2)


def on_skipping_clock(scenarios: Iterator[Scenario]) -> Iterator[Scenario]:
    """The same scenarios, each with a clock of its own that jumps over pauses."""
    for scenario in scenarios:
        yield dataclasses.replace(scenario, clock=Clock.SKIPPING)


def _ordinary() -> Iterator[Scenario]:
    yield order("completed", *_PAID_AND_DELIVERED)
    yield order("paid_in_parts", pay("partial"), *_PAID_AND_DELIVERED)
    yield order("paid_before_it_is_awaited", pay(), _RETRY, *_DELIVERED, shop=_holds("check_order", "unknown_sku"))
    yield order(
        "paid_later",
        *_DELIVERED,
        shop=partial(on_terms, "on_credit"),
        facts=partial(order_facts, payment__terms="on_credit"),
    )
    yield order("adjusted", pay(), adjust(), *_DELIVERED)
    yield order("told_twice", pay(), repeat("payment_settled", 1), *_DELIVERED)
    yield order(
        "forged",
        *map(forge, ("payment_settled", "parcel_scanned", "stock_replenished", "approval_decided")),
        *_CANCELLED,
    )
    yield order(
        "scanned_in_parts",
        pay(),
        *map(scan, ("partially_shipped", "shipped", "partially_delivered")),
        *_DELIVERED,
    )
    yield order("database_away", *_PAID_AND_DELIVERED, shop=_away("reserve_stock", 7))
    yield order(
        "database_away_and_then_refused",
        _RETRY,
        *_PAID_AND_DELIVERED,
        shop=lambda: Shop(away=Counter(reserve_stock=6), fails={"reserve_stock": ["never_heard_of"]}),
    )


def _held() -> Iterator[Scenario]:
    for reason in ("unknown_sku", "price_mismatch", "fx_rate_missing", "customer_blocked"):
        yield order(f"held_{reason}", _RETRY, *_PAID_AND_DELIVERED, shop=_holds("check_order", reason))
    yield order("held_out_of_stock", _RETRY, *_PAID_AND_DELIVERED, shop=_holds("reserve_stock", "out_of_stock"))
    for reason, status in (
        ("payment_over", "overpaid"),
        ("payment_currency", "paid"),
        ("payment_conflict", "paid"),
        ("payment_method_unknown", "paid"),
    ):
        yield order(f"held_{reason}", pay(status, reason), _RETRY, *_DELIVERED)
    yield order("held_payment_short", pay("partial", "payment_short"), _RETRY, *_PAID_AND_DELIVERED)
    yield order("held_carrier_refused", pay(), _RETRY, *_DELIVERED, shop=_holds("book_shipments", "carrier_refused"))
    yield order("held_delivery_failed", pay(), scan("failed", "delivery_failed"), _RETRY, *_DELIVERED)
    after_delivery = (pay(), scan("delivered"), _RETRY, ends("completed"))
    yield order("held_invoice_rejected", *after_delivery, shop=_holds("issue_invoice", "invoice_rejected"))
    yield order("held_posting_failed", *after_delivery, shop=_fails("recognise_revenue", "posting_failed"))
    yield order("held_step_failed", *after_delivery, shop=_fails("issue_invoice", "never_heard_of"))
    no_wait = _fails("open_wait payment.full", "never_heard_of")
    yield order("held_because_waiting_failed", _RETRY, *_PAID_AND_DELIVERED, shop=no_wait)
    yield order("held_at_its_end", *after_delivery, shop=_fails("close completed", "posting_failed"))
    short = _holds("reserve_stock", "out_of_stock")
    twice_short = _holds("reserve_stock", "out_of_stock", "out_of_stock")
    yield order("short_until_goods_come", goods(), goods(), *_PAID_AND_DELIVERED, shop=twice_short)
    yield order("held_and_decided_by_itself", decide("out_of_stock"), *_PAID_AND_DELIVERED, shop=short)
    yield order("decided_about_another_hold", decide("payment_over"), _RETRY, *_PAID_AND_DELIVERED, shop=short)
    yield order("held_by_a_person", hold, pay(), decide("manual"), *_DELIVERED)
    yield order("paid_twice", *_PAID_TWICE, *_DELIVERED)
    yield order("changed", change, *_PAID_AND_DELIVERED)
    yield order("changed_to_another_address", change, *_PAID_AND_DELIVERED, shop=partial(Shop, relevant=False))
    yield order("changed_in_vain", change, *_PAID_AND_DELIVERED, shop=partial(Shop, change="out_of_stock"))
    yield order("changed_while_it_is_held", change, *_PAID_AND_DELIVERED, shop=_holds("reserve_stock", "out_of_stock"))
    yield order("unknown_until_goods_come", goods(), *_PAID_AND_DELIVERED, shop=_holds("check_order", "unknown_sku"))


def _unbooked() -> Iterator[Scenario]:
    unmapped = "account_mapping_missing"
    yield order("unbooked_payment", pay(), _RETRY, *_DELIVERED, shop=_fails("apply_payment", unmapped))
    yield order(
        "unbooked_part_of_revenue",
        pay(),
        scan("partially_delivered"),
        scan("delivered"),
        _RETRY,
        ends("completed"),
        shop=_fails("recognise_revenue", unmapped),
    )
    yield order(
        "unbooked_at_its_end",
        pay(),
        scan("delivered"),
        refuses("apply_payment", unmapped, unmapped),
        pay("overpaid"),
        _RETRY,
        _RETRY,
        ends("completed"),
        shop=_holds("issue_invoice", "invoice_rejected"),
    )


def _cancelled() -> Iterator[Scenario]:
    yield order("cancelled_before_payment", *_CANCELLED)
    yield order("cancelled_partly_paid", pay("partial"), *_CANCELLED)
    yield order("cancelled_after_booking", pay(), *_CANCELLED)
    yield order("cancelled_while_held_at_check", *_CANCELLED, shop=_holds("check_order", "unknown_sku"))
    yield order("cancelled_while_short", *_CANCELLED, shop=_holds("reserve_stock", "out_of_stock"))
    yield order("cancelled_while_overpaid", pay("overpaid", "payment_over"), *_CANCELLED)
    yield order("cancelled_while_refused", pay(), *_CANCELLED, shop=_holds("book_shipments", "carrier_refused"))
    yield order(
        "cancelled_while_carrier_is_away",
        pay(),
        asked("book_shipments"),
        cancel_now,
        ends("cancelled"),
        shop=_away("book_shipments"),
    )
    yield order(
        "cancelled_from_the_lane",
        resolve("cancel"),
        ends("cancelled"),
        shop=_holds("reserve_stock", "out_of_stock"),
    )
    yield order("cancelled_in_temporal", pay(), is_quiet, cancel_in_temporal, ends("cancelled"))
    yield order(
        "cancelled_twice",
        pay(),
        begin_to_cancel,
        asked("refund_payments"),
        cancel_in_temporal,
        everybody_is_back,
        ends("cancelled"),
        shop=_away("refund_payments"),
    )
    yield order("cancelled_by_an_earlier_run", ends("cancelled"), shop=_cancelling)


def _cancelled_in_vain() -> Iterator[Scenario]:
    yield order(
        "cancel_from_the_lane_refused",
        pay(),
        scan("failed", "delivery_failed"),
        resolve("cancel"),
        _RETRY,
        *_DELIVERED,
        shop=partial(Shop, collected=True),
    )
    yield order("cancel_refused_by_carrier", pay(), cancel_in_vain, *_DELIVERED, shop=partial(Shop, collected=True))
    yield order("cancel_refused_and_shipped_again", pay(), cancel_in_vain, *_DELIVERED, shop=_partly_voided)
    yield order("cancel_refused_by_the_books", pay(), ship_unheard, cancel_in_vain, *_DELIVERED)
    yield order(
        "cancel_refused_and_not_shipped_again",
        pay(),
        refuses("book_shipments", "carrier_refused"),
        cancel_in_vain,
        _RETRY,
        *_DELIVERED,
        shop=_partly_voided,
    )


def _over_time() -> Iterator[Scenario]:
    yield order("expired", ends("expired"))
    yield order("expired_partly_paid", pay("partial"), ends("expired"))
    yield order(
        "delivery_overdue", pay(), skip(timedelta(days=15, minutes=1)), _RETRY, scan("delivered"), ends("completed")
    )
    yield order("delivery_late", pay(), skip(timedelta(days=15, minutes=1)), scan("delivered"), ends("completed"))
    yield order("hold_goes_up", skip(timedelta(days=1)), _RETRY, *_PAID_AND_DELIVERED, shop=_overdue_soon)
    refused_once = _holds("refund_payments", "refund_failed")
    surplus_refused = _holds("refund_surplus", "refund_failed", "refund_failed")
    yield order("surplus_refused", *_PAID_TWICE, skip(timedelta(hours=1)), *_DELIVERED, shop=surplus_refused)
    yield order("refund_repeated", pay("partial"), ends("expired"), shop=refused_once)
    yield order(
        "refund_retried", pay("partial"), skip(_UNPAID_FOR_TOO_LONG), _RETRY, ends("expired"), shop=refused_once
    )
    yield order("paid_while_undone", skip(_UNPAID_FOR_TOO_LONG), pay("partial"), ends("expired"), shop=refused_once)


def _away_for_long() -> Iterator[Scenario]:
    yield order(
        "carrier_away",
        pay(),
        asked("book_shipments"),
        wait(_HALF_AN_HOUR),
        everybody_is_back,
        _RETRY,
        *_DELIVERED,
        shop=_away("book_shipments"),
    )
    yield order(
        "invoicing_away",
        pay(),
        scan("delivered"),
        asked("issue_invoice"),
        wait(_HALF_AN_HOUR),
        everybody_is_back,
        _RETRY,
        ends("completed"),
        shop=_away("issue_invoice"),
    )

    yield order(
        "refunding_away",
        pay("partial"),
        begin_to_cancel,
        asked("refund_payments"),
        wait(timedelta(minutes=6)),
        everybody_is_back,
        _RETRY,
        ends("cancelled"),
        shop=_away("refund_payments"),
    )


def _after_a_pause() -> Iterator[Scenario]:
    yield order(
        "lane_cannot_be_left",
        _RETRY,
        skip(timedelta(minutes=6)),
        *_PAID_AND_DELIVERED,
        shop=partial(_shop, holds={"check_order": ("unknown_sku",)}, fails={"resolve_holds": ("step_failed",)}),
    )
    yield order("unbooked_and_cancelled", pay(), *_CANCELLED, shop=_fails("apply_payment", "account_mapping_missing"))
    yield order(
        "lane_cannot_be_entered",
        skip(timedelta(minutes=11)),
        _RETRY,
        *_PAID_AND_DELIVERED,
        shop=partial(
            _shop,
            fails={
                "reserve_stock": ("never_heard_of",),
                "open_hold step_failed": ("step_failed", "step_failed"),
            },
        ),
    )


def _flows() -> Iterator[Scenario]:
    yield order("branch_to_notice", *_PAID_AND_DELIVERED, flow=_branching)
    yield order(
        "branch_to_timer",
        asked("open_wait payment.full"),
        *_PAID_AND_DELIVERED,
        flow=_branching,
        facts=partial(order_facts, customer__level="plain"),
    )
    yield order(
        "branch_undecided",
        *_CANCELLED,
        flow=_branching,
        facts=partial(order_facts, customer__level=7),
    )
    yield order(
        "until_a_moment",
        skip(timedelta(hours=2, minutes=5)),
        *_PAID_AND_DELIVERED,
        flow=_until_a_moment,
        facts=moments_ahead,
        clock=Clock.SKIPPING,
    )
    yield order("expired_at_a_moment", ends("expired"), flow=_until_a_moment, facts=moments_ahead, clock=Clock.SKIPPING)


def _flows_with_own_lanes() -> Iterator[Scenario]:
    yield order(
        "skipped",
        resolve("skip"),
        *_PAID_AND_DELIVERED,
        flow=_skippable,
        shop=_holds("check_order", "price_mismatch"),
    )
    yield order(
        "jumped",
        resolve("jump", "reserve"),
        *_PAID_AND_DELIVERED,
        flow=_jumping,
        shop=_holds("check_order", "price_mismatch"),
    )
    yield order(
        "visited_too_often",
        *map(resolve, ("retry", "cancel")),
        ends("cancelled"),
        flow=_circling,
    )
    yield order(
        "held_without_a_lane",
        _RETRY,
        *_PAID_AND_DELIVERED,
        flow=_without_lane,
        shop=_holds("reserve_stock", "out_of_stock"),
    )


def _others() -> Iterator[Scenario]:
    yield Scenario(
        "follow_up/late_payment",
        (follow_up("payment.settled", Payment()), ends("SO-LATE-PAYMENT")),
        shop=_ended,
    )
    yield Scenario(
        "follow_up/comes_back",
        (follow_up("payment.settled", Payment(revives=True)), ends("SO-COMES-BACK")),
        shop=_ended,
    )
    yield Scenario(
        "follow_up/paid_twice",
        (follow_up("payment.settled", Payment("overpaid", surplus=True)), ends("SO-PAID-TWICE")),
        shop=lambda: Shop(standing=dataclasses.replace(_ENDED, lifecycle="completed")),
    )
    yield Scenario(
        "follow_up/parcel_comes_back",
        (follow_up("parcel.scanned", Scan("failed")), ends("SO-PARCEL-COMES-BACK")),
        shop=_ended,
    )
    yield Scenario(
        "follow_up/goods_come",
        (follow_up("stock.replenished", None), ends("SO-GOODS-COME")),
        shop=_ended,
    )
    yield late_decision()
    yield Scenario(
        "follow_up/refund_repeated",
        (follow_up("payment.settled", Payment()), ends("SO-REFUND-REPEATED")),
        shop=lambda: Shop(standing=_ENDED, holds={"refund_payments": ["refund_failed"]}),
        clock=Clock.SKIPPING,
    )
    yield Scenario(
        "follow_up/unbooked",
        (follow_up("parcel.scanned", Scan("delivered")), ends("SO-UNBOOKED")),
        shop=lambda: Shop(
            standing=_ENDED, fails={"apply_scan": ["account_mapping_missing", "account_mapping_missing"]}
        ),
        clock=Clock.SKIPPING,
    )
    yield Scenario("check/daily", (check("daily"), ends({"entries_balance": 1})))
    yield Scenario("relay/disabled", (relay("erp"), ends("disabled")), post=lambda: Post([True, False]))
    yield Scenario("relay/continued", (relay("mail"), ends("disabled")), post=lambda: Post([*[True] * 20, False]))


def _shop(
    holds: Mapping[str, tuple[str, ...]] | None = None, fails: Mapping[str, tuple[str, ...]] | None = None
) -> Shop:
    return Shop(
        holds={step: list(reasons) for step, reasons in (holds or {}).items()},
        fails={step: list(codes) for step, codes in (fails or {}).items()},
    )


def _holds(step: str, *reasons: str) -> Callable[[], Shop]:
    return partial(_shop, holds={step: reasons})


def _fails(step: str, *codes: str) -> Callable[[], Shop]:
    return partial(_shop, fails={step: codes})


def _away(step: str, times: int = 10_000) -> Callable[[], Shop]:
    return lambda: Shop(away=Counter({step: times}))


def _partly_voided() -> Shop:
    return Shop(partly_voided=True)


def _overdue_soon() -> Shop:
    two_hours = timedelta(hours=2)
    return Shop(holds={"reserve_stock": ["out_of_stock"]}, sla=two_hours, patience=[two_hours])


_ENDED: Final = Standing(lifecycle="expired", version=7)


def _ended() -> Shop:
    return Shop(standing=_ENDED)


def _cancelling() -> Shop:
    return Shop(standing=Standing(cancelling=True, money_in=True, payment="paid", fulfilment="shipping"))


def _flow(start: str = "reserve", **nodes: Document) -> FlowDefinition:
    return parse_definition(sound_document(**nodes) | {"start": start})


def _branching() -> FlowDefinition:
    to_vip = {"label": "VIP", "when": "customer.level == 'VIP'", "next": "tell"}
    return _flow(
        "route",
        route={"kind": "branch", "cases": [to_vip], "default": "pause"},
        tell={"kind": "notify", "event": "order.accepted", "audience": ["customer"], "next": "reserve"},
        pause={"kind": "timer", "duration": "PT1S", "next": "reserve"},
    )


def _until_a_moment() -> FlowDefinition:
    wait_for_balance = {"kind": "wait", "event": "payment.full", "timeout_at": "order.balance_closes_at"}
    return _flow(
        "opens",
        opens={"kind": "timer", "until": "order.balance_opens_at", "next": "reserve"},
        pay={**wait_for_balance, "remind": ["-PT1H"], "next": "ship", "on_timeout": "undo"},
    )


def _skippable() -> FlowDefinition:
    check = {"kind": "action", "action": "order.check", "next": "reserve", "on_error": "lane", "skippable": True}
    return _flow("check", check=check, lane={"kind": "exception", "choices": ["retry", "skip", "cancel"]})


def _jumping() -> FlowDefinition:
    check = {"kind": "action", "action": "order.check", "next": "reserve", "on_error": "lane"}
    lane = {"kind": "exception", "choices": ["retry", "jump"], "targets": ["reserve"], "sla": "PT1H"}
    return _flow("check", check=check, lane=lane)


def _circling() -> FlowDefinition:
    return _flow("again", again={"kind": "action", "action": "order.check", "next": "again", "max_visits": 2})


def _without_lane() -> FlowDefinition:
    return _flow(reserve={"kind": "action", "action": "stock.reserve", "next": "pay"})


SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        *_ordinary(),
        *_held(),
        *_unbooked(),
        *_cancelled(),
        *_cancelled_in_vain(),
        *approvals(),
        *big_orders(),
        *on_skipping_clock(itertools.chain(_over_time(), _away_for_long(), _after_a_pause(), approvals_over_time())),
        *_flows(),
        *_flows_with_own_lanes(),
        *presales(),
        *other_terms(),
        *_others(),
        *aftermath.scenarios(),
    )
}
