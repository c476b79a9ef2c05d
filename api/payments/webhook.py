"""/v1/webhooks/payments: payment providers report money themselves, and sign what they say."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, SettingsDep, public
from api.inbox.door import PAYMENT_SETTLED, HandOverDep, set_aside, take
from api.payments.schemas import AddressedPayment
from api.problem import Refused
from api.signed import REQUEST_BODY, Taken, Webhook, signed_message
from api.verbatim import text_of, understood
from models.order import Order
from runtime.settings import Settings
from store.inbox import Incoming

router = APIRouter(tags=["webhooks"], dependencies=[public("the signature proves who sent it")])
_UNKNOWN: Final = "webhook.unknown"
Provider = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]


@router.post(
    "/v1/webhooks/payments/{provider}",
    status_code=202,
    summary="A payment provider's webhook",
    responses={401: {}, 404: {}},
    openapi_extra=REQUEST_BODY,
)
async def receive_payment(
    provider: Provider, request: Request, session: SessionDep, settings: SettingsDep, hand_over: HandOverDep
) -> Taken:
    """`payment.settled` names the order as `POST /v1/payments:batch` does, and may come before it."""
    message_id, webhook = await signed_message(request, _secrets(settings, provider))
    message, known = await _message(session, f"webhook/{provider}", message_id, webhook)
    if message.kind == _UNKNOWN:
        await set_aside(session, message)
        return Taken(message_id=message_id, state="ignored")
    await take(session, message, hand_over, known=known)
    return Taken(message_id=message_id, state="received")


def _secrets(settings: Settings, provider: str) -> list[str]:
    secret = settings.payment_webhook_secrets.get(provider)
    if secret is None:
        raise Refused(404, "unknown_provider", "There is no payment provider of this name.")
    return [secret.get_secret_value()]


async def _message(session: AsyncSession, source: str, message_id: str, webhook: Webhook) -> tuple[Incoming, bool]:
    body = text_of(webhook.data)
    if webhook.type != PAYMENT_SETTLED:
        return Incoming(source, message_id, _UNKNOWN, None, body, webhook.data, source), False
    payment = understood(AddressedPayment, webhook.data, "data")
    known = await session.get(Order, payment.number) is not None
    meaning = payment.meaning | {"order_no": payment.number}
    return Incoming(source, message_id, PAYMENT_SETTLED, payment.number, body, meaning, source), known
