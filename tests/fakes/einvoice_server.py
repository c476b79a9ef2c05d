"""An e-invoice provider's HTTP interface in front of the simulated provider."""

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.einvoice.over_http import RedRequest
from integrations.einvoice.port import EInvoiceUnavailable, FileNotOffered, InvoiceDraft, InvoiceRef, IssueResult
from integrations.einvoice.simulated import SimulatedEInvoiceProvider

_DRAFT = TypeAdapter(InvoiceDraft)
_RED = TypeAdapter(RedRequest)
_RESULT = TypeAdapter(IssueResult)


def einvoice_app(provider: SimulatedEInvoiceProvider) -> Starlette:
    """The application; a lost reply of the simulator is a 503 here."""

    async def issue(request: Request) -> Response:
        draft = _DRAFT.validate_json(await request.body())
        try:
            return _answer(await provider.issue(draft, request.headers["idempotency-key"]))
        except EInvoiceUnavailable:
            return Response(status_code=503)

    async def red(request: Request) -> Response:
        asked = _RED.validate_json(await request.body())
        original = InvoiceRef(asked.invoice_key, request.path_params["number"])
        try:
            result = await provider.red(original, asked.lines, asked.reason, request.headers["idempotency-key"])
        except EInvoiceUnavailable:
            return Response(status_code=503)
        return _answer(result)

    async def query(request: Request) -> Response:
        result = await provider.query(request.path_params["key"])
        return JSONResponse({"code": "request_unknown"}, 404) if result is None else _answer(result)

    async def fetch(request: Request) -> Response:
        try:
            file = await provider.fetch(InvoiceRef("", request.path_params["number"]), request.path_params["kind"])
        except FileNotOffered:
            return JSONResponse({"code": "request_unknown"}, 404)
        return Response(file, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route("/invoices", issue, methods=["POST"]),
            Route("/invoices/{number}/red", red, methods=["POST"]),
            Route("/invoices/{number}/files/{kind}", fetch, methods=["GET"]),
            Route("/requests/{key:path}", query, methods=["GET"]),
        ]
    )


def _answer(result: IssueResult) -> Response:
    return JSONResponse(_RESULT.dump_python(result, mode="json"))
