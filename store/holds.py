"""Holds: reasoned blocks on an order, at most one open per reason."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.flow.vocabulary import HOLD_REASONS, superiors_of
from models.columns import now
from models.order import Order, OrderHold
from store import events, whole
from store.events import Event

# What is owed or unclear about money outlives the order.
_OUTLIVING = ("payment_over", "payment_currency", "payment_conflict", "refund_failed")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an order is held; `facts` say it in ids and figures."""

    code: str
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)
    node: str | None = None
    blocking: bool = True
    owner: str | None = None
    """The role that has to act, where it is not the one that the vocabulary names."""
    actor: str = "orderflow"


async def open_hold(session: AsyncSession, order: Order, reason: Reason) -> OrderHold:
    """Afterwards exactly one hold of this reason is open; one that was open counts a further attempt.

    Raises KeyError for a reason that the vocabulary does not know. The order's row must be locked.
    """
    known = HOLD_REASONS[reason.code]
    hold = await find_open(session, order.order_no, reason.code)
    if hold is not None:
        hold.attempts += 1
        hold.next_try_at = None
        hold.detail, hold.facts, hold.node = reason.detail, reason.facts, reason.node
        return hold
    count = len(await whole.rows(session, OrderHold, order.order_no))
    opened_at = now()
    hold = OrderHold(
        hold_id=f"{order.order_no}-H{count + 1}",
        order_no=order.order_no,
        reason_code=reason.code,
        detail=reason.detail,
        facts=reason.facts,
        owner_role=reason.owner or known.owner.value,
        node=reason.node,
        blocking=reason.blocking,
        opened_at=opened_at,
        due_at=opened_at + known.sla,
        escalates_at=opened_at + known.sla,
    )
    session.add(hold)
    opened = {"hold_id": hold.hold_id, "reason_code": reason.code, "owner_role": hold.owner_role, **reason.facts}
    held = Event("order.held", opened, actor=reason.actor, node=reason.node, reason=reason.detail)
    await events.record(session, order, held)
    return hold


async def find_open(session: AsyncSession, order_no: str, reason_code: str) -> OrderHold | None:
    """The open hold of this reason, if there is one."""
    return next((hold for hold in await _open(session, order_no) if hold.reason_code == reason_code), None)


async def first_open(session: AsyncSession, order_no: str, reason_codes: tuple[str, ...]) -> str | None:
    """The reason of the order's first open hold among these, if there is one."""
    found = [hold for hold in await _open(session, order_no) if hold.reason_code in reason_codes]
    return min(found, key=lambda hold: hold.opened_at).reason_code if found else None


async def resolve(
    session: AsyncSession, order: Order, reason_codes: tuple[str, ...], resolution: str, *, by: str, reason: str
) -> list[OrderHold]:
    """Afterwards no hold of these reasons is open (no reason named: none at all); returns those that were."""
    standing = await _open(session, order.order_no)
    found = [hold for hold in standing if not reason_codes or hold.reason_code in reason_codes]
    for hold in found:
        await settle(session, order, hold, resolution, by=by, reason=reason)
    return found


async def close(session: AsyncSession, order: Order, why: str, *, keeping_money: bool) -> None:
    """Afterwards no hold of the order is open; if so wanted, but those about money that is owed or unclear."""
    for hold in await _open(session, order.order_no):
        if not (keeping_money and hold.reason_code in _OUTLIVING):
            await settle(session, order, hold, "closed", by="orderflow", reason=why)


async def settle(
    session: AsyncSession, order: Order, hold: OrderHold, resolution: str, *, by: str, reason: str
) -> None:
    """Afterwards this hold is settled, and the order's story says by whom, how and why."""
    hold.resolved_at, hold.resolution, hold.resolved_by, hold.resolution_reason = now(), resolution, by, reason
    hold.escalates_at, hold.next_try_at = None, None
    told = {"hold_id": hold.hold_id, "reason_code": hold.reason_code, "resolution": resolution}
    await events.record(session, order, Event("order.hold_resolved", told, actor=by, node=hold.node, reason=reason))


async def open_at(session: AsyncSession, order_no: str, node: str) -> tuple[str, ...]:
    """The reasons of the order's holds that were opened at this node and are open."""
    return tuple(hold.reason_code for hold in await _open(session, order_no) if hold.node == node)


async def _open(session: AsyncSession, order_no: str) -> list[OrderHold]:
    """The order's open holds by their ids."""
    found = [hold for hold in await whole.rows(session, OrderHold, order_no) if hold.resolved_at is None]
    return sorted(found, key=lambda hold: hold.hold_id)


def give_until(hold: OrderHold, sla: timedelta) -> None:
    """Afterwards the hold is due this long after it was opened; one that has gone up already keeps its deadlines."""
    if hold.level == 0:
        hold.due_at = hold.escalates_at = hold.opened_at + sla


async def escalate_overdue(session: AsyncSession, order: Order) -> list[OrderHold]:
    """Afterwards every open hold of the order whose deadline has passed has gone up one level; returns those.

    The next level has as long as the owner had. Above the last one nobody is left, and the hold stays there.
    """
    moment = now()
    found = [
        hold
        for hold in await _open(session, order.order_no)
        if hold.escalates_at is not None and hold.escalates_at <= moment
    ]
    for hold in found:
        await _escalate(session, order, hold)
    return found


async def _escalate(session: AsyncSession, order: Order, hold: OrderHold) -> None:
    chain = superiors_of(hold.reason_code, hold.owner_role)
    to = chain[hold.level].value
    patience = (hold.due_at or hold.opened_at) - hold.opened_at
    hold.level, hold.escalated_to, hold.escalated_at = hold.level + 1, to, now()
    hold.escalates_at = hold.escalated_at + patience if hold.level < len(chain) else None
    told: dict[str, Any] = {"hold_id": hold.hold_id, "reason_code": hold.reason_code, "owner_role": hold.owner_role}
    told |= {"escalated_to": to, "level": hold.level}
    key = f"escalated/{hold.hold_id}/{hold.level}"
    await events.record(session, order, Event("order.hold_escalated", told, node=hold.node, message_id=key))
    notice = {"notice": "order.hold_overdue", "audience": [to], "template": None, **told}
    await events.record(session, order, Event("notice.order.hold_overdue", notice, node=hold.node))
