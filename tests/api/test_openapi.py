"""The description of the API: committed, complete, and free of what would make clients guess."""

from pathlib import Path
from typing import Any

import pytest

from cli.openapi import DOCUMENT, openapi_text

DESCRIPTION = Path(__file__).parents[2] / DOCUMENT


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(openapi_text())
    return found


def test_committed_description_is_that_of_the_code() -> None:
    assert DESCRIPTION.read_text(encoding="utf-8") == openapi_text(), f"run: orderflow openapi --out {DOCUMENT}"


def test_request_bodies_take_no_unknown_fields(document: dict[str, Any]) -> None:
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"].get("$ref", "").rsplit("/", 1)[-1]
        for item in document["paths"].values()
        for operation in item.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    schemas = document["components"]["schemas"]
    assert {"PlaceOrder", "PaymentSent", "ScanSent", "ReceiptSent", "CancelOrder", "ResolveHold"} <= bodies
    assert [name for name in bodies if name and schemas[name].get("additionalProperties") is not False] == []


def test_problems_are_told_as_problems(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            failures = {code: answer for code, answer in operation["responses"].items() if code[0] in "45"}
            assert {answer["$ref"] for answer in failures.values()} == {"#/components/responses/Problem"}, (verb, path)


def test_every_operation_has_a_summary_and_a_tag(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert [operation["operationId"] for operation in operations if not operation.get("summary")] == []
    assert [operation["operationId"] for operation in operations if not operation.get("tags")] == []
