"""Signatures of webhooks in both directions, after the Standard Webhooks specification (HMAC, `v1`).

Several secrets may be in force while one replaces another: we sign with all of them and accept any of them.
"""

import base64
import binascii
import hmac
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

_SECRET_BYTES = range(24, 65)


class SignatureInvalid(Exception):
    """The message was not signed with a secret we share, or not within five minutes of now."""

    code = "signature_invalid"
    retryable = False


class SecretInvalid(Exception):
    """A secret is not `whsec_` followed by 24 to 64 bytes in base64."""

    code = "webhook_secret_invalid"
    retryable = False


def new_secret() -> str:
    """A fresh secret for one endpoint."""
    return "whsec_" + base64.b64encode(randomness.token_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Raise SecretInvalid unless this can sign."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise SecretInvalid("not base64") from problem
    if not secret.startswith("whsec_") or len(key) not in _SECRET_BYTES:
        raise SecretInvalid("wrong prefix or length")


def sign(message_id: str, at: datetime, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers that prove who sent `body` and when; SecretInvalid if a secret cannot sign."""
    if not secrets:
        raise SecretInvalid("none given")
    for secret in secrets:
        check_secret(secret)
    # The library reads the clock face and takes it for UTC, whatever the zone.
    at = at.astimezone(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets),
    }


def verify_webhook(headers: Mapping[str, str], raw_body: bytes, secrets: str | Sequence[str]) -> None:
    """Return if the body arrived as signed with one of the secrets, less than five minutes ago.

    SignatureInvalid otherwise, whatever else is wrong with headers or body. Must see the bytes before any parsing.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    timestamp = lowered.get("webhook-timestamp", "")
    if re.fullmatch("[0-9]{1,12}", timestamp) is None:
        raise SignatureInvalid("no usable timestamp")
    accepted = [secrets] if isinstance(secrets, str) else secrets
    if not any(_is_signed_with(secret, lowered, raw_body) for secret in accepted):
        raise SignatureInvalid("no matching signature")


def _is_signed_with(secret: str, headers: dict[str, str], raw_body: bytes) -> bool:
    try:
        webhook = Webhook(secret)
        webhook.verify(raw_body, headers, json_parse=False)
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = webhook.sign(headers["webhook-id"], at, raw_body.decode())
    # ValueError: signature without comma, bytes that are no UTF-8, broken base64; the library lets them through.
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
        return False
    # Base64 has several spellings for the same bytes; only the one that was signed counts.
    given = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)
