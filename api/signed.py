"""Webhooks that come in: the signature is checked on the bytes as they came, and only then are they read."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import Request
from pydantic import BaseModel, Field

from api.body import check_json
from api.fields import Body, JsonObject, Moment
from api.problem import Refused
from api.verbatim import understood
from integrations.webhook_signature import SignatureInvalid, verify_webhook

_MESSAGE_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Webhook(Body):
    """A message after Standard Webhooks: what it is about, when it was made, and its content."""

    type: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
    timestamp: Moment
    data: JsonObject


class Taken(BaseModel):
    """The message is on record. `ignored`: we have no use for messages of this type."""

    message_id: str
    state: str


REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "Signed after Standard Webhooks: headers `webhook-id`, `webhook-timestamp`, `webhook-signature`",
        "content": {"application/json": {"schema": Webhook.model_json_schema()}},
    }
}


async def signed_message(request: Request, secrets: Sequence[str]) -> tuple[str, Webhook]:
    """The message's id and content. Raises Refused: 401 for another's signature, 400 or 422 for what it says."""
    raw = await request.body()
    try:
        verify_webhook(dict(request.headers), raw, secrets)
    except SignatureInvalid:
        raise Refused(401, SignatureInvalid.code, "The signature does not prove who sent this.") from None
    message_id = request.headers.get("webhook-id", "")
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise Refused(400, "malformed_webhook_id", "A webhook-id has 1 to 255 visible characters.")
    return message_id, understood(Webhook, check_json(raw))
