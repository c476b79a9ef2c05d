"""Payloads that are encrypted before they leave the process for Temporal, and opened when they come back.

Off unless `ORDERFLOW_PAYLOAD_KEYS` is set. Each payload names the key that it was sealed with, so keys can be changed:
new payloads take the first one, old ones are read with theirs for as long as the settings hold it. A payload that was
never sealed is read as it is, so histories from before stay readable.
"""

from collections.abc import Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from runtime.keyring import CannotDecrypt, KeyRing
from runtime.settings import Settings, ring_of

SEALED: Final = b"binary/encrypted"


class CannotOpen(Exception):
    """A payload was sealed with a key that is not at hand, or is not what was sealed."""


class Sealing(PayloadCodec):
    """AES-256-GCM under the keys of a ring."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Every payload sealed with the current key."""
        # The ring reads the name of the key in what it encrypted; this one is for people.
        marks = {"encoding": SEALED, "encryption-key-id": self._keys.current.encode()}
        return [Payload(metadata=marks, data=self._keys.encrypt(plain.SerializeToString())) for plain in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Every payload as it was. Raises CannotOpen."""
        return [self._open(payload) if _is_sealed(payload) else payload for payload in payloads]

    def _open(self, payload: Payload) -> Payload:
        try:
            return Payload.FromString(self._keys.decrypt(payload.data))
        except CannotDecrypt as why:
            raise CannotOpen(f"a payload does not open with ORDERFLOW_PAYLOAD_KEYS: {why}") from None


def sealing(settings: Settings) -> Sealing | None:
    """What the settings say about encryption; None: payloads go as they are."""
    return Sealing(ring_of(settings.payload_keys)) if settings.payload_keys else None


def _is_sealed(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == SEALED
