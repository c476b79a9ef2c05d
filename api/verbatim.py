"""What a client sent: kept as it came, because nobody can tell today what of it will be asked for later; and read."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.errors import field_problems
from api.problem import unprocessable

Sent = TypeVar("Sent", bound=BaseModel)


async def verbatim(request: Request) -> str:
    """The request's body; it was found to be UTF-8 before any route saw it."""
    return (await request.body()).decode()


def text_of(item: Any) -> str:
    """One item of a request of many, as JSON."""
    return json.dumps(item, ensure_ascii=False)


def understood(model: type[Sent], sent: Any, *where: str) -> Sent:
    """A part of a request, at the path `where`, as the model. Raises Refused (422) with everything wrong with it."""
    try:
        return TypeAdapter(model).validate_python(sent)
    except ValidationError as wrong:
        errors = [{**error, "loc": ("body", *where, *error["loc"])} for error in wrong.errors(include_input=False)]
        raise unprocessable(field_problems(errors)) from None
