"""The chain of an order's events: what exactly is hashed, so that whoever has the rows can compute it again."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

_TOLD = (
    "order_no", "seq", "kind", "actor", "on_behalf_of", "source", "intake", "message_id", "node", "flow_key",
    "flow_version", "before", "after", "data",
)  # fmt: skip


def genesis(order_no: str) -> bytes:
    """What the first event of the order is chained to."""
    return sha256(f"orderflow/{order_no}".encode()).digest()


def sealed(reason: str, salt: bytes) -> bytes:
    """What stands for the words of a reason in the chain.

    The words may be about a person and may have to go one day; without the salt nobody can guess them from the seal.
    """
    return sha256(salt + reason.encode()).digest()


def told_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """What of an event's row enters the chain."""
    seal: bytes | None = event["reason_seal"]
    return {name: event[name] for name in _TOLD} | {
        "reason_seal": None if seal is None else seal.hex(),
        "at": moment_text(event["at"]),
        "prev_hash": event["prev_hash"].hex(),
    }


def link(told: Mapping[str, Any]) -> bytes:
    """The hash of an event whose values, the hash before it among them, are `told`."""
    return sha256(canonical(told).encode()).digest()


def moment_text(at: datetime) -> str:
    """How a moment enters the chain."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(value: Any) -> str:
    """The one text of a JSON value: as PostgreSQL prints a `jsonb`, keys by their length in bytes, then by their bytes.

    Only what JSON and PostgreSQL keep exactly: text, integers, booleans, null, lists and objects of them.
    """
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(", ", ": "))


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    if isinstance(value, float):
        raise TypeError("a float has no exact text: tell an integer or a text")
    return value
