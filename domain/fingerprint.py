"""What two equal messages, or flows, share: a hash of what they mean, however it was spelled."""

import json
from hashlib import sha256
from typing import Any


def fingerprint(meaning: Any) -> str:
    """SHA-256, as 64 lower-case hexadecimal digits: the same for everything that is canonically the same."""
    return sha256(canonical(meaning).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(meaning: Any) -> str:
    """The same text for everything that is the same as JSON, whatever the order of its names."""
    return json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
