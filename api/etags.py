"""Two people change one thing: who writes says which revision they have read, in the headers made for that."""

import re
from typing import Annotated, Final

from fastapi import Header

from api.problem import Refused

_TAG: Final = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
IfMatch = Annotated[str | None, Header(max_length=40, description="The `ETag` of what was read")]
IfNoneMatch = Annotated[str | None, Header(max_length=40, description="`*`: there is to be none yet")]


def etag(revision: int) -> str:
    """What the header `ETag` says of this revision."""
    return f'"{revision}"'


def expected_revision(if_match: str | None, if_none_match: str | None = None) -> int | None:
    """The revision that was read; None: none is to be there. Raises Refused: 428 without either, 400 for other tags."""
    tag = _TAG.fullmatch(if_match.strip()) if if_match is not None else None
    if tag is not None and if_none_match is None:
        return int(tag[1])
    if if_match is None and if_none_match is not None and if_none_match.strip() == "*":
        return None
    if if_match is None and if_none_match is None:
        detail = 'This needs If-Match with the ETag that was read, or "If-None-Match: *" for something new.'
        raise Refused(428, "precondition_required", detail)
    raise Refused(400, "malformed_etag", "The header has no ETag that we have given.")
