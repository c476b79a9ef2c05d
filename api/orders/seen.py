"""The order that a route is about, for a caller who may see it and has the route's permission."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, SettingsDep, requires
from api.fields import Key
from api.turnstile import end_turn
from domain.access import Permission, Principal
from models.order import Order
from store.listing.sight import order_in_sight


@dataclass(frozen=True, slots=True)
class Seen:
    """An order, who looks at it, and the session it was read in."""

    order: Order
    caller: Principal
    session: AsyncSession
    time_scale: float = 1.0
    tolerance_minor: int = 0

    @property
    def order_no(self) -> str:
        return self.order.order_no

    async def let_go(self) -> None:
        """Afterwards no connection is held, and no turn taken, while somebody else is waited for."""
        await self.session.commit()
        end_turn()

    async def read_again(self) -> None:
        """Afterwards the order is as it is now."""
        await self.session.refresh(self.order)


Reader = Annotated[Principal, requires(Permission.ORDERS_READ)]
Canceller = Annotated[Principal, requires(Permission.ORDERS_CANCEL)]
Changer = Annotated[Principal, requires(Permission.ORDERS_CHANGE)]
Resolver = Annotated[Principal, requires(Permission.ORDERS_RESOLVE)]
Cashier = Annotated[Principal, requires(Permission.PAYMENTS_RECORD)]
Refunder = Annotated[Principal, requires(Permission.REFUNDS_GRANT)]
Returner = Annotated[Principal, requires(Permission.RETURNS_ASK)]
PaymentReader = Annotated[Principal, requires(Permission.PAYMENTS_READ)]


async def _to_read(order_no: Key, caller: Reader, session: SessionDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session)


async def _to_cancel(order_no: Key, caller: Canceller, session: SessionDep, settings: SettingsDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session, settings.time_scale)


async def _to_change(order_no: Key, caller: Changer, session: SessionDep, settings: SettingsDep) -> Seen:
    spans, tolerance = settings.time_scale, settings.payment_tolerance_minor
    return Seen(await order_in_sight(session, order_no, caller), caller, session, spans, tolerance)


async def _to_resolve(order_no: Key, caller: Resolver, session: SessionDep, settings: SettingsDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session, settings.time_scale)


async def _to_pay(order_no: Key, caller: Cashier, session: SessionDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session)


async def _to_refund(order_no: Key, caller: Refunder, session: SessionDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session)


async def _to_return(order_no: Key, caller: Returner, session: SessionDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session)


async def _payments(order_no: Key, caller: PaymentReader, session: SessionDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session)


ToRead = Annotated[Seen, Depends(_to_read)]
ToCancel = Annotated[Seen, Depends(_to_cancel)]
ToChange = Annotated[Seen, Depends(_to_change)]
ToResolve = Annotated[Seen, Depends(_to_resolve)]
ToPay = Annotated[Seen, Depends(_to_pay)]
ToRefund = Annotated[Seen, Depends(_to_refund)]
ToReturn = Annotated[Seen, Depends(_to_return)]
PaymentsOf = Annotated[Seen, Depends(_payments)]
