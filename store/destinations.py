"""Where changes are told to: destinations, what was sent to them, and sending it again."""

from collections.abc import Sequence

from sqlalchemy import delete, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from models.columns import now
from models.outbox import Destination, OutboxMessage
from store.events import OUTBOX_CHANNEL
from store.masters import MasterNotFound, Put


class DeliveryNotFound(DomainError):
    """The destination has no such delivery."""

    code = "delivery_not_found"


async def put(session: AsyncSession, wanted: Destination, *, keep_secret: bool) -> Put:
    """Afterwards the destination is as wanted; with `keep_secret` one that exists keeps signing with its own secret."""
    known = await session.get(Destination, wanted.name, with_for_update=True)
    if known is None:
        session.add(wanted)
        return Put.CREATED
    known.url, known.event_types, known.enabled = wanted.url, wanted.event_types, wanted.enabled
    if not keep_secret:
        known.secret = wanted.secret
    known.disabled_reason = None if wanted.enabled else known.disabled_reason
    known.updated_at = now()
    return Put.UPDATED


async def remove(session: AsyncSession, name: str) -> None:
    """Afterwards nothing is told to it any more, and what was sent is forgotten. Raises MasterNotFound."""
    known = await session.get(Destination, name, with_for_update=True)
    if known is None:
        raise MasterNotFound()
    await session.execute(delete(OutboxMessage).where(col(OutboxMessage.destination) == name))
    await session.delete(known)


async def deliveries(
    session: AsyncSession, name: str, *, state: str | None, before: int | None, limit: int
) -> Sequence[OutboxMessage]:
    """Up to `limit + 1` messages of the destination, newest first, those older than `before` if given."""
    query = select(OutboxMessage).where(OutboxMessage.destination == name)
    if state is not None:
        query = query.where(OutboxMessage.state == state)
    if before is not None:
        query = query.where(col(OutboxMessage.outbox_id) < before)
    return (await session.exec(query.order_by(col(OutboxMessage.outbox_id).desc()).limit(limit + 1))).all()


async def replay(session: AsyncSession, name: str, outbox_id: int) -> OutboxMessage:
    """Afterwards the message is to be sent again, under the same message id. Raises DeliveryNotFound."""
    message = await session.get(OutboxMessage, outbox_id, with_for_update=True)
    if message is None or message.destination != name:
        raise DeliveryNotFound(outbox_id=outbox_id)
    message.state, message.attempts, message.next_attempt_at = "pending", 0, None
    message.last_error, message.delivered_at = None, None
    await session.execute(text("SELECT pg_notify(:channel, :name)"), {"channel": OUTBOX_CHANNEL, "name": name})
    return message
