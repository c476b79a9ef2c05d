"""A payment provider reached over HTTP.

`POST /refunds` with an Idempotency-Key, `GET /refunds/{key}`. A refusal is either `{"status": "refused", ...}` or
400, 409 or 422 with `{"code": ...}`; an unknown key is 404 with `{"code": ...}`.
"""

import httpx
from pydantic import BaseModel, TypeAdapter

from integrations.http_client import PartyApi, Reply, ReplyText, path_part, wire_key
from integrations.payment.port import PaymentProviderUnavailable, RefundRequest, RefundResult, RefundStatus

_REQUEST = TypeAdapter(RefundRequest)


class _RefundReply(BaseModel):
    provider_ref: ReplyText | None = None
    status: RefundStatus
    reason: ReplyText | None = None


class HttpPaymentProvider:
    """PaymentProvider whose every trouble - silence, nonsense, overload - is PaymentProviderUnavailable."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, token: str, deadline_seconds: float = 20.0) -> None:
        self._api = PartyApi("payment", base_url, client, token, PaymentProviderUnavailable, deadline_seconds)

    async def refund(self, request: RefundRequest, key: str) -> RefundResult:
        return self._answer(await self._api.call("POST", "/refunds", key=key, content=_REQUEST.dump_json(request)))

    async def query(self, key: str) -> RefundResult | None:
        reply = await self._api.call("GET", f"/refunds/{path_part(wire_key(key))}")
        return None if self._api.is_unknown(reply) else self._answer(reply)

    def _answer(self, reply: Reply) -> RefundResult:
        if reply.status in (400, 409, 422):
            return RefundResult(None, RefundStatus.REFUSED, self._api.refusal(reply))
        if reply.status not in (200, 201, 202):
            raise self._api.bad_reply(f"status {reply.status}")
        read = self._api.read(reply, _RefundReply)
        if read.status is RefundStatus.SUCCEEDED and read.provider_ref is None:
            raise self._api.bad_reply("success without a reference")
        return RefundResult(read.provider_ref, read.status, read.reason)
