"""What customs ask for before an order leaves the country: data of the buyer and the goods, and three documents."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Document(StrEnum):
    """Pushed by different parties and matched by customs."""

    ORDER = "order"
    PAYMENT = "payment"
    LOGISTICS = "logistics"


class DocumentState(StrEnum):
    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


IDENTITY = "buyer_id_no"
"""What no page, log or message shows in plain: the number of the buyer's identity card or passport."""
OF_BUYER = ("buyer_name", IDENTITY)
OF_LINE = ("hs_code", "origin", "unit")


def missing(customs: Mapping[str, Any] | None, line_ids: Sequence[str]) -> list[str]:
    """The fields that are still to be told, by their paths: `buyer_name`, `lines.1.hs_code`."""
    told = customs or {}
    lines = told.get("lines")
    by_line = lines if isinstance(lines, Mapping) else {}
    found = [field for field in OF_BUYER if not _is_told(told, field)]
    for line_id in line_ids:
        line = by_line.get(line_id)
        of_line = line if isinstance(line, Mapping) else {}
        found += [f"lines.{line_id}.{field}" for field in OF_LINE if not _is_told(of_line, field)]
    return found


def is_cleared(states: Mapping[str, str]) -> bool:
    """Whether customs have accepted all three documents."""
    return all(states.get(document) == DocumentState.ACCEPTED for document in Document)


def _is_told(part: Mapping[str, Any], field: str) -> bool:
    value = part.get(field)
    return isinstance(value, str) and bool(value.strip())
