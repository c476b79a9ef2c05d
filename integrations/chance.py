"""Luck that can be repeated: simulators decide by it, whatever the order of calls or restarts of the process."""

import hashlib


def chance(seed: int, *about: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and what it is about."""
    digest = hashlib.sha256("\x1f".join((str(seed), *about)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def digits(count: int, *about: str) -> str:
    """`count` decimal digits that depend on nothing but what they are about; for made-up document numbers."""
    number = int.from_bytes(hashlib.sha256("\x1f".join(about).encode()).digest(), "big")
    return str(number % 10**count).zfill(count)
