"""Requests for refunds as our door lets them in."""

import json
from collections.abc import Mapping
from typing import Any

from activities.step import Fact
from runtime.database import Sessions
from tests.factories.payments import bring

Said = dict[str, Any]


def units(wanted: Mapping[str, int], reason_code: str) -> Said:
    lines = [{"line_id": line_id, "quantity": quantity} for line_id, quantity in wanted.items()]
    return {"lines": lines, "reason_code": reason_code}


def shipping(minor: int | None, reason_code: str) -> Said:
    return {"shipping": {"amount_minor": minor}, "reason_code": reason_code}


def goodwill(minor: int, reason_code: str) -> Said:
    return {"goodwill": {"amount_minor": minor}, "reason_code": reason_code}


async def ask(sessions: Sessions, said: Said, refund_id: str = "F-1", order_no: str = "SO-1") -> Fact:
    """A committed request for a refund."""
    body = json.dumps({"refund_id": refund_id} | said)
    return await bring(sessions, body, f"refund/{refund_id}", order_no, kind="refund.requested")
