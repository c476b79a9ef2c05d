"""Payments: money that a caller says has come in, for one order or for many, and what became of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from api.batch import BatchResult, Taken, one_by_one
from api.dependencies import SessionsDep, requires
from api.fields import Key
from api.idempotency import REPLAYED
from api.inbox.door import HandOverDep, take
from api.orders.seen import PaymentsOf, ToPay
from api.payments.reporting import PaymentNotFound, check_currency, payment_message, report_addressed, waiting_payment
from api.payments.schemas import PaymentBatch, PaymentList, PaymentSent, PaymentTaken, PaymentView
from api.verbatim import verbatim
from domain.access import Permission, Principal
from store import payments

router = APIRouter(tags=["payments"])
Cashier = Annotated[Principal, requires(Permission.PAYMENTS_RECORD)]


@router.post("/v1/orders/{order_no}/payments", status_code=202, summary="Report a payment")
async def report_payment(
    seen: ToPay, payment: PaymentSent, request: Request, response: Response, hand_over: HandOverDep
) -> PaymentTaken:
    """A fact: it is kept whatever the order's state. The same `payment_id` has one effect; other content gets 422."""
    check_currency(seen.order, payment)
    message = payment_message(seen.order_no, payment, await verbatim(request), seen.caller.actor)
    receipt = await take(seen.session, message, hand_over)
    taken = PaymentTaken.of(seen.order_no, payment.payment_id)
    response.headers["Location"] = taken.links["self"]
    if receipt.repeated:
        response.headers.update(REPLAYED)
    return taken


@router.post("/v1/payments:batch", summary="Report up to 500 payments")
async def report_payments(
    batch: PaymentBatch, request: Request, caller: Cashier, sessions: SessionsDep, hand_over: HandOverDep
) -> BatchResult:
    """Each payment is taken or refused by itself. One whose order has not come yet waits for it."""

    async def take_one(item: dict[str, Any]) -> Taken:
        async with sessions() as session:
            return await report_addressed(session, hand_over, item, caller)

    return await one_by_one(request, batch.payments, take_one)


@router.get("/v1/orders/{order_no}/payments", summary="The payments of an order")
async def list_payments(seen: PaymentsOf) -> PaymentList:
    rows = await payments.of_order(seen.session, seen.order_no)
    return PaymentList(data=[PaymentView.of(row) for row in rows], next_cursor=None)


@router.get("/v1/orders/{order_no}/payments/{payment_id}", summary="One payment of an order")
async def get_payment(payment_id: Key, seen: PaymentsOf) -> PaymentView:
    """Found from the moment it was reported; `received` until it is set against the order."""
    row = await payments.find(seen.session, seen.order_no, payment_id)
    if row is not None:
        return PaymentView.of(row)
    waiting = await waiting_payment(seen, payment_id)
    if waiting is None:
        raise PaymentNotFound(payment_id=payment_id)
    return waiting
