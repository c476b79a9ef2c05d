"""Order numbers that follow from what the channel calls the order: the same request always names the same one."""

from hashlib import sha256

# Crockford's base 32: no I, L, O or U that people mistake for digits or for words.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 16


def order_number(channel: str, external_id: str) -> str:
    """`SO` and 80 bits of a hash: at a million a day, two meet within ten years with odds of 1 to 100,000."""
    return "SO" + base32(sha256(f"{channel}\x1f{external_id}".encode()).digest())


def base32(digest: bytes) -> str:
    """80 bits of a hash as 16 characters."""
    number = int.from_bytes(digest)
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(_LENGTH))
