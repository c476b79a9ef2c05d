"""Holds: reasoned blocks on an order, at most one open per reason."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.flow.vocabulary import HOLD_REASONS
from models.columns import now
from models.order import Order, OrderHold
from store import events
from store.events import Event


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an order is held; `facts` say it in ids and figures."""

    code: str
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)
    node: str | None = None
    blocking: bool = True


async def open_hold(session: AsyncSession, order: Order, reason: Reason) -> OrderHold:
    """Afterwards exactly one hold of this reason is open; one that was open counts a further attempt.

    Raises KeyError for a reason that the vocabulary does not know. The order's row must be locked.
    """
    known = HOLD_REASONS[reason.code]
    hold = await find_open(session, order.order_no, reason.code)
    if hold is not None:
        hold.attempts += 1
        hold.detail, hold.facts, hold.node = reason.detail, reason.facts, reason.node
        return hold
    count = (
        await session.execute(
            text("SELECT count(*) FROM order_holds WHERE order_no = :order_no"), {"order_no": order.order_no}
        )
    ).scalar_one()
    opened_at = now()
    hold = OrderHold(
        hold_id=f"{order.order_no}-H{count + 1}",
        order_no=order.order_no,
        reason_code=reason.code,
        detail=reason.detail,
        facts=reason.facts,
        owner_role=known.owner.value,
        node=reason.node,
        blocking=reason.blocking,
        opened_at=opened_at,
        due_at=opened_at + known.sla,
    )
    session.add(hold)
    opened = {"hold_id": hold.hold_id, "reason_code": reason.code, "owner_role": hold.owner_role, **reason.facts}
    await events.record(session, order, Event("order.held", opened, node=reason.node, reason=reason.detail))
    return hold


async def find_open(session: AsyncSession, order_no: str, reason_code: str) -> OrderHold | None:
    """The open hold of this reason, if there is one."""
    query = select(OrderHold).where(
        OrderHold.order_no == order_no, OrderHold.reason_code == reason_code, col(OrderHold.resolved_at).is_(None)
    )
    return (await session.exec(query)).one_or_none()


async def resolve(
    session: AsyncSession, order: Order, reason_codes: tuple[str, ...], resolution: str, *, by: str, reason: str
) -> list[OrderHold]:
    """Afterwards no hold of these reasons is open (no reason named: none at all); returns those that were."""
    query = select(OrderHold).where(OrderHold.order_no == order.order_no, col(OrderHold.resolved_at).is_(None))
    if reason_codes:
        query = query.where(col(OrderHold.reason_code).in_(reason_codes))
    found = list((await session.exec(query.order_by(col(OrderHold.hold_id)))).all())
    for hold in found:
        hold.resolved_at, hold.resolution, hold.resolved_by, hold.resolution_reason = now(), resolution, by, reason
        told = {"hold_id": hold.hold_id, "reason_code": hold.reason_code, "resolution": resolution}
        await events.record(session, order, Event("order.hold_resolved", told, actor=by, node=hold.node, reason=reason))
    return found
