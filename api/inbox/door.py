"""The one door for facts: committed as they came, once, and only then on their way to their order."""

import json
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.inbox.hand_over import HandOver
from integrations.carrier.port import CarrierEvent
from runtime.database import Sessions
from store import inbox, shipping
from store.inbox import Incoming, Pending, Receipt, Start

PAYMENT_SETTLED: Final = "payment.settled"
PARCEL_SCANNED: Final = "parcel.scanned"
STOCK_REPLENISHED: Final = "stock.replenished"
API: Final = "api"
CARRIER: Final = "carrier"


async def _hand_over(request: Request) -> Any:
    return request.app.state.hand_over


HandOverDep = Annotated[HandOver | None, Depends(_hand_over)]


async def take(session: AsyncSession, message: Incoming, hand_over: HandOver | None, *, known: bool = True) -> Receipt:
    """Afterwards the message is committed and, if its order is known, on its way there. Raises MessageDiffers.

    A message for an order that is not `known` yet waits in the inbox and is handed over once the order has come.
    """
    new = await inbox.add_new(session, message, leased=known, last=True)
    await session.commit()
    receipt = new or await inbox.first_of(session, message)
    if known and not receipt.repeated:
        send(hand_over, receipt.inbox_id, message)
    return receipt


async def set_aside(session: AsyncSession, message: Incoming) -> Receipt:
    """Afterwards the message is committed, and nobody is to be told of it: we have no use for its kind."""
    receipt = await inbox.add(session, message)
    await inbox.set_aside(session, receipt.inbox_id, "unknown type")
    await session.commit()
    return receipt


async def note(session: AsyncSession, message: Incoming) -> Receipt:
    """Afterwards what a person asked for is committed in their own words; the asking itself goes as an update."""
    receipt = await inbox.add(session, message)
    await inbox.mark_handed_over(session, [receipt.inbox_id])
    await session.commit()
    return receipt


def asked(kind: str, order_no: str, request_id: str, said: dict[str, Any], actor: str) -> Incoming:
    """What a person asks for, under a message id that other words of the same request do not share."""
    body = json.dumps(said, ensure_ascii=False)
    words = sha256(body.encode()).hexdigest()[:12]
    return Incoming(API, f"{request_id}/{order_no}/{words}", kind, order_no, body, said, actor)


def send(hand_over: HandOver | None, inbox_id: int, message: Incoming, start: Start | None = None) -> None:
    """Afterwards the committed message is in line for Temporal; where nothing hands over, the sweeper finds it."""
    if hand_over is not None and message.order_no is not None:
        hand_over.soon(Pending(inbox_id, message.order_no, message.kind, message.message_id, start))


def scan_message(order_no: str, event: CarrierEvent, source: str, actor: str) -> Incoming:
    """What a carrier reports of a parcel of the order."""
    said = scan_facts(event)
    body = json.dumps(said, ensure_ascii=False)
    message_id = f"scan/{event.shipment_no}/{event.event_id}"
    return Incoming(source, message_id, PARCEL_SCANNED, order_no, body, said, actor)


def scan_facts(event: CarrierEvent) -> dict[str, str]:
    """A carrier's report as the inbox keeps it."""
    return {
        "event_id": event.event_id,
        "shipment_no": event.shipment_no,
        "status": event.status.value,
        "occurred_at": event.occurred_at.isoformat().replace("+00:00", "Z"),
    }


async def report_scan(sessions: Sessions, hand_over: HandOver | None, event: CarrierEvent) -> None:
    """Afterwards the carrier's report is committed and on its way. Raises LookupError: not a parcel of ours."""
    async with sessions() as session:
        shipment = await shipping.find(session, event.shipment_no)
        if shipment is None:
            raise LookupError(event.shipment_no)
        await take(session, scan_message(shipment.order_no, event, CARRIER, CARRIER), hand_over)
