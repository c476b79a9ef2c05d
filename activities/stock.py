"""Stock for an order: promised to it before it is paid and shipped, given back on every way out."""

from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import translated
from activities.step import Step, StepResult
from domain.allocation import Shortage
from domain.order import Standing, has_ended
from models.columns import now
from models.order import Order
from runtime.database import Sessions
from store import credit, events, holds, orders, stock
from store.events import Event
from store.holds import Reason

_HOLDS = ("out_of_stock", "unknown_sku", "credit_exceeded")


class StockActivities:
    """Reserving and releasing; `reservation_ttl` None: a promise has no end of its own."""

    def __init__(self, sessions: Sessions, reservation_ttl: timedelta | None) -> None:
        self.sessions = sessions
        self.reservation_ttl = reservation_ttl

    @activity.defn
    async def reserve_stock(self, step: Step) -> StepResult:
        """Promise the order every unit it still needs, or hold it.

        Effect: all units are reserved and holds for stock resolved, or none is and the order is held `out_of_stock` or
            `unknown_sku`; or `credit_exceeded`, whatever its flow says. An order that is being cancelled or has ended
            gets nothing.
        Key: the order's reservations, one per line and warehouse; lines that have their units need none.
        Fails: `order_not_found` (final).
        """
        with translated():
            async with self.sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                if order.cancel_requested_at is not None or has_ended(order.lifecycle):
                    return StepResult(await orders.standing(session, step.order_no))
                held = await self._reserve(session, order, step.node)
                return StepResult(await self._standing(session, order, held), held=held)

    async def _reserve(self, session: AsyncSession, order: Order, node: str) -> str | None:
        if order.credit_state == credit.ABOVE:
            await holds.open_hold(session, order, Reason("credit_exceeded", "Nobody has let it pass.", node=node))
            return "credit_exceeded"
        expires_at = None if self.reservation_ttl is None else now() + self.reservation_ttl
        match await stock.reserve(session, order.order_no, expires_at):
            case Shortage(missing):
                facts = {"missing": dict(sorted(missing.items()))}
                reason = Reason("out_of_stock", "Not enough units are free.", facts, node)
            case stock.UnknownSkus(skus):
                reason = Reason("unknown_sku", "These SKUs are not in the catalogue.", {"skus": list(skus)}, node)
            case stock.Reserved(allocations):
                if allocations:
                    told = {"warehouses": stock.units_by_warehouse(allocations)}
                    await events.record(session, order, Event("stock.reserved", told, node=node))
                return None
        await holds.open_hold(session, order, reason)
        return reason.code

    async def _standing(self, session: AsyncSession, order: Order, held: str | None) -> Standing:
        """How the order stands once holds of this step that no longer apply are resolved; most orders have none."""
        standing = await orders.standing(session, order.order_no)
        solved = tuple(code for code in _HOLDS if code in standing.blocking_holds and code != held)
        if not solved:
            return standing
        reason = "stock reserved" if held is None else f"held as {held} now"
        await holds.resolve(session, order, solved, "retried", by="orderflow", reason=reason)
        return await orders.standing(session, order.order_no)

    @activity.defn
    async def release_stock(self, step: Step) -> StepResult:
        """Give back what is promised to the order and has not left.

        Effect: the order has no active reservation; orders that waited for these units and can now be filled have a
            message in the inbox.
        Key: the reservations' state; a released unit is not released again.
        Fails: `order_not_found` (final).
        """
        with translated():
            async with self.sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                released = await stock.release(session, step.order_no)
                if released:
                    told = {"warehouses": stock.units_by_warehouse(released)}
                    await events.record(session, order, Event("stock.released", told, node=step.node))
                standing = await orders.standing(session, step.order_no)
                if released:
                    await stock.wake(session)
                return StepResult(standing)
