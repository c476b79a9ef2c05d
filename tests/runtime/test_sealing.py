"""Payloads on their way to Temporal and back: sealed with the current key, opened with theirs, refused otherwise."""

import base64
import json

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from runtime.keyring import KeyRing
from runtime.sealing import SEALED, CannotOpen, Sealing, sealing
from runtime.settings import Settings, UnusableSettings, load_settings
from runtime.temporal import converter

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data='{"name": "王小明"}'.encode())


async def test_what_is_sealed_is_opened_again_and_shows_nothing_on_the_way() -> None:
    codec = Sealing(KeyRing({"k1": OLD}))
    (sealed,) = await codec.encode([PLAIN])
    assert sealed.metadata["encoding"] == SEALED
    assert sealed.metadata["encryption-key-id"] == b"k1"
    assert PLAIN.data not in sealed.SerializeToString()
    assert await codec.decode([sealed]) == [PLAIN]


async def test_the_same_payload_never_looks_the_same_twice() -> None:
    first, second = await Sealing(KeyRing({"k1": OLD})).encode([PLAIN, PLAIN])
    assert first.data != second.data


async def test_after_a_change_of_keys_old_payloads_are_read_and_new_ones_take_the_new_key() -> None:
    (old,) = await Sealing(KeyRing({"k1": OLD})).encode([PLAIN])
    both = Sealing(KeyRing({"k2": NEW, "k1": OLD}))
    (new,) = await both.encode([PLAIN])
    assert new.metadata["encryption-key-id"] == b"k2"
    assert await both.decode([old, new]) == [PLAIN, PLAIN]


async def test_a_key_that_is_not_there_is_named() -> None:
    (old,) = await Sealing(KeyRing({"k1": OLD})).encode([PLAIN])
    with pytest.raises(CannotOpen, match="ORDERFLOW_PAYLOAD_KEYS: the key k1 is none"):
        await Sealing(KeyRing({"k2": NEW})).decode([old])


async def test_another_key_of_the_same_name_opens_nothing() -> None:
    (old,) = await Sealing(KeyRing({"k1": OLD})).encode([PLAIN])
    with pytest.raises(CannotOpen, match="not encrypted under the key k1, or was altered"):
        await Sealing(KeyRing({"k1": NEW})).decode([old])


async def test_a_payload_that_was_changed_or_given_another_name_is_refused() -> None:
    codec = Sealing(KeyRing({"k1": OLD, "k2": OLD}))
    (sealed,) = await codec.encode([PLAIN])
    for at in (0, 12, len(sealed.data) - 1):
        bent = bytearray(sealed.data)
        bent[at] ^= 1
        with pytest.raises(CannotOpen):
            await codec.decode([Payload(metadata=sealed.metadata, data=bytes(bent))])
    renamed = sealed.data.replace(b"k1", b"k2", 1)
    for bent_more in (renamed, b"", sealed.data[:20]):
        with pytest.raises(CannotOpen):
            await codec.decode([Payload(metadata=sealed.metadata, data=bent_more)])


async def test_payloads_from_before_are_read_as_they_are() -> None:
    assert await Sealing(KeyRing({"k1": OLD})).decode([PLAIN]) == [PLAIN]


async def test_failures_are_sealed_with_their_message_and_trace() -> None:
    sealed_by, failure = converter(Sealing(KeyRing({"k1": OLD}))), Failure()
    await sealed_by.encode_failure(ValueError("Wang is not at home"), failure)
    assert "Wang" not in str(failure)
    assert "Wang is not at home" in str(await sealed_by.decode_failure(failure))


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_without_keys_nothing_is_sealed_and_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sealing(Settings()) is None
    monkeypatch.setenv("ORDERFLOW_PAYLOAD_KEYS", json.dumps({"k1": _text(OLD)}))
    settings = load_settings()
    assert sealing(settings) is not None
    assert _text(OLD) not in json.dumps(settings.masked())


@pytest.mark.parametrize("key", ["short", _text(OLD[:16]), "%"])
def test_keys_that_cannot_work_are_refused_without_being_told(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ORDERFLOW_PAYLOAD_KEYS", json.dumps({"k1": key}))
    with pytest.raises(UnusableSettings, match="ORDERFLOW_PAYLOAD_KEYS: the key k1 is not") as refused:
        load_settings()
    assert f" {key} " not in str(refused.value)
