"""Payloads that are encrypted before they leave the process for Temporal, and opened when they come back.

Off unless `ORDERFLOW_PAYLOAD_KEYS` is set. Each payload names the key that it was sealed with, so keys can be changed:
new payloads take the current one, old ones are read with theirs for as long as the settings hold it. A payload that was
never sealed is read as it is, so histories from before stay readable.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from runtime.settings import Settings

SEALED: Final = b"binary/encrypted"
_CIPHER: Final = b"AES-256-GCM"
_NONCE_BYTES: Final = 12


class CannotOpen(Exception):
    """A payload was sealed with a key that is not at hand, or is not what was sealed."""


class Sealing(PayloadCodec):
    """AES-256-GCM under named keys. The name of the key is authenticated with the payload."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Every payload sealed with the current key."""
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Every payload as it was. Raises CannotOpen."""
        return [self._open(payload) if _is_sealed(payload) else payload for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        # At random, and a key is changed long before 2**32 payloads: that is how often the same one may be expected.
        nonce, key_id = os.urandom(_NONCE_BYTES), self._current.encode()
        sealed = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), key_id)
        marks = {"encoding": SEALED, "encryption-cipher": _CIPHER, "encryption-key-id": key_id}
        return Payload(metadata=marks, data=nonce + sealed)

    def _open(self, payload: Payload) -> Payload:
        key_id = payload.metadata["encryption-key-id"]
        name = key_id.decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise CannotOpen(f"a payload is sealed with the key {name}, which ORDERFLOW_PAYLOAD_KEYS does not hold")
        try:
            opened = cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], key_id)
        except (InvalidTag, ValueError):
            told = f"a payload does not open with the key {name}: it was sealed with another, or changed"
            raise CannotOpen(told) from None
        return Payload.FromString(opened)


def sealing(settings: Settings) -> Sealing | None:
    """What the settings say about encryption; None: payloads go as they are."""
    keys = {key_id: base64.b64decode(key.get_secret_value()) for key_id, key in settings.payload_keys.items()}
    return Sealing(keys, settings.sealing_key) if keys else None


def _is_sealed(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == SEALED
