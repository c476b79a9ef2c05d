"""What histories know by name: every workflow and activity is served by one queue, and no name changes unnoticed."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

from temporalio import activity, workflow

from domain.flow.vocabulary import ACTIONS, COMPENSATIONS
from tests.architecture.source_tree import imported_modules, is_decorated, sources
from workers.main import WORKFLOWS, queues
from workers.wiring import Capabilities
from workflows.order import contract
from workflows.order.contract import SIGNALS
from workflows.order.steps import FACTS, STEPS

# A name that goes or changes breaks every order that is under way. New ones are added here; an old one leaves only
# when no history that knows it is kept any more.
PINNED = {
    "workflow": {
        "OrderWorkflow",
        "FollowUpWorkflow",
        "RefundWorkflow",
        "ReturnWorkflow",
        "RelayWorkflow",
        "CheckWorkflow",
    },
    "activity": {
        "acknowledge",
        "advance",
        "apply_decision",
        "apply_payment",
        "apply_scan",
        "begin_cancel",
        "book_shipments",
        "cancel_shipments",
        "change_order",
        "check_credit",
        "check_order",
        "close_order",
        "credit_invoices",
        "credit_refunds",
        "decide_branch",
        "expire_return",
        "forfeit_deposit",
        "grant_refund",
        "escalate_approval",
        "escalate_holds",
        "hold_order",
        "issue_invoice",
        "notify",
        "open_approval",
        "open_hold",
        "open_return",
        "open_wait",
        "pay_refunds",
        "receive_return",
        "recognise_revenue",
        "refund_payments",
        "refund_surplus",
        "relay_outbox",
        "release_stock",
        "remind_approval",
        "reserve_stock",
        "resolve_holds",
        "reverse_revenue",
        "run_checks",
        "settle_hold",
        "settle_return",
        "take_back_parcels",
        "withdraw_cancel",
        "check_customs",
        "join_group",
        "apply_arrival",
        "move_order",
    },
    "signal": {
        "approval_decided",
        "customs_cleared",
        "group_completed",
        "hold_decided",
        "order_adjusted",
        "parcel_scanned",
        "payment_settled",
        "return_received",
        "stock_replenished",
    },
    "update": {"cancel", "change_order", "hold_order", "move_order", "resolve_exception"},
    "query": {"state", "visited"},
    "queue": {"carrier", "einvoice", "orders", "payments", "relay"},
}

# The shapes that callers and histories keep: a field may be added with a default, none may go or change its name.
PINNED_FIELDS = {
    "OrderInput": ["order_no", "flow", "facts"],
    "OrderResult": ["order_no", "result"],
    "FactSignal": ["inbox_id", "message_id"],
    "CancelRequest": ["request_id", "actor", "inbox_id"],
    "CancelResult": ["order_no", "lifecycle"],
    "ResolveRequest": ["request_id", "actor", "choice", "inbox_id", "target", "reasons"],
    "ChangeRequest": ["request_id", "inbox_id", "version"],
    "ChangeResult": ["order_no"],
    "HoldRequest": ["request_id", "actor", "inbox_id"],
    "HoldResult": ["order_no", "hold_id"],
    "MoveRequest": ["request_id", "actor", "inbox_id", "flow", "nodes"],
    "MoveResult": ["order_no", "version", "node"],
    "ResolveResult": ["order_no", "choice", "node"],
}


def test_every_activity_is_registered_on_exactly_one_queue() -> None:
    registered = Counter(_name_of(one) for queue in _queues().values() for one in queue)
    assert registered == Counter(_activities_written())


def test_every_workflow_is_registered() -> None:
    written = {
        one.name for source in sources("workflows") for one in source.classes() if is_decorated(one, "workflow.defn")
    }
    assert {one.__name__ for one in WORKFLOWS} == written


def test_names_that_histories_keep_are_the_pinned_ones() -> None:
    definitions = [workflow._Definition.must_from_class(one) for one in WORKFLOWS]
    names = {
        "workflow": {str(one.name) for one in definitions},
        "activity": set(_activities_written()),
        "signal": {str(name) for one in definitions for name in one.signals},
        "update": {str(name) for one in definitions for name in one.updates},
        "query": {str(name) for one in definitions for name in one.queries},
        "queue": set(_queues()),
    }
    assert names == PINNED


def test_shapes_that_histories_keep_only_grow() -> None:
    shapes = {
        one.__name__: dataclasses.fields(one)
        for one in vars(contract).values()
        if dataclasses.is_dataclass(one) and isinstance(one, type) and one.__module__ == contract.__name__
    }
    assert shapes.keys() == PINNED_FIELDS.keys()
    for name, fields in shapes.items():
        pinned = PINNED_FIELDS[name]
        assert [one.name for one in fields][: len(pinned)] == pinned
        assert all(_has_default(one) for one in fields[len(pinned) :]), f"{name}: a new field needs a default"


def test_every_step_a_flow_may_name_has_its_activity_in_its_place() -> None:
    known = {**ACTIONS, **COMPENSATIONS}
    assert STEPS.keys() == known.keys()
    for name, call in STEPS.items():
        assert (call.party is None) == (known[name].place == "local"), name


def test_every_fact_has_a_signal_and_every_signal_is_heard_after_the_end_too() -> None:
    assert FACTS.keys() == SIGNALS.keys()
    for one in WORKFLOWS:
        if one.__name__ in {"OrderWorkflow", "FollowUpWorkflow"}:
            assert set(workflow._Definition.must_from_class(one).signals) == set(SIGNALS.values())


def test_a_step_is_registered_where_the_workflow_asks_for_it() -> None:
    serving = {_name_of(one): queue for queue, served in _queues().items() for one in served}
    for call in STEPS.values():
        assert serving[_name_of(call.method)] == (call.party.task_queue if call.party else contract.ORDERS_QUEUE)


def _queues() -> dict[str, list[Callable[..., Any]]]:
    # Bound methods are all that is needed, so the classes are made without what they work with.
    wired: dict[str, Any] = {}
    for name, hint in get_type_hints(Capabilities).items():
        kind = next(one for one in (*get_args(hint), hint) if isinstance(one, type))
        wired[name] = object.__new__(kind)
    return {queue: list(served) for queue, served in queues(Capabilities(**wired)).items()}


def _activities_written() -> Iterator[str]:
    imported_modules()
    for source in sources("activities"):
        for one in source.functions():
            if is_decorated(one, "activity.defn"):
                yield one.name


def _name_of(method: Callable[..., Any]) -> str:
    return str(activity._Definition.must_from_callable(method).name)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
