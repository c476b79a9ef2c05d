"""/v1/webhooks/carrier: the carrier reports parcels itself, and signs what it says."""

from typing import Final

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, SettingsDep, public
from api.inbox.door import PARCEL_SCANNED, HandOverDep, scan_facts, set_aside, take
from api.problem import Refused
from api.shipping.schemas import AddressedScan
from api.signed import REQUEST_BODY, Taken, Webhook, signed_message
from api.verbatim import text_of, understood
from runtime.settings import Settings
from store import shipping
from store.inbox import Incoming

router = APIRouter(tags=["webhooks"], dependencies=[public("the signature proves who sent it")])
_UNKNOWN: Final = "webhook.unknown"
_SOURCE: Final = "webhook/carrier"


@router.post(
    "/v1/webhooks/carrier",
    status_code=202,
    summary="The carrier's webhook",
    responses={401: {}, 404: {}},
    openapi_extra=REQUEST_BODY,
)
async def receive_scan(request: Request, session: SessionDep, settings: SettingsDep, hand_over: HandOverDep) -> Taken:
    """`parcel.scanned` says of a shipment what `POST /v1/shipments/{shipment_no}/events` takes."""
    message_id, webhook = await signed_message(request, _secrets(settings))
    message = await _message(session, message_id, webhook)
    if message.kind == _UNKNOWN:
        await set_aside(session, message)
        return Taken(message_id=message_id, state="ignored")
    # A parcel that we do not know may be one we are about to hear of: the report waits, and is told of when it is old.
    await take(session, message, hand_over, known=message.order_no is not None)
    return Taken(message_id=message_id, state="received")


def _secrets(settings: Settings) -> list[str]:
    if settings.carrier_webhook_secret is None:
        raise Refused(404, "unknown_provider", "No carrier sends webhooks here.")
    return [settings.carrier_webhook_secret.get_secret_value()]


async def _message(session: AsyncSession, message_id: str, webhook: Webhook) -> Incoming:
    body = text_of(webhook.data)
    if webhook.type != PARCEL_SCANNED:
        return Incoming(_SOURCE, message_id, _UNKNOWN, None, body, webhook.data, _SOURCE)
    scan = understood(AddressedScan, webhook.data, "data")
    shipment = await shipping.find(session, scan.shipment_no)
    order_no = shipment.order_no if shipment is not None else None
    meaning = scan_facts(scan.event(scan.shipment_no))
    return Incoming(_SOURCE, message_id, PARCEL_SCANNED, order_no, body, meaning, _SOURCE)
