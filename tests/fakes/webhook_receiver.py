"""An endpoint for webhooks in front of the recording receiver."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from integrations.notifier.simulated import RecordingReceiver


def receiver_app(receiver: RecordingReceiver) -> Starlette:
    """The application; every POST, wherever, reaches the receiver."""

    async def take(request: Request) -> Response:
        answer = receiver.receive(dict(request.headers), await request.body())
        return Response(status_code=answer.status_code, headers=answer.headers)

    return Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
