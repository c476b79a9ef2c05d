"""The codec server for Temporal's Web UI: shows what is encrypted in Temporal to whoever is logged in.

The protocol is Temporal's: `POST .../decode` with payloads, answered with the same ones opened. There is no `encode`:
the Web UI is for looking.
"""

from typing import Annotated, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, FastAPI, Request
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from temporalio.api.common.v1 import Payloads

from api.dependencies import ENTERED, requires
from api.errors import add_error_handlers, request_id_of
from api.problem import Answer, Refused, problem_response
from console.guard import SESSION, Allowed, NotEntered, PasswordDue
from domain.access import Permission, Principal
from runtime.sealing import CannotOpen, Sealing

_KEPT_BY_BROWSERS_S: Final = 600
_log = structlog.get_logger(__name__)


def create_codec(api: FastAPI, sealing: Sealing, web_ui_url: str | None) -> FastAPI:
    """`/decode`, for API keys and for sessions of the console; of all other pages only the Web UI's may ask."""
    codec = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=[Depends(_let_in)])
    codec.state = api.state
    add_error_handlers(codec)
    codec.exception_handler(NotEntered)(_nobody)
    codec.exception_handler(PasswordDue)(_nobody)
    codec.add_middleware(
        CORSMiddleware,
        allow_origins=_origin_of(web_ui_url),
        allow_credentials=True,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        max_age=_KEPT_BY_BROWSERS_S,
    )

    @codec.post("/decode")
    async def decode(request: Request, caller: Annotated[Principal, requires(Permission.SYSTEM_READ)]) -> Response:
        """Opens the payloads; who has looked, and at how many, is in the log."""
        sealed = await _payloads_of(request)
        try:
            opened = await sealing.decode(sealed.payloads)
        except CannotOpen as refused:
            raise Refused(422, "payload_sealed", f"This cannot be opened: {refused}.") from None
        _log.info("payloads were opened", actor=caller.actor, payloads=len(opened))
        return JSONResponse(MessageToDict(Payloads(payloads=opened)))

    return codec


async def _payloads_of(request: Request) -> Payloads:
    try:
        told = await request.json()
        # Left to itself the parser takes some other shapes for an empty message, and breaks on others.
        return ParseDict(told if isinstance(told, dict) else {"payloads": told}, Payloads())
    except (ValueError, ParseError):
        raise Refused(422, "payloads_unreadable", "The body should be Temporal's payloads as JSON.") from None


async def _let_in(request: Request) -> None:
    if "authorization" not in request.headers and SESSION in request.cookies:
        request.scope[ENTERED] = (await Allowed()(request)).caller


async def _nobody(request: Request, _error: Exception) -> Response:
    answer = Answer(401, "unauthorized", "Nobody is logged in at the console, or not any more.")
    return problem_response(request_id_of(request), answer)


def _origin_of(url: str | None) -> list[str]:
    parts = urlsplit(url or "")
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
