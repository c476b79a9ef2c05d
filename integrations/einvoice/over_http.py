"""An e-invoice provider reached over HTTP.

`POST /invoices` and `POST /invoices/{number}/red` with an Idempotency-Key, `GET /requests/{key}`,
`GET /invoices/{number}/files/{kind}`. A refusal is 400, 409 or 422, what is not there 404, each with
`{"code": ...}`.
"""

from dataclasses import dataclass
from typing import Annotated

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from integrations.einvoice.port import (
    EInvoiceUnavailable,
    FileKind,
    FileNotOffered,
    InvoiceDraft,
    InvoiceRef,
    IssueResult,
    IssueStatus,
    RedLine,
    RedReason,
)
from integrations.http_client import PartyApi, Reply, ReplyText, path_part, wire_key

_FILE_LIMIT_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True)
class RedRequest:
    """The body of a red request."""

    invoice_key: str
    lines: tuple[RedLine, ...]
    reason: RedReason


_DRAFT = TypeAdapter(InvoiceDraft)
_RED = TypeAdapter(RedRequest)


class _IssueReply(BaseModel):
    status: IssueStatus
    provider_number: ReplyText | None = None
    errors: Annotated[tuple[ReplyText, ...], Field(max_length=50)] = ()


class HttpEInvoiceProvider:
    """EInvoiceProvider whose every trouble - silence, nonsense, overload - is EInvoiceUnavailable."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, token: str, deadline_seconds: float = 20.0) -> None:
        self._api = PartyApi("einvoice", base_url, client, token, EInvoiceUnavailable, deadline_seconds)

    async def issue(self, draft: InvoiceDraft, idem_key: str) -> IssueResult:
        return self._answer(await self._api.call("POST", "/invoices", key=idem_key, content=_DRAFT.dump_json(draft)))

    async def red(
        self, original: InvoiceRef, lines: tuple[RedLine, ...], reason: RedReason, idem_key: str
    ) -> IssueResult:
        body = _RED.dump_json(RedRequest(original.invoice_key, lines, reason))
        path = f"/invoices/{path_part(original.provider_number)}/red"
        return self._answer(await self._api.call("POST", path, key=idem_key, content=body))

    async def query(self, idem_key: str) -> IssueResult | None:
        reply = await self._api.call("GET", f"/requests/{path_part(wire_key(idem_key))}")
        return None if self._api.is_unknown(reply) else self._answer(reply)

    async def fetch(self, ref: InvoiceRef, kind: FileKind) -> bytes:
        path = f"/invoices/{path_part(ref.provider_number)}/files/{kind}"
        reply = await self._api.call("GET", path, limit=_FILE_LIMIT_BYTES)
        if self._api.is_unknown(reply):
            raise FileNotOffered(kind)
        if reply.status != 200 or not reply.body:
            raise self._api.bad_reply(f"status {reply.status} to a file")
        return reply.body

    def _answer(self, reply: Reply) -> IssueResult:
        if reply.status in (400, 409, 422):
            return IssueResult.rejected(self._api.refusal(reply))
        if reply.status not in (200, 201, 202):
            raise self._api.bad_reply(f"status {reply.status}")
        read = self._api.read(reply, _IssueReply)
        try:
            return IssueResult(read.status, read.provider_number, read.errors)
        except ValueError as problem:
            raise self._api.bad_reply("number or errors do not fit the status") from problem
