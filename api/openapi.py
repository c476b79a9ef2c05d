"""The OpenAPI description: what FastAPI derives, plus the problems and the permission of every operation."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.dependencies import Requires, access_of
from api.problem import MEDIA_TYPE, Problem

_PROBLEM_REF: Final = "#/components/responses/Problem"
_VERBS: Final = ("get", "put", "post", "delete", "patch")


class DescribedApp(FastAPI):
    """A FastAPI application whose description tells problems and permissions too."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once. Raises ValueError when two operations share an id."""
        if self.openapi_schema is None:
            document = super().openapi()
            _complete(document, self)
            self.openapi_schema = document
        return self.openapi_schema


def _complete(document: dict[str, Any], app: FastAPI) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for fastapis_own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(fastapis_own, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    components["responses"] = {
        "Problem": {
            "description": "What is wrong (RFC 9457)",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    demands = _demands(app)
    seen: set[str] = set()
    for path, verb, operation in _operations(document):
        if operation["operationId"] in seen:
            raise ValueError(f"two operations are called {operation['operationId']}")
        seen.add(operation["operationId"])
        demand = demands.get((path, verb))
        if demand is not None:
            operation["x-permission"] = demand.permission.value
        for status in _problem_statuses(verb, operation, secured=demand is not None):
            operation["responses"][status] = {"$ref": _PROBLEM_REF}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in _VERBS:
            if verb in item:
                yield path, verb, item[verb]


def _demands(app: FastAPI) -> dict[tuple[str, str], Requires]:
    found = {}
    for route in iter_route_contexts(app.routes):
        demand = access_of(route) if hasattr(route, "dependant") else None
        if isinstance(demand, Requires):
            for method in route.methods or ():
                found[str(route.path_format), method.lower()] = demand
    return found


def _problem_statuses(verb: str, operation: dict[str, Any], *, secured: bool) -> list[str]:
    statuses = {status for status in operation["responses"] if status[0] in "45"} | {"400", "413", "500", "503"}
    if secured:
        statuses |= {"401", "403", "404"}
    if verb != "get":
        statuses |= {"409", "422"}
    if "requestBody" in operation:
        statuses |= {"415", "422"}
    if any(parameter["name"].lower() == "if-match" for parameter in operation.get("parameters", ())):
        statuses |= {"412", "428"}
    return sorted(statuses)
