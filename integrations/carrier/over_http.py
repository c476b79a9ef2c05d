"""A carrier reached over HTTP.

`POST /consignments` with an Idempotency-Key, `GET` and `DELETE /consignments/{key}`. A refusal is 400, 409 or 422,
an unknown key 404, each with `{"code": ...}`.
"""

import httpx
from pydantic import BaseModel, TypeAdapter

from integrations.carrier.port import AlreadyCollected, Booking, CarrierRefused, CarrierUnavailable, Consignment
from integrations.http_client import PartyApi, Reply, ReplyText, ReplyUrl, path_part, wire_key

_CONSIGNMENT = TypeAdapter(Consignment)


class _BookingReply(BaseModel):
    carrier: ReplyText
    tracking_no: ReplyText
    label_url: ReplyUrl | None = None


class HttpCarrier:
    """Carrier whose every trouble - silence, nonsense, overload - is CarrierUnavailable; only a clear no is final."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, token: str, deadline_seconds: float = 20.0) -> None:
        self._api = PartyApi("carrier", base_url, client, token, CarrierUnavailable, deadline_seconds)

    async def book(self, consignment: Consignment, key: str) -> Booking:
        reply = await self._api.call("POST", "/consignments", key=key, content=_CONSIGNMENT.dump_json(consignment))
        if reply.status in (200, 201):
            return self._booking(reply)
        if reply.status in (400, 409, 422):
            raise CarrierRefused(self._api.refusal(reply))
        raise self._api.bad_reply(f"status {reply.status} to a booking")

    async def find(self, key: str) -> Booking | None:
        reply = await self._api.call("GET", f"/consignments/{path_part(wire_key(key))}")
        if reply.status == 200:
            return self._booking(reply)
        if self._api.is_unknown(reply):
            return None
        raise self._api.bad_reply(f"status {reply.status} to a look-up")

    async def void(self, key: str) -> None:
        reply = await self._api.call("DELETE", f"/consignments/{path_part(wire_key(key))}")
        if reply.status in (200, 204) or self._api.is_unknown(reply):
            return
        if reply.status == 409 and self._api.refusal(reply) == "already_collected":
            raise AlreadyCollected
        raise self._api.bad_reply(f"status {reply.status} to a void")

    def _booking(self, reply: Reply) -> Booking:
        read = self._api.read(reply, _BookingReply)
        return Booking(read.carrier, read.tracking_no, read.label_url)
