"""A carrier's HTTP interface in front of the simulated carrier."""

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.carrier.port import AlreadyCollected, Booking, CarrierRefused, CarrierUnavailable, Consignment
from integrations.carrier.simulated import SimulatedCarrier

_CONSIGNMENT = TypeAdapter(Consignment)
_BOOKING = TypeAdapter(Booking)
TOKEN = "carrier-token"


def carrier_app(carrier: SimulatedCarrier) -> Starlette:
    """The application; a lost reply of the simulator is a 503 here."""

    async def book(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"code": "unauthorised"}, 401)
        consignment = _CONSIGNMENT.validate_json(await request.body())
        try:
            booking = await carrier.book(consignment, request.headers["idempotency-key"])
        except CarrierRefused as refusal:
            return JSONResponse({"code": refusal.code}, 422)
        except CarrierUnavailable:
            return Response(status_code=503, headers={"retry-after": "7"})
        return JSONResponse(_BOOKING.dump_python(booking), 201)

    async def find(request: Request) -> Response:
        booking = await carrier.find(request.path_params["key"])
        return (
            JSONResponse({"code": "consignment_unknown"}, 404)
            if booking is None
            else JSONResponse(_BOOKING.dump_python(booking))
        )

    async def void(request: Request) -> Response:
        try:
            await carrier.void(request.path_params["key"])
        except AlreadyCollected as refusal:
            return JSONResponse({"code": refusal.code}, 409)
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/consignments", book, methods=["POST"]),
            Route("/consignments/{key:path}", find, methods=["GET"]),
            Route("/consignments/{key:path}", void, methods=["DELETE"]),
        ]
    )
