"""Every failed request is answered with a problem that tells what is wrong and nothing that was sent."""

import importlib
import json
import pkgutil
import re

import httpx
import pytest
from fastapi import APIRouter

import domain
import store
from api.errors import SITUATIONS
from api.problem import Problem
from domain.errors import DomainError
from tests.api.conftest import PROBLEM, Api, As

SECRET = "13800138000"
BODY = {"name": "Cup"}


def problem_of(answer: httpx.Response, status: int, code: str) -> Problem:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    problem = Problem.model_validate(answer.json())
    assert (problem.status, problem.code, problem.type) == (status, code, f"/problems/{code}")
    assert problem.request_id == answer.headers["x-request-id"]
    assert problem.instance == f"/requests/{problem.request_id}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert SECRET not in answer.text
    return problem


async def test_unknown_address_is_a_problem(admin: httpx.AsyncClient) -> None:
    problem_of(await admin.get(f"/v1/nothing/{SECRET}"), 404, "not_found")
    problem_of(await admin.get("/v1/products/"), 404, "not_found")


async def test_wrong_method_is_told_every_right_one(admin: httpx.AsyncClient) -> None:
    answer = await admin.patch("/v1/webhooks/shop")
    problem_of(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, PUT"


async def test_all_problems_of_a_body_are_named_at_once(admin: httpx.AsyncClient) -> None:
    body = {"price_minor": "12", "tax_rate": "1.5", "currency": "XXX", SECRET[:2] + "~/": SECRET}
    problem = problem_of(await admin.put("/v1/products/P-1", json=body), 422, "invalid_request")
    found = {(one.pointer, one.code) for one in problem.errors or []}
    assert found == {
        ("#/name", "missing"),
        ("#/price_minor", "int_type"),
        ("#/tax_rate", "less_than"),
        ("#/currency", "unknown_currency"),
        ("#/13~0~1", "extra_forbidden"),
    }


async def test_unknown_and_unusable_query_parameters_are_named(admin: httpx.AsyncClient) -> None:
    query = {"limit": "1000000000", "colour": SECRET, "active": SECRET}
    problem = problem_of(await admin.get("/v1/products", params=query), 422, "invalid_request")
    found = {(one.parameter, one.code) for one in problem.errors or []}
    assert found == {("limit", "less_than_equal"), ("colour", "extra_forbidden"), ("active", "bool_parsing")}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name": "' + SECRET.encode(),
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\xff"}',
        b'{"name": "a", "name": "b"}',
        b'{"price_minor": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        "﻿{}".encode(),
    ],
)
async def test_what_is_not_strict_json_is_refused(admin: httpx.AsyncClient, raw: bytes) -> None:
    answer = await admin.put("/v1/products/P-1", content=raw, headers={"content-type": "application/json"})
    problem_of(answer, 400, "malformed_json")


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (rb'{"name": "a\u0000b"}', "unstorable_text", "#/name"),
        (rb'{"name": "\ud800"}', "unstorable_text", "#/name"),
        (rb'{"\u0000": 1}', "unstorable_text", "#"),
        (rb'{"name": 1e999}', "finite_number", "#/name"),
        (b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}", "too_deep", "#/name/0/0"),
    ],
)
async def test_values_that_cannot_be_stored_are_named(
    admin: httpx.AsyncClient, raw: bytes, code: str, pointer: str
) -> None:
    answer = await admin.put("/v1/products/P-1", content=raw, headers={"content-type": "application/json"})
    problem = problem_of(answer, 422, "invalid_request")
    assert [(one.pointer, one.code) for one in problem.errors or []] == [(pointer, code)]


async def test_control_characters_in_a_text_are_refused(admin: httpx.AsyncClient) -> None:
    problem = problem_of(await admin.put("/v1/products/P-1", json={"name": "a\x1b[2J"}), 422, "invalid_request")
    assert [one.pointer for one in problem.errors or []] == ["#/name"]


@pytest.mark.parametrize("price", [True, 1.5, 2.0, "1", 1e3, -1, 2**53, 2**64])
async def test_only_whole_numbers_within_bounds_are_amounts(admin: httpx.AsyncClient, price: object) -> None:
    body = BODY | {"price_minor": price, "currency": "CNY"}
    problem = problem_of(await admin.put("/v1/products/P-1", json=body), 422, "invalid_request")
    assert [one.pointer for one in problem.errors or []] == ["#/price_minor"]
    problem_of(await admin.get("/v1/products/P-1"), 404, "master_not_found")


async def test_nul_in_an_address_is_refused(admin: httpx.AsyncClient) -> None:
    problem_of(await admin.get("/v1/products/%00"), 400, "malformed_address")
    problem_of(await admin.get("/v1/products?category=%00"), 400, "malformed_address")


async def test_another_media_type_is_refused(admin: httpx.AsyncClient) -> None:
    text, plain = json.dumps(BODY), {"content-type": "text/plain"}
    put = await admin.put("/v1/products/P-1", content=text, headers=plain)
    problem_of(put, 415, "unsupported_media_type")
    imported = await admin.post("/v1/products:import", content=text, headers=plain)
    problem_of(imported, 415, "unsupported_media_type")


async def test_a_missing_body_is_named(admin: httpx.AsyncClient) -> None:
    problem = problem_of(await admin.put("/v1/products/P-1"), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in problem.errors or []] == [("#", "missing")]


async def test_a_body_beyond_the_limit_is_refused_declared_or_not(admin: httpx.AsyncClient) -> None:
    large = b'{"name": "' + b"x" * 10_000_000 + b'"}'
    headers = {"content-type": "application/json"}
    problem_of(await admin.put("/v1/products/P-1", content=large, headers=headers), 413, "content_too_large")

    async def chunks() -> object:
        for _ in range(20):
            yield b"x" * 100_000

    chunked = await admin.put("/v1/products/P-1", content=chunks(), headers=headers)  # type: ignore[arg-type]
    problem_of(chunked, 413, "content_too_large")


async def test_request_id_of_the_caller_is_kept_when_it_is_harmless(admin: httpx.AsyncClient) -> None:
    kept = await admin.get("/v1/products", headers={"X-Request-Id": "trace-7"})
    assert kept.headers["x-request-id"] == "trace-7"
    made = await admin.get("/v1/products", headers={"X-Request-Id": "<script>"})
    assert re.fullmatch("[0-9a-f]{24}", made.headers["x-request-id"])


async def test_a_fault_of_ours_is_a_problem_without_a_trace(api: Api, as_role: As) -> None:
    router = APIRouter()

    @router.get("/broken")
    async def broken() -> None:
        raise KeyError(SECRET)

    api.app.include_router(router)
    problem = problem_of(await as_role().get("/broken"), 500, "internal_error")
    assert problem.detail == "Something went wrong on our side; the request id leads us to it."


def test_every_domain_error_has_a_status() -> None:
    for package in (domain, store):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    codes = {error.code for error in _subclasses(DomainError)}
    assert codes - SITUATIONS.keys() == set()


def _subclasses(error: type[DomainError]) -> set[type[DomainError]]:
    ours = {one for one in error.__subclasses__() if one.__module__.split(".")[0] in {"domain", "store"}}
    return ours.union(*(_subclasses(one) for one in ours))
