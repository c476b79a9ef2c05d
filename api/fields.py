"""The types that request fields share: what a text, a key, an amount, a rate or a moment may look like."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from domain.money import MAX_MINOR, is_currency

MAX_QUANTITY: Final = 1_000_000
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
_RFC3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class Body(BaseModel):
    """What a request may say: nothing but the named fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _currency(code: str) -> str:
    if not is_currency(code):
        raise PydanticCustomError("unknown_currency", "Not an ISO 4217 currency in use")
    return code


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise PydanticCustomError("unknown_time_zone", "Not a time zone of the IANA database")
    return name


def _spelled_out(given: Any) -> Any:
    # Left to itself pydantic takes a bare number for seconds, or milliseconds, since 1970.
    if isinstance(given, datetime) or (isinstance(given, str) and _RFC3339.match(given)):
        return given
    raise PydanticCustomError("not_rfc3339", "A moment is written as in 2026-11-22T10:00:00Z")


def _written_out(given: Any) -> Any:
    if isinstance(given, date) or (isinstance(given, str) and _DAY.fullmatch(given)):
        return given
    raise PydanticCustomError("not_a_day", "A day is written as in 2026-11-22")


def _moment(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    if not _EARLIEST <= at < _LATEST:
        raise PydanticCustomError("moment_out_of_range", "The moment must lie between 1970 and 2200")
    return at


def rfc3339(at: datetime) -> str:
    """The moment in UTC as RFC 3339 with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
"""One line of text: no control characters, at least one character."""

LongText = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$")]
"""Text that may have several lines."""

Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:@+~-]*$")]
"""A business key that can stand in an address: SKU, customer id, warehouse code."""

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
"""A name in lower case for something that we configure: a destination, a payment method, a level."""

Currency = Annotated[
    str, Field(min_length=3, max_length=3, pattern="^[A-Z]{3}$", examples=["CNY"]), AfterValidator(_currency)
]
AmountMinor = Annotated[int, Field(strict=True, ge=0, le=MAX_MINOR)]
PositiveMinor = Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY)]
TaxRate = Annotated[
    Decimal,
    Field(ge=0, lt=1, max_digits=7, decimal_places=6, examples=["0.13"]),
    PlainSerializer(_plain, return_type=str, when_used="json"),
]
"""A share of the net amount, as text: `"0.13"`."""

ExchangeRate = Annotated[
    Decimal,
    Field(gt=0, lt=100_000_000, max_digits=18, decimal_places=10, examples=["7.1034"]),
    PlainSerializer(_plain, return_type=str, when_used="json"),
]
TimeZone = Annotated[str, Field(max_length=64, examples=["Asia/Shanghai"]), AfterValidator(_time_zone)]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_spelled_out),
    AfterValidator(_moment),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A point in time with its offset, kept in UTC."""

Day = Annotated[date, BeforeValidator(_written_out)]
"""A day of the calendar, as `2026-11-22`."""

Flag = Annotated[bool, Field(strict=True)]
"""True or false, and neither 1 nor 0 for them."""

JsonObject = dict[str, Any]
