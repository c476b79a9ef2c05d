"""AES-256-GCM under keys that can be changed: what was encrypted says which key opens it."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT: Final = 1
_NONCE: Final = 12
_KEY: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class UnusableKeys(ValueError):
    """These are no keys; it says why, and never shows one."""


class CannotDecrypt(Exception):
    """The key is not in the ring, or this is not what was encrypted under it."""


class KeyRing:
    """Keys by their names. The first encrypts; each of the others still opens what it once encrypted."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Raises UnusableKeys unless there is a key, each of 32 bytes under a name of up to 32 characters."""
        if not keys:
            raise UnusableKeys("at least one key is needed")
        for key_id, key in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise UnusableKeys("the name of a key has up to 32 letters, digits, - and _")
            if len(key) != _KEY:
                raise UnusableKeys(f"the key {key_id} is not of 32 bytes")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))

    @classmethod
    def of(cls, written: Mapping[str, str]) -> Self:
        """The ring of keys that are written in base64. Raises UnusableKeys."""
        keys: dict[str, bytes] = {}
        for key_id, encoded in written.items():
            try:
                keys[key_id] = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raise UnusableKeys(f"the key {key_id[:32]} is not in base64") from None
        return cls(keys)

    def encrypt(self, plain: bytes, about: bytes = b"") -> bytes:
        """The text under the current key, whose name stands in front; it opens for the same `about` alone."""
        head = _head(self.current)
        nonce = os.urandom(_NONCE)
        return head + nonce + self._ciphers[self.current].encrypt(nonce, plain, head + about)

    def decrypt(self, sealed: bytes, about: bytes = b"") -> bytes:
        """What was encrypted, under whichever key of the ring. Raises CannotDecrypt."""
        key_id = key_id_of(sealed)
        cipher, head = self._ciphers.get(key_id), _head(key_id)
        if cipher is None:
            raise CannotDecrypt(f"the key {key_id} is none of those that are set")
        nonce, body = sealed[len(head) : len(head) + _NONCE], sealed[len(head) + _NONCE :]
        try:
            return cipher.decrypt(nonce, body, head + about)
        except (InvalidTag, ValueError):
            raise CannotDecrypt(f"this was not encrypted under the key {key_id}, or was altered") from None


def key_id_of(sealed: bytes) -> str:
    """The name of the key that opens it. Raises CannotDecrypt."""
    if len(sealed) < 2 or sealed[0] != _FORMAT:
        raise CannotDecrypt("this is nothing that was encrypted here")
    key_id = sealed[2 : 2 + sealed[1]].decode("ascii", "replace")
    if not _KEY_ID.fullmatch(key_id):
        raise CannotDecrypt("this is nothing that was encrypted here")
    return key_id


def _head(key_id: str) -> bytes:
    return bytes((_FORMAT, len(key_id))) + key_id.encode("ascii")
