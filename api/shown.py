"""What a caller's roles let them see of amounts and of customers. What they may not see is null, never missing."""

from typing import Any, TypeVar

from domain.access import Principal

Value = TypeVar("Value")
_OF_MONEY = ("_minor", "_rate")


def money(caller: Principal, value: Value) -> Value | None:
    """The amount, or None for a caller who sees no money."""
    return value if caller.sees_money else None


def contact(caller: Principal, value: Value) -> Value | None:
    """What says who the customer is, or None for a caller who must not know."""
    return value if caller.sees_contact else None


def facts(caller: Principal, data: dict[str, Any]) -> dict[str, Any]:
    """Recorded facts, without their amounts for a caller who sees no money."""
    if caller.sees_money:
        return data
    kept = {name: value for name, value in data.items() if not name.endswith(_OF_MONEY)}
    return {name: facts(caller, value) if isinstance(value, dict) else value for name, value in kept.items()}
