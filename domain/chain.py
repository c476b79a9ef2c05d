"""The chain of an order's events: what exactly is hashed, so that whoever has the rows can compute it again."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

_print = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
JSON: Final = ("before", "after", "data")
"""What of an event enters the chain as the text that PostgreSQL prints: it need not be taken apart for that."""
NAMES: Final = ("order_no", "kind", "actor", "on_behalf_of", "source", "intake", "message_id", "node", "flow_key")
"""What of it enters the chain as it is."""


def genesis(order_no: str) -> bytes:
    """What the first event of the order is chained to."""
    return sha256(f"orderflow/{order_no}".encode()).digest()


def sealed(reason: str, salt: bytes) -> bytes:
    """What stands for the words of a reason in the chain.

    The words may be about a person and may have to go one day; without the salt nobody can guess them from the seal.
    """
    return sha256(salt + reason.encode()).digest()


def told_of(event: Mapping[str, Any]) -> dict[str, str]:
    """What of an event's row enters the chain, each value as its canonical text, which those of `JSON` are already."""
    seal: bytes | None = event["reason_seal"]
    return {
        **{name: "null" if event[name] is None else canonical(event[name]) for name in NAMES},
        **{name: event[name] for name in JSON},
        "seq": str(event["seq"]),
        "flow_version": str(event["flow_version"]),
        "reason_seal": "null" if seal is None else f'"{seal.hex()}"',
        "at": f'"{moment_text(event["at"])}"',
        "prev_hash": f'"{event["prev_hash"].hex()}"',
    }


def link(told: Mapping[str, str]) -> bytes:
    """The hash of an event whose values, the hash before it among them, are `told`: each as its canonical text."""
    values = ", ".join(f'"{name}": {told[name]}' for name in _in_order(tuple(told)))
    return sha256(f"{{{values}}}".encode()).digest()


def moment_text(at: datetime) -> str:
    """How a moment enters the chain."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(value: Any) -> str:
    """The one text of a JSON value: as PostgreSQL prints a `jsonb`, keys by their length in bytes, then by their bytes.

    Only what JSON and PostgreSQL keep exactly: text, integers, booleans, null, lists and objects of them.
    """
    return _print(_ordered(value))


@lru_cache(maxsize=16)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(names, key=_place))


def _place(name: str) -> tuple[int, bytes]:
    spelled = name.encode()
    return len(spelled), spelled


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value, key=_place)}
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    if isinstance(value, float):
        raise TypeError("a float has no exact text: tell an integer or a text")
    return value
