"""The flow routes of the API for the designer's page: the same routes, for whoever the session stands for."""

from typing import Final

from fastapi import Depends, FastAPI, Request
from starlette.responses import Response

from api.dependencies import ENTERED
from api.errors import add_error_handlers, request_id_of
from api.flows import drafting, publishing, reading, ready, sandbox, trying, vocabulary
from api.problem import Answer, problem_response
from console.guard import NotEntered, OpenlyVisited, PasswordDue, no_forgery

ROUTERS: Final = (
    reading.router,
    drafting.router,
    trying.router,
    sandbox.router,
    ready.router,
    publishing.router,
    vocabulary.router,
)


def create_door(api: FastAPI) -> FastAPI:
    """`/v1/flows...` and what belongs to it; permissions and answers are those of the API."""
    door = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=[Depends(no_forgery), Depends(_let_in)])
    door.state = api.state
    add_error_handlers(door)
    door.exception_handler(NotEntered)(_nobody)
    door.exception_handler(PasswordDue)(_nobody)
    for router in ROUTERS:
        door.include_router(router)
    return door


async def _let_in(request: Request, visitor: OpenlyVisited) -> None:
    if visitor.must_change:
        raise PasswordDue
    request.scope[ENTERED] = visitor.caller


async def _nobody(request: Request, _error: Exception) -> Response:
    answer = Answer(401, "unauthorized", "Your session has ended: log in again.")
    return problem_response(request_id_of(request), answer)
