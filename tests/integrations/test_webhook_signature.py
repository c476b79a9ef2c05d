import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.clock import utc_now
from integrations.webhook_signature import (
    SecretInvalid,
    SignatureInvalid,
    check_secret,
    new_secret,
    sign,
    verify_webhook,
)

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = '{"type": "payment.succeeded", "note": "已付款"}'


def signed(at: datetime | None = None, *secrets: str) -> dict[str, str]:
    return sign("evt_1", at or utc_now(), BODY, secrets or (SECRET,))


def test_what_was_signed_is_accepted() -> None:
    verify_webhook(signed(), BODY.encode(), SECRET)
    verify_webhook({name.title(): value for name, value in signed().items()}, BODY.encode(), SECRET)


def test_the_moment_is_the_same_in_every_time_zone() -> None:
    at = datetime(2026, 11, 22, 12, 0, 0, 999999, tzinfo=UTC)
    assert signed(at.astimezone(timezone(timedelta(hours=8)))) == signed(at)
    assert signed(at)["webhook-timestamp"] == "1795348800"


def test_secrets_can_be_replaced_without_a_gap() -> None:
    verify_webhook(signed(None, OTHER, SECRET), BODY.encode(), SECRET)
    verify_webhook(signed(None, SECRET), BODY.encode(), [OTHER, SECRET])
    verify_webhook(signed(None, SECRET), BODY.encode(), ["not a secret", SECRET])
    with pytest.raises(SignatureInvalid):
        verify_webhook(signed(None, SECRET), BODY.encode(), OTHER)
    with pytest.raises(SignatureInvalid):
        verify_webhook(signed(None, SECRET), BODY.encode(), [])


@pytest.mark.parametrize(
    ("minutes", "accepted"), [(-4.9, True), (4.9, True), (-5.1, False), (5.1, False), (-60, False)]
)
def test_a_message_is_good_for_five_minutes(minutes: float, accepted: bool) -> None:
    headers = signed(utc_now() + timedelta(minutes=minutes))
    if accepted:
        verify_webhook(headers, BODY.encode(), SECRET)
    else:
        with pytest.raises(SignatureInvalid):
            verify_webhook(headers, BODY.encode(), SECRET)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_flipped_bit_of_a_header_is_noticed(name: str) -> None:
    headers = signed()
    for position, character in enumerate(headers[name]):
        for bit in range(8):
            flipped = headers[name][:position] + chr(ord(character) ^ 1 << bit) + headers[name][position + 1 :]
            with pytest.raises(SignatureInvalid):
                verify_webhook({**headers, name: flipped}, BODY.encode(), SECRET)


def test_every_flipped_bit_of_the_body_is_noticed() -> None:
    headers, body = signed(), BODY.encode()
    for position in range(len(body)):
        for bit in range(8):
            flipped = body[:position] + bytes([body[position] ^ 1 << bit]) + body[position + 1 :]
            with pytest.raises(SignatureInvalid):
                verify_webhook(headers, flipped, SECRET)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", ["", " ", "v1", "v1,", "v1,,", "v1,not base64!", "nan", "inf", "1e9", "1_7", "٣", "9" * 400, "é", "\ud800"]
)
def test_headers_that_make_no_sense_are_refused_and_nothing_worse(name: str, value: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify_webhook({**signed(), name: value}, BODY.encode(), SECRET)


@given(
    headers=st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()),
    body=st.binary(),
)
def test_no_input_does_worse_than_be_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify_webhook(headers, body, SECRET)


def test_a_new_secret_is_fit_for_use_and_new() -> None:
    secrets = {new_secret() for _ in range(10)}
    assert len(secrets) == 10
    for secret in secrets:
        check_secret(secret)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        "whsec_!!!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_é",
    ],
)
def test_a_secret_that_protects_nothing_is_not_signed_with(secret: str) -> None:
    with pytest.raises(SecretInvalid):
        sign("evt_1", utc_now(), BODY, [SECRET, secret])


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(SecretInvalid):
        sign("evt_1", utc_now(), BODY, [])
