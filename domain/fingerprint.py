"""What two equal messages share: a hash of what they mean, however it was spelled."""

import json
from hashlib import sha256
from typing import Any


def fingerprint(meaning: Any) -> str:
    """The same for everything that is the same as JSON, whatever the order of its names."""
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
