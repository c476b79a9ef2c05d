"""Alerts: messages to the destinations that listen for what needs a person at once."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.columns import now
from store.events import OUTBOX_CHANNEL

_ALERT = text("""
WITH message AS (
    INSERT INTO outbox_messages (destination, message_id, order_no, event_type, body, occurred_at, state, attempts)
    SELECT d.name, :message_id, :about, CAST(:kind AS text), :body, CAST(:at AS timestamptz), 'pending', 0
    FROM destinations d
    WHERE d.enabled AND (cardinality(d.event_types) = 0
        OR EXISTS (SELECT 1 FROM unnest(d.event_types) AS prefix WHERE starts_with(CAST(:kind AS text), prefix)))
    ON CONFLICT DO NOTHING RETURNING destination
)
SELECT pg_notify(:channel, destination) FROM message
""")


async def alert(session: AsyncSession, kind: str, about: str, key: str, told: Mapping[str, Any]) -> None:
    """Afterwards `alert.<kind>` is queued for every destination that listens, once for `key`.

    `about` is an order number, or the name of whatever else it is that alerts keep their order for.
    """
    at = now()
    body = {"type": f"alert.{kind}", "timestamp": at.isoformat().replace("+00:00", "Z"), "data": dict(told)}
    await session.execute(
        _ALERT,
        {
            "message_id": f"alert/{kind}/{key}",
            "about": about,
            "kind": f"alert.{kind}",
            "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
            "at": at,
            "channel": OUTBOX_CHANNEL,
        },
    )
