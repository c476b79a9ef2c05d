"""How values become payloads: as the SDK makes them, with less work for it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import PayloadConverter

from runtime import temporal


@dataclass(frozen=True)
class Told:
    """Of every kind that payloads have."""

    order_no: str
    at: datetime
    parts: tuple[tuple[str, int], ...] = ()


_TOLD = Told("SO-1", datetime(2026, 11, 30, tzinfo=UTC), (("a", 1),))


def _new() -> PayloadConverter:
    """As the SDK makes one for every workflow."""
    return type(temporal.converter(None))(temporal.converter(None).payload_converter_class).payload_converter


def test_payloads_are_those_of_the_sdk() -> None:
    assert _new().to_payloads([_TOLD, None, b"x"]) == pydantic_data_converter.payload_converter.to_payloads(
        [_TOLD, None, b"x"]
    )
    theirs = pydantic_data_converter.payload_converter.to_payloads([_TOLD])
    assert _new().from_payloads(theirs, [Told]) == [_TOLD]


def test_type_is_looked_into_once_for_all_workflows() -> None:
    looked_into = temporal._JSON._type_adapter.cache_info
    payloads = _new().to_payloads([_TOLD])
    _new().from_payloads(payloads, [Told])
    before = looked_into()
    _new().from_payloads(payloads, [Told])
    assert (looked_into().misses, looked_into().hits) == (before.misses, before.hits + 1)
