"""A payment provider's HTTP interface in front of the simulated provider."""

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.payment.port import PaymentProviderUnavailable, RefundRequest, RefundResult
from integrations.payment.simulated import SimulatedPaymentProvider

_REQUEST = TypeAdapter(RefundRequest)
_RESULT = TypeAdapter(RefundResult)


def payment_app(provider: SimulatedPaymentProvider) -> Starlette:
    """The application; a lost reply of the simulator is a 503 here."""

    async def refund(request: Request) -> Response:
        asked = _REQUEST.validate_json(await request.body())
        try:
            result = await provider.refund(asked, request.headers["idempotency-key"])
        except PaymentProviderUnavailable:
            return Response(status_code=503)
        return JSONResponse(_RESULT.dump_python(result, mode="json"), 201)

    async def query(request: Request) -> Response:
        result = await provider.query(request.path_params["key"])
        return (
            JSONResponse({"code": "refund_unknown"}, 404)
            if result is None
            else JSONResponse(_RESULT.dump_python(result, mode="json"))
        )

    return Starlette(
        routes=[
            Route("/refunds", refund, methods=["POST"]),
            Route("/refunds/{key:path}", query, methods=["GET"]),
        ]
    )
