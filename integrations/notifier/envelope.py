"""How a message goes on the wire: its headers, and the reasons why one cannot go at all."""

import re
from datetime import datetime

from integrations.notifier.port import MESSAGE_LIMIT_BYTES, DeliveryOutcome, DeliveryResult, OutboundMessage
from integrations.webhook_signature import SecretInvalid, sign


def sealed(message: OutboundMessage, at: datetime) -> dict[str, str] | DeliveryResult:
    """The headers of an attempt made at this moment, or why there can be none.

    A message that no endpoint could take is refused for good; a bad secret is for the endpoint's owner to mend.
    """
    if len(message.body) >= MESSAGE_LIMIT_BYTES:
        return DeliveryResult(DeliveryOutcome.REFUSED, "message_too_large")
    if re.fullmatch("[!-~]{1,255}", message.message_id) is None:
        return DeliveryResult(DeliveryOutcome.REFUSED, "message_id_invalid")
    try:
        body = message.body.decode()
    except UnicodeDecodeError:
        return DeliveryResult(DeliveryOutcome.REFUSED, "message_not_utf8")
    try:
        headers = sign(message.message_id, at, body, message.secret.split())
    except SecretInvalid as problem:
        return DeliveryResult(DeliveryOutcome.RETRY, problem.code)
    return {**headers, "content-type": "application/json"}
