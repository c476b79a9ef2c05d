"""Lists in pages: an opaque cursor says after which key the next page begins, so that new rows never shift a page."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement

from api.problem import FieldProblem, unprocessable

MAX_LIMIT: Final = 200
_CHECK_BYTES: Final = 6
View = TypeVar("View")
Row = TypeVar("Row")
CursorValue = str | int | datetime | date


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the headers its answer will have."""

    request: Request
    response: Response


async def _exchange(request: Request, response: Response) -> Exchange:
    return Exchange(request, response)


ExchangeDep = Annotated[Exchange, Depends(_exchange)]


class Filters(BaseModel):
    """Which rows a list or an export is about; anything it does not know is refused, so no misspelt filter passes."""

    model_config = ConfigDict(extra="forbid")

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """What a row must fulfil; nothing unless a resource has filters of its own."""
        return ()


class ListQuery(Filters):
    """What every list takes besides its filters."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    cursor: Annotated[str | None, Field(max_length=500, description="`next_cursor` of the page before")] = None


class Page(BaseModel, Generic[View]):
    """One page of a list; `next_cursor` is null on the last one."""

    data: list[View]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list: its name and the types of the values that its rows are sorted by."""

    name: str
    kinds: tuple[type[CursorValue], ...]

    def encode(self, values: Sequence[CursorValue]) -> str:
        """The cursor of the row that has these values."""
        plain = json.dumps([value.isoformat() if isinstance(value, date) else value for value in values])
        return base64.urlsafe_b64encode(self._check(plain) + plain.encode()).decode().rstrip("=")

    def decode(self, cursor: str | None) -> tuple[Any, ...] | None:
        """The values the next page begins after; None for the first page. Raises Refused (422) for any other text."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            plain = raw[_CHECK_BYTES:].decode()
            values = json.loads(plain)
            if raw[:_CHECK_BYTES] != self._check(plain) or len(values) != len(self.kinds):
                raise ValueError("not a cursor of this list")
            return tuple(_typed(value, kind) for value, kind in zip(values, self.kinds, strict=True))
        except (ValueError, TypeError, binascii.Error):
            problem = FieldProblem(
                pointer=None, parameter="cursor", code="invalid_cursor", detail="Not a cursor that this list gave"
            )
            raise unprocessable([problem]) from None

    def _check(self, plain: str) -> bytes:
        return sha256(f"{self.name}\n{plain}".encode()).digest()[:_CHECK_BYTES]


def _typed(value: Any, kind: type[CursorValue]) -> Any:
    if kind is datetime or kind is date:
        return kind.fromisoformat(value)
    if type(value) is not kind:
        raise TypeError("another type")
    return value


def page_of(
    rows: Sequence[Row],
    query: ListQuery,
    exchange: Exchange,
    key: tuple[Keyset, Callable[[Row], Sequence[CursorValue]]],
    view: Callable[[Row], View],
) -> Page[View]:
    """The page from up to `limit + 1` rows: the one too many only says that there is a next page, told in `Link`."""
    shown = rows[: query.limit]
    if len(rows) <= query.limit:
        return Page(data=[view(row) for row in shown], next_cursor=None)
    keyset, values_of = key
    cursor = keyset.encode(values_of(shown[-1]))
    following = exchange.request.url.include_query_params(cursor=cursor)
    exchange.response.headers["Link"] = f'<{following}>; rel="next"'
    return Page(data=[view(row) for row in shown], next_cursor=cursor)
