"""Groups that buy together and documents for customs: their rows, and the messages that go to the orders concerned."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from models.columns import now
from models.order import Order
from models.trade import BuyingGroup, CustomsDocument
from store import inbox
from store.inbox import Incoming

CUSTOMS_CLEARED, GROUP_COMPLETE = "customs.cleared", "group.complete"
GROUP_COMPLETED = "group.completed"
CUSTOMS_REPORTED = "customs.reported"
ARRIVALS = frozenset({GROUP_COMPLETED, CUSTOMS_REPORTED})
"""Kinds of messages about what an order of its kind waits for."""


class GroupNotFound(DomainError):
    """There is no such group."""

    code = "group_not_found"


async def lock_group(session: AsyncSession, group_id: str | None) -> BuyingGroup | None:
    """The group, whose orders from now on take turns; None when it is not known."""
    found = select(BuyingGroup).where(col(BuyingGroup.group_id) == group_id).with_for_update()
    return (await session.exec(found)).one_or_none()


async def find_group(session: AsyncSession, group_id: str) -> BuyingGroup:
    """The group. Raises GroupNotFound."""
    row = await session.get(BuyingGroup, group_id)
    if row is None:
        raise GroupNotFound(group_id=group_id)
    return row


async def closes_at(session: AsyncSession, order: Order, event: str) -> datetime | None:
    """When the order's group closes, if that is what the order waits for."""
    if event != GROUP_COMPLETE or order.group_id is None:
        return None
    group = await session.get(BuyingGroup, order.group_id)
    return group.closes_at if group else None


async def is_complete(session: AsyncSession, order: Order) -> bool:
    """Whether the order's group has its number; whoever is about to make it up is waited for."""
    found = select(BuyingGroup.completed_at).where(col(BuyingGroup.group_id) == order.group_id)
    return (await session.exec(found.with_for_update(read=True))).one_or_none() is not None


async def joined(session: AsyncSession, group_id: str) -> Sequence[str]:
    """The orders that are paid, count for the group, and have not been called off."""
    found = select(Order.order_no).where(
        col(Order.group_id) == group_id,
        col(Order.group_joined_at).is_not(None),
        col(Order.cancel_requested_at).is_(None),
        col(Order.closed_at).is_(None),
    )
    return (await session.exec(found.order_by(col(Order.order_no)))).all()


async def tell_complete(session: AsyncSession, group_id: str, order_no: str) -> None:
    """Afterwards the order is told, once, that its group has its number."""
    meaning = {"group_id": group_id}
    message_id = f"group/{group_id}/{order_no}"
    body = json.dumps(meaning)
    await inbox.add(
        session, Incoming("orderflow", message_id, GROUP_COMPLETED, order_no, body, meaning, "orderflow"), leased=False
    )


async def put_document(session: AsyncSession, row: CustomsDocument) -> None:
    """Afterwards this is what customs last said of the document; what was accepted once stays accepted."""
    values = row.model_dump()
    said = {name: value for name, value in values.items() if name not in ("order_no", "document")}
    statement = insert(CustomsDocument).values(values)
    keep = col(CustomsDocument.state) != "accepted"
    await session.execute(
        statement.on_conflict_do_update(index_elements=["order_no", "document"], set_=said, where=keep)
    )


async def documents(session: AsyncSession, order_no: str) -> Mapping[str, CustomsDocument]:
    """The documents of the order that customs have said anything about."""
    rows = await session.exec(select(CustomsDocument).where(col(CustomsDocument.order_no) == order_no))
    return {row.document: row for row in rows}


async def put_group(session: AsyncSession, group: BuyingGroup) -> BuyingGroup:
    """The group as it now is. Who has its number keeps it, whatever is asked for afterwards."""
    values = group.model_dump(include={"group_id", "minimum_orders", "closes_at"}) | {"updated_at": now()}
    said = {name: value for name, value in values.items() if name != "group_id"}
    await session.execute(
        insert(BuyingGroup).values(values).on_conflict_do_update(index_elements=["group_id"], set_=said)
    )
    return await find_group(session, group.group_id)
