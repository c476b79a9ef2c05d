"""The return that a route is about, for a caller who may see its order and has the route's permission."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, requires
from api.fields import Key
from domain.access import Permission, Principal
from models.returning import Return
from store import returning
from store.returning import ReturnWithLines


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


async def _to_read(return_no: Key, caller: Reader, session: SessionDep) -> SeenReturn:
    return SeenReturn(await returning.in_sight(session, return_no, caller), caller, session)


async def _to_receive(return_no: Key, caller: Receiver, session: SessionDep) -> SeenReturn:
    return SeenReturn(await returning.in_sight(session, return_no, caller), caller, session)


ReturnToRead = Annotated[SeenReturn, Depends(_to_read)]
ReturnToReceive = Annotated[SeenReturn, Depends(_to_receive)]
