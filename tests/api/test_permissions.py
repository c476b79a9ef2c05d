"""Every route says who may call it, and holds to it for every role."""

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.dependencies import Public, Requires, access_of, refuse_undeclared
from domain.access import ROLE_PERMISSIONS, Permission
from domain.flow.vocabulary import Role
from runtime.settings import Settings
from tests.api.conftest import PROBLEM, Api, As

# Plain ids that no test creates, in the form that most parameters accept.
_PARAMETERS = {"currency": "USD", "role": "bank", "outbox_id": "1", "line_id": "1"}


def _routes(app: FastAPI) -> Iterator[tuple[str, str, Requires | Public | None]]:
    for route in iter_route_contexts(app.routes):
        if hasattr(route, "dependant"):
            path = re.sub(r"{(\w+)}", lambda found: _PARAMETERS.get(found[1], "nobody"), str(route.path_format))
            for method in sorted(route.methods or ()):
                yield method, path, access_of(route)


def test_every_route_declares_its_permission_or_why_it_is_public() -> None:
    routes = list(_routes(create_app(Settings())))
    assert [route for route in routes if route[2] is None] == []
    public = {path for _, path, demand in routes if isinstance(demand, Public)}
    assert {"/healthz", "/readyz", "/metrics"} <= public
    assert all(path.startswith("/v1/webhooks/") or "/webhooks/" in path for path in public if path.startswith("/v1/"))
    assert all(demand.reason for _, _, demand in routes if isinstance(demand, Public))


def test_a_route_that_declares_nothing_is_refused_at_start() -> None:
    app, router = FastAPI(), APIRouter()

    @router.get("/open")
    async def open_door() -> None:
        """Declares nothing."""

    app.include_router(router)
    with pytest.raises(RuntimeError, match="/open"):
        refuse_undeclared(app)


async def test_nobody_gets_in_without_a_key(api: Api, as_role: As) -> None:
    nobody = as_role()
    for method, path, demand in _routes(api.app):
        if isinstance(demand, Requires):
            answer = await nobody.request(method, path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
            assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_gets_in_where_its_permissions_say_and_nowhere_else(api: Api, as_role: As, role: Role) -> None:
    client = as_role(role.value)
    for method, path, demand in _routes(api.app):
        if isinstance(demand, Requires):
            answer = await client.request(method, path)
            allowed = demand.permission in ROLE_PERMISSIONS[role]
            assert (answer.status_code not in (401, 403)) is allowed, (method, path, answer.status_code)
            assert answer.status_code < 500, (method, path, answer.text)


async def test_description_tells_the_permission_of_every_operation(admin: httpx.AsyncClient, api: Api) -> None:
    document = (await admin.get("/openapi.json")).json()
    told = {
        (verb.upper(), path): operation.get("x-permission")
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    }
    assert told["GET", "/v1/products"] == "products:read"
    assert told["GET", "/healthz"] is None
    assert {permission for permission in told.values() if permission} <= {one.value for one in Permission}
    assert document["paths"]["/v1/products"]["get"]["security"] == [{"apiKey": []}]
