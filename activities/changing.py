"""Changes of an order before anything of it was sent: all of it in one transaction, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.change_drafts import ChangeWanted, Draft, OutOfStock, draft, is_promised
from activities.change_records import give_back, record, settle_holds
from activities.failures import translated
from activities.posting import post_unposted
from activities.step import StepResult
from domain.allocation import Allocation
from domain.changing import Fate, LineAfter
from domain.errors import DomainError
from domain.flow.vocabulary import takes_money
from domain.posting.entry import some
from domain.posting.roles import Role
from domain.posting.sale import compensation_absorbed, sale_changed
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order, OrderLine
from runtime.database import Sessions
from store import approvals, changing, credit, events, inbox, journal, orders, shipping, stock
from store.events import Event
from store.journal import AccountMappingMissing, PostingContext, RateMissing
from store.placing import line_of, price_of

CHANGE_REQUESTED = "change.requested"


class ChangeUnreadable(DomainError):
    """A change that our door let in does not say what a change has to say."""

    code = "change_unreadable"


class StalePreview(DomainError):
    """The order is not what it was when the change was shown: it has to be looked at again."""

    code = "preview_stale"


# We are wrong, or the masters are: no answer to whoever asked.
_NO_ANSWER = (AccountMappingMissing, RateMissing, ChangeUnreadable, orders.OrderNotFound)


@dataclass(frozen=True)
class ChangeInput:
    """A change that somebody asks for, and the version of the order that they saw; the inbox row says what."""

    order_no: str
    node: str
    inbox_id: int
    version: int


@dataclass(frozen=True)
class ChangeAnswer:
    """How the order stands. `refusal`: why nothing was changed; `relevant`: its flow has to be gone through anew."""

    result: StepResult
    refusal: str | None = None
    relevant: bool = False


@dataclass(frozen=True)
class _Wish:
    """A change as it is being decided, and the message that brought it."""

    message: InboxMessage
    wanted: ChangeWanted
    asked: ChangeInput


class ChangeActivities:
    """Changing what an order is about; `reservation_ttl` as for every promise of stock, `tolerance_minor` as for every
    payment.
    """

    def __init__(self, sessions: Sessions, reservation_ttl: timedelta | None, tolerance_minor: int) -> None:
        self._sessions = sessions
        self._reservation_ttl = reservation_ttl
        self._tolerance_minor = tolerance_minor

    @activity.defn
    async def change_order(self, asked: ChangeInput) -> ChangeAnswer:
        """Effect: lines, address, price, stock, books and approvals are as the change wants them; or it is refused
            and nothing is changed but that the story says so.
        Key: (order, change id) and the posting `changed/<order_no>/<change_id>`.
        Fails: order_not_found, change_unreadable, account_mapping_missing, fx_rate_missing (final).
        """
        with translated():
            try:
                async with self._sessions() as session, session.begin():
                    return await self._change(session, asked)
            except _NO_ANSWER:
                raise
            except DomainError as refused:
                return await self._refuse(asked, refused.code)

    async def _change(self, session: AsyncSession, asked: ChangeInput) -> ChangeAnswer:
        order = await orders.lock(session, asked.order_no)
        message = await inbox.of_order(session, asked.inbox_id, asked.order_no)
        if message is None or message.kind != CHANGE_REQUESTED:
            await events.record_forged(session, order, asked.inbox_id)
            return ChangeAnswer(StepResult(await orders.standing(session, asked.order_no)), "change_unreadable")
        wish = _Wish(message, _read(message), asked)
        known = await changing.find(session, asked.order_no, wish.wanted.change_id)
        if known is not None:
            # Whoever asks again because the answer was lost still has to begin anew, but never with goods on their way.
            packed = await shipping.parcels(session, asked.order_no)
            standing = await orders.standing(session, asked.order_no)
            return ChangeAnswer(StepResult(standing), relevant=known.relevant and not packed)
        if order.last_event_seq != asked.version:
            raise StalePreview(order_no=asked.order_no, version=order.last_event_seq)
        await post_unposted(session, order, asked.node)
        worked_out = await draft(session, order, wish.wanted, self._tolerance_minor)
        await self._apply(session, order, wish, worked_out)
        standing = await orders.standing(session, asked.order_no)
        orders.note_progress(order, standing)
        await stock.wake(session)
        return ChangeAnswer(StepResult(standing), relevant=worked_out.relevant)

    async def _apply(self, session: AsyncSession, order: Order, wish: _Wish, worked_out: Draft) -> None:
        rows = await orders.lines(session, order.order_no)
        promised = is_promised(rows)
        if worked_out.ship_to is not None:
            order.ship_to = dict(worked_out.ship_to)
        if worked_out.changes_lines:
            await _change_lines(session, order, rows, worked_out)
            if promised:
                await self._reserve(session, order)
            await _post(session, order, wish.wanted.change_id, worked_out)
        await give_back(session, order, wish.message, wish.wanted, worked_out)
        if worked_out.relevant:
            await approvals.void(session, order, "the order was changed")
            if worked_out.delta_minor > 0 and order.waiting_for and takes_money(order.waiting_for):
                # Whoever is to pay more has the whole time for it; others have what was left of theirs.
                orders.note_waiting(order, None, None)
            if order.payment_terms == credit.TERMS and worked_out.delta_minor > 0:
                # What was let in was less: it is looked at again.
                order.credit_state = None
        await settle_holds(session, order, worked_out)
        await record(session, order, wish.message, wish.wanted, worked_out)

    async def _reserve(self, session: AsyncSession, order: Order) -> None:
        expires_at = None if self._reservation_ttl is None else now() + self._reservation_ttl
        match await stock.reserve(session, order.order_no, expires_at):
            case stock.Reserved(allocations):
                if allocations:
                    told = {"warehouses": stock.units_by_warehouse(allocations)}
                    await events.record(session, order, Event("stock.reserved", told))
            case _:
                raise OutOfStock(order_no=order.order_no)

    async def _refuse(self, asked: ChangeInput, code: str) -> ChangeAnswer:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, asked.order_no)
            message = await inbox.of_order(session, asked.inbox_id, asked.order_no)
            if message is not None:
                wanted, message_id = _read(message), f"change_refused/{asked.inbox_id}/{asked.version}"
                if not await events.has_message(session, order.order_no, message_id):
                    told = {"change_id": wanted.change_id, "code": code}
                    refused = Event("order.change_refused", told, actor=message.actor, message_id=message_id)
                    await events.record(session, order, refused)
                inbox.mark_applied(message, "refused")
            return ChangeAnswer(StepResult(await orders.standing(session, asked.order_no)), code)


def _read(message: InboxMessage) -> ChangeWanted:
    try:
        return ChangeWanted.model_validate_json(message.body)
    except ValidationError:
        raise ChangeUnreadable(inbox_id=message.inbox_id) from None


async def _change_lines(session: AsyncSession, order: Order, rows: Sequence[OrderLine], worked_out: Draft) -> None:
    by_id = {row.line_id: row for row in rows}
    await _release(session, order, by_id, worked_out.lines)
    for position, line in enumerate(worked_out.lines, start=1):
        if line.fate is Fate.ADDED:
            session.add(line_of(order.order_no, position, line.value, line.price))
            continue
        row = by_id[line.value.line_id]
        if line.fate is Fate.REMOVED:
            row.cancelled = row.quantity
        elif line.fate is Fate.CHANGED:
            row.quantity = line.wanted
        for name, minor in price_of(line.price).items():
            setattr(row, name, minor)
    for name in ("list", "seller_discount", "platform_discount", "shipping", "total", "transaction", "net", "tax"):
        setattr(order, f"{name}_minor", getattr(worked_out.totals, f"{name}_minor"))
    await session.flush()


async def _release(session: AsyncSession, order: Order, rows: dict[str, OrderLine], lines: Sequence[LineAfter]) -> None:
    """What is promised of units that are not wanted any more; units that nothing is promised for go first."""
    surplus = {
        line.value.line_id: rows[line.value.line_id].allocated - line.wanted
        for line in lines
        if line.value.line_id in rows
    }
    freed = []
    for promised in await stock.reservations(session, order.order_no):
        units = min(promised.quantity, surplus.get(promised.line_id, 0))
        if units > 0:
            surplus[promised.line_id] -= units
            freed.append(Allocation(promised.line_id, promised.sku, promised.warehouse, units))
    if freed:
        await stock.release_units(session, order.order_no, freed)
        for row in rows.values():
            await session.refresh(row)
        told = {"warehouses": stock.units_by_warehouse(freed)}
        await events.record(session, order, Event("stock.released", told))


async def _post(session: AsyncSession, order: Order, change_id: str, worked_out: Draft) -> None:
    changed = sale_changed(worked_out.before, worked_out.after)
    entries = some(changed, compensation_absorbed(worked_out.back.absorbed_minor))
    await journal.post(session, PostingContext.of(order, now()), entries, f"changed/{order.order_no}/{change_id}")
    order.written_off_minor = worked_out.after.balances()[Role.ROUNDING]
