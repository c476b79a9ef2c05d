"""What a colour says: which statuses are good news and which are not, and which subject an event belongs to."""

from collections.abc import Mapping
from typing import Final

_TONES: Final[Mapping[str, frozenset[str]]] = {
    "good": frozenset(
        {"completed", "paid", "delivered", "full", "approved", "issued", "succeeded", "closed", "published"}
    ),
    "busy": frozenset(
        {"received", "in_review", "accepted", "fulfilling", "shipping", "shipped", "allocated", "open", "booked"}
        | {"requested", "picked_up", "in_transit", "submitted", "draft", "validated", "announced"}
    ),
    "warn": frozenset(
        {"partial", "partially_shipped", "partially_delivered", "partially_refunded", "overpaid", "timed_out"}
        | {"returned", "pending", "superseded", "escalated"}
    ),
    "bad": frozenset({"failed", "rejected", "expired", "refused", "lost", "forfeited", "not_assignee", "too_late"}),
}

_PREFIXES: Final = {
    "approval": "people",
    "payment": "money",
    "refund": "money",
    "deposit": "money",
    "credit": "money",
    "stock": "goods",
    "shipment": "goods",
    "parcel": "goods",
    "return": "goods",
    "invoice": "books",
    "revenue": "books",
}
_OF_PEOPLE: Final = ("order.held", "order.hold_", "order.cancel_", "order.change", "notice.")


def tone(status: object) -> str:
    """`good`, `busy`, `warn`, `bad` or `calm`."""
    return next((name for name, statuses in _TONES.items() if status in statuses), "calm")


def lane_of(kind: str) -> str:
    """Which subject an event belongs to."""
    if kind.startswith(_OF_PEOPLE):
        return "people"
    return _PREFIXES.get(kind.partition(".")[0], "order")
