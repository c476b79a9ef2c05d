"""The return that a route is about, for a caller who may see its order and has the route's permission."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.return_messages import Announcement, read
from api.dependencies import SessionDep, SnapshotDep, requires
from api.fields import Key
from api.returning.schemas import RECEIVED
from domain.access import Permission, Principal
from models.returning import ExchangeLine, Return, ReturnLine
from store import orders, returning
from store.returning import ReturnNotFound, ReturnWithLines


@dataclass(frozen=True, slots=True)
class SeenReturn:
    """A return, who looks at it, and the session it was read in."""

    found: ReturnWithLines
    caller: Principal
    session: AsyncSession

    @property
    def row(self) -> Return:
        return self.found.row


Reader = Annotated[Principal, requires(Permission.ORDERS_READ)]
Receiver = Annotated[Principal, requires(Permission.STOCK_RECEIVE)]


async def _to_read(return_no: Key, caller: Reader, session: SnapshotDep) -> SeenReturn:
    return SeenReturn(await find_return(session, return_no, caller), caller, session)


async def _to_receive(return_no: Key, caller: Receiver, session: SessionDep) -> SeenReturn:
    return SeenReturn(await find_return(session, return_no, caller), caller, session)


async def find_return(session: AsyncSession, return_no: str, caller: Principal) -> ReturnWithLines:
    """The return; the wish for it, as it came, until its workflow has begun. Raises ReturnNotFound."""
    try:
        return await returning.in_sight(session, return_no, caller)
    except ReturnNotFound:
        wish = await returning.wish_in_sight(session, return_no, caller)
    said, order_no = read(wish, Announcement), wish.order_no or ""
    lines = await orders.lines(session, order_no)
    skus = {line.line_id: line.sku for line in lines}
    row = Return(
        return_no=return_no,
        order_no=order_no,
        return_id=said.return_id,
        kind=said.kind,
        state=RECEIVED,
        reason=said.reason,
        worth_minor=returning.worth_of({one.line_id: one.quantity for one in said.lines}, lines),
        currency=(await orders.get(session, order_no)).currency,
        requested_by=wish.actor,
        requested_at=wish.received_at,
        ship_to=said.ship_to,
    )
    announced = (ReturnLine(return_no=return_no, sku=skus[one.line_id], **one.model_dump()) for one in said.lines)
    instead = (
        ExchangeLine(return_no=return_no, position=at, **one.model_dump())
        for at, one in enumerate(said.instead, start=1)
    )
    return ReturnWithLines(row, tuple(announced), tuple(instead))


ReturnToRead = Annotated[SeenReturn, Depends(_to_read)]
ReturnToReceive = Annotated[SeenReturn, Depends(_to_receive)]
