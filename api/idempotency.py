"""The header by which a client says that two requests are the same one."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header

from api.problem import Refused

MAX_KEY: Final = 255
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def key_in(header: str | None) -> str | None:
    """The key of an `Idempotency-Key` header, quoted as the standard wants it or not. Raises Refused (400)."""
    if header is None:
        return None
    quoted = _QUOTED.fullmatch(header.strip())
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else header.strip()
    if not 0 < len(key) <= MAX_KEY or _VISIBLE.fullmatch(key) is None:
        raise Refused(400, "malformed_idempotency_key", f"An Idempotency-Key has 1 to {MAX_KEY} visible characters.")
    return key


async def _key(
    idempotency_key: Annotated[
        str | None, Header(description=f"1 to {MAX_KEY} visible characters, in quotes or not", max_length=600)
    ] = None,
) -> str | None:
    return key_in(idempotency_key)


KeyDep = Annotated[str | None, Depends(_key)]
REPLAYED: Final = {"Idempotent-Replayed": "true"}
