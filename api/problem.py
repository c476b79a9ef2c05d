"""The one shape of every 4xx and 5xx answer: RFC 9457, with a stable code and never a word of what was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

MEDIA_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "/problems/"
_LONGEST_NAME: Final = 60


class FieldProblem(BaseModel):
    """One thing wrong with the request: in the body (`pointer`), or in its query, path or headers (`parameter`)."""

    model_config = ConfigDict(extra="forbid")

    pointer: str | None = Field(default=None, examples=["#/lines/0/quantity"])
    parameter: str | None = Field(default=None, examples=["limit"])
    code: str = Field(examples=["greater_than_equal"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """Problem details (RFC 9457). `code` says which situation it is and never changes."""

    type: str = Field(examples=["/problems/order_not_found"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldProblem] | None = None
    facts: dict[str, Any] | None = None
    checks: dict[str, str] | None = None


class Refused(Exception):
    """The request is answered with this problem. `errors` name what is wrong with it, all at once."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        facts: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.facts = list(errors), facts
        self.headers = dict(headers or {})


def unprocessable(errors: Sequence[FieldProblem]) -> Refused:
    """The 422 of a request whose parts do not fit our schema or our masters."""
    return Refused(422, "invalid_request", "The request does not have the expected content.", errors=errors)


def in_body(pointer: str, code: str, detail: str) -> FieldProblem:
    """A problem at a JSON pointer such as `#/lines/0/sku`."""
    return FieldProblem(pointer=pointer, parameter=None, code=code, detail=detail)


def pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a path inside the body, as a URI fragment."""
    return "#" + "".join("/" + short(step).replace("~", "~0").replace("/", "~1") for step in path)


def short(name: str | int) -> str:
    """A name that the sender may have made up: enough of it to be found, not enough to carry data."""
    return str(name)[:_LONGEST_NAME].encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """A problem before it is put on the wire."""

    status: int
    code: str
    detail: str
    title: str = ""
    errors: Sequence[FieldProblem] = ()
    facts: Mapping[str, Any] | None = None
    checks: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None


def problem_of(request_id: str, answer: Answer) -> Problem:
    """The answer as a value, for one item of a batch or for a whole request."""
    return Problem(
        type=TYPE_BASE + answer.code,
        title=answer.title or HTTPStatus(answer.status).phrase,
        status=answer.status,
        detail=answer.detail,
        instance=f"/requests/{request_id}",
        code=answer.code,
        request_id=request_id,
        errors=list(answer.errors) or None,
        facts=dict(answer.facts) if answer.facts else None,
        checks=dict(answer.checks) if answer.checks else None,
    )


def problem_response(request_id: str, answer: Answer) -> JSONResponse:
    """The answer as `application/problem+json`."""
    return JSONResponse(
        problem_of(request_id, answer).model_dump(mode="json", exclude_none=True),
        status_code=answer.status,
        headers=dict(answer.headers or {}),
        media_type=MEDIA_TYPE,
    )


def internal_error() -> Answer:
    """What a caller learns of a fault of ours: the request id, under which the log has the rest."""
    return Answer(500, "internal_error", "Something went wrong on our side; the request id leads us to it.")
