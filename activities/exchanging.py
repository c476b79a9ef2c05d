"""Exchanges: once nothing more comes back, other goods go out as an order of their own, paid by what came back.

What the customer's money was for goes over to the replacement as a credit; it never becomes money in between. What it
does not use goes back to who paid.
"""

import json
from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import refunds
from activities.exchange_drafts import came_back
from activities.posting import post_unposted
from domain.exchanging import (
    REPLACEMENT,
    GoodsOut,
    external_id_of,
    goods_out,
    priced,
    replacement_number,
    total_of,
)
from domain.payment_plan import Kind
from domain.posting.roles import PaymentCategory
from models.columns import now
from models.order import Order
from models.payment import Payment, Refund
from models.returning import Return
from store import events, exchanging, flows, orders, payments, placing, refunding, returning
from store.events import Event
from store.inbox import Incoming
from store.placing import OrderDraft, Placed

ORDER_PLACED = "order.placed"


async def conclude(session: AsyncSession, order: Order, row: Return, tolerance_minor: int) -> None:
    """Afterwards the goods that the exchange is for are ordered, as far as units were accepted, and their credit is
    where it belongs: on the new order as much as that costs, the rest on its way back. What is missing and is no more
    than `tolerance_minor` is written off, as when a payment falls short.

    To be called once, when the return has ended, with the order's row locked.
    """
    number = replacement_number(order.channel, row.return_no)
    held = await exchanging.credits_held(session, order.order_no, number)
    announced = {line.line_id: line.quantity for line in await returning.lines_of(session, row.return_no)}
    given = await exchanging.given_back(session, row.return_no)
    back = await came_back(session, order, announced, given, sum(one.amount_minor for one in held))
    out = goods_out(back, await exchanging.wanted(session, row.return_no))
    used = await _share_out(session, order, held, total_of(out))
    if not out:
        return
    # Last of all: who is given a voucher number makes every other order wait.
    placed = await _place(session, order, row, out)
    row.replacement_no = placed.order_no
    replacement = await orders.get(session, placed.order_no)
    await _credit(session, replacement, placed.inbox_id, used)
    if 0 < (missing := await refunding.still_due(session, replacement)) <= tolerance_minor:
        replacement.written_off_minor = missing
    await post_unposted(session, replacement)
    told = {
        "return_no": row.return_no,
        "order_no": order.order_no,
        "replacement_no": number,
        "credit_minor": sum(one.amount_minor for one in used),
        "price_minor": total_of(out),
        "currency": order.currency,
    }
    await events.record(session, order, Event("exchange.placed", told))


async def _share_out(session: AsyncSession, order: Order, held: Sequence[Refund], price_minor: int) -> list[Refund]:
    """What pays for goods at this price; what is too much for that goes back as money."""
    used: list[Refund] = []
    back: list[Refund] = []
    for refund in held:
        part = min(refund.amount_minor, price_minor)
        price_minor -= part
        if part == 0:
            refund.credited_to = None
            back.append(refund)
            continue
        used.append(refund)
        if part < refund.amount_minor:
            payment = await session.get_one(Payment, (order.order_no, refund.payment_id))
            rest = [(payment, refund.amount_minor - part)]
            refund.amount_minor = part
            back += [one for one, _payment in await refunds.new_refunds(session, order, rest, f"rest/{refund.cause}")]
            session.add_all(back)
    await session.flush()
    for refund in back:
        await refunds.note_requested(session, order, refund, "return")
    for refund in used:
        await refunds.note_credited(session, order, refund)
    return used


async def _place(session: AsyncSession, order: Order, row: Return, out: Sequence[GoodsOut]) -> Placed:
    said = {
        "return_no": row.return_no,
        "order_no": order.order_no,
        "lines": [
            {
                "line_id": line.value.line_id,
                "sku": line.value.sku,
                "quantity": line.value.quantity,
                "payable_minor": line.price.payable_minor,
            }
            for line in out
        ],
    }
    number = replacement_number(order.channel, row.return_no)
    body, message_id = json.dumps(said), f"exchange/{row.return_no}"
    # Nobody hands it over at once: the sweeper finds it when this is committed.
    message = Incoming("orderflow", message_id, ORDER_PLACED, number, body, said, row.requested_by)
    wanted = OrderDraft(
        channel=order.channel,
        external_id=external_id_of(row.return_no),
        type=REPLACEMENT,
        currency=order.currency,
        lines=tuple(line.value for line in out),
        priced=priced(out),
        payment_method=order.payment_method,
        payment_terms="prepaid",
        placed_at=now(),
        source="exchange",
        actor=row.requested_by,
        # The prices are ours: what was paid for the goods that came back, or what was agreed.
        priced_by_client=True,
        customer_id=order.customer_id,
        contact=order.contact,
        ship_to=row.ship_to or order.ship_to,
        salesperson=order.salesperson,
        store=order.store,
        customs=order.customs,
        fx_rate=order.fx_rate,
    )
    in_force = await flows.in_force_for(session, wanted.order_no, wanted.channel, now())
    return await placing.place(session, wanted, message, in_force, leased=False)


async def _credit(session: AsyncSession, replacement: Order, inbox_id: int, used: Sequence[Refund]) -> None:
    """Afterwards the replacement is paid with these: each is a payment called like the refund that it is instead of."""
    for refund in used:
        payment = Payment(
            order_no=replacement.order_no,
            payment_id=refund.refund_id,
            inbox_id=inbox_id,
            method=PaymentCategory.EXCHANGE_CREDIT.value,
            category=PaymentCategory.EXCHANGE_CREDIT.value,
            kind=Kind.FULL.value,
            amount_minor=refund.amount_minor,
            currency=refund.currency,
            state=payments.UNPOSTED,
        )
        session.add(payment)
        replacement.paid_minor += refund.amount_minor
        told = {
            "payment_id": payment.payment_id,
            "method": payment.method,
            "kind": payment.kind,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "from_order_no": refund.order_no,
        }
        await session.flush()
        await events.record(session, replacement, Event("payment.received", told, actor=replacement.placed_by))
