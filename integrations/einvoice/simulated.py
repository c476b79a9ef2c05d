"""An e-invoice provider in our own process: numbers without gaps, never more red than blue, slow where told so."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree

from pydantic import TypeAdapter

from integrations.chance import chance
from integrations.clock import Clock, utc_now
from integrations.einvoice.port import (
    EInvoiceUnavailable,
    FileKind,
    FileNotOffered,
    InvoiceDraft,
    InvoiceRef,
    IssueResult,
    RedLine,
    RedReason,
)
from integrations.memory import JsonObject, Memory, Shelves

_REQUESTS = "einvoice.requests"
_ISSUED = "einvoice.issued"
_COUNTER = "einvoice.counter"
_RESULT = TypeAdapter(IssueResult)
_DRAFT = TypeAdapter(InvoiceDraft)
_RED_LINES = TypeAdapter(tuple[RedLine, ...])
_Decision = Callable[[Shelves], IssueResult]


@dataclass(frozen=True)
class EInvoiceBehaviour:
    """The provider's script. `pending_seconds` is how long a request stays undecided.

    `lost_reply_share` picks requests by seed and key: accepted, but the first caller never hears of it.
    """

    seed: int = 0
    down: bool = False
    reply_delay_seconds: float = 0.0
    pending_seconds: float = 0.0
    rejected_tax_numbers: frozenset[str] = frozenset()
    rejected_keys: frozenset[str] = frozenset()
    lost_reply_share: float = 0.0


class SimulatedEInvoiceProvider:
    """EInvoiceProvider in our own process. `behaviour` may be replaced at any time."""

    def __init__(self, memory: Memory, behaviour: EInvoiceBehaviour | None = None, clock: Clock = utc_now) -> None:
        self.behaviour = behaviour or EInvoiceBehaviour()
        self._memory = memory
        self._clock = clock

    async def issue(self, draft: InvoiceDraft, idem_key: str) -> IssueResult:
        def decide(shelves: Shelves) -> IssueResult:
            if draft.buyer.tax_number in self.behaviour.rejected_tax_numbers:
                return IssueResult.rejected("buyer_tax_number_unknown")
            number = _next_number(shelves)
            document = {"kind": "blue", "draft": _DRAFT.dump_python(draft, mode="json"), "taken_back": {}}
            shelves.put(_ISSUED, number, document)
            return IssueResult.issued(number)

        return await self._request(idem_key, decide)

    async def red(
        self, original: InvoiceRef, lines: tuple[RedLine, ...], reason: RedReason, idem_key: str
    ) -> IssueResult:
        def decide(shelves: Shelves) -> IssueResult:
            blue = shelves.get(_ISSUED, original.provider_number)
            if blue is None or blue["kind"] != "blue":
                return IssueResult.rejected("original_unknown")
            taken_back = _taken_back(blue, lines)
            if taken_back is None:
                return IssueResult.rejected("red_exceeds_original")
            shelves.put(_ISSUED, original.provider_number, {**blue, "taken_back": taken_back})
            number = _next_number(shelves)
            red_lines = _RED_LINES.dump_python(lines, mode="json")
            document = {"kind": "red", "of": original.provider_number, "reason": reason, "lines": red_lines}
            shelves.put(_ISSUED, number, document)
            return IssueResult.issued(number)

        return await self._request(idem_key, decide)

    async def query(self, idem_key: str) -> IssueResult | None:
        self._answer_if_up()
        kept = await self._memory.read(lambda shelves: shelves.get(_REQUESTS, idem_key))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        return None if kept is None else self._standing(kept)

    async def fetch(self, ref: InvoiceRef, kind: FileKind) -> bytes:
        self._answer_if_up()
        document = await self._memory.read(lambda shelves: shelves.get(_ISSUED, ref.provider_number))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        if document is None or kind != "xml":
            raise FileNotOffered(kind)
        return _as_xml(ref.provider_number, document)

    def _answer_if_up(self) -> None:
        if self.behaviour.down:
            raise EInvoiceUnavailable("einvoice_unavailable", "the provider is down")

    async def _request(self, idem_key: str, decide: _Decision) -> IssueResult:
        self._answer_if_up()
        kept, is_new = await self._memory.change(lambda shelves: self._accept(shelves, idem_key, decide))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        if is_new and chance(self.behaviour.seed, "lost reply", idem_key) < self.behaviour.lost_reply_share:
            raise EInvoiceUnavailable("einvoice_unavailable", "the reply was lost after the request was accepted")
        return self._standing(kept)

    def _accept(self, shelves: Shelves, idem_key: str, decide: _Decision) -> tuple[JsonObject, bool]:
        kept = shelves.get(_REQUESTS, idem_key)
        if kept is not None:
            return kept, False
        is_rejected = idem_key in self.behaviour.rejected_keys
        result = IssueResult.rejected("request_rejected") if is_rejected else decide(shelves)
        decided_at = self._clock() + timedelta(seconds=self.behaviour.pending_seconds)
        kept = {"result": _RESULT.dump_python(result, mode="json"), "decided_at": decided_at.isoformat()}
        shelves.put(_REQUESTS, idem_key, kept)
        return kept, True

    def _standing(self, kept: JsonObject) -> IssueResult:
        if self._clock() < datetime.fromisoformat(kept["decided_at"]):
            return IssueResult.pending()
        return _RESULT.validate_python(kept["result"])


def _next_number(shelves: Shelves) -> str:
    last = shelves.get(_COUNTER, "last")
    number = 1 if last is None else int(last["number"]) + 1
    shelves.put(_COUNTER, "last", {"number": number})
    return f"{number:020d}"


def _taken_back(blue: JsonObject, lines: tuple[RedLine, ...]) -> dict[str, list[int]] | None:
    """What is taken back of each line once these are too; None if that is more than the line ever had."""
    limits: Counter[tuple[str, int]] = Counter()
    for line in blue["draft"]["lines"]:
        amounts = (line["quantity"], line["net_minor"], line["tax_minor"])
        limits.update({(_place(line["order_no"], line["line_id"]), n): amount for n, amount in enumerate(amounts)})
    sums: dict[str, list[int]] = dict(blue["taken_back"])
    for red in lines:
        place = _place(red.order_no, red.line_id)
        more = (red.quantity, red.net_minor, red.tax_minor)
        sums[place] = [a + b for a, b in zip(sums.get(place, [0, 0, 0]), more, strict=True)]
        if any(amount > limits[place, n] for n, amount in enumerate(sums[place])):
            return None
    return sums


def _place(order_no: str, line_id: str) -> str:
    return f"{order_no}/{line_id}"


def _as_xml(provider_number: str, document: JsonObject) -> bytes:
    root = ElementTree.Element("invoice", {"number": provider_number, "kind": document["kind"]})
    draft = document.get("draft", {})
    for name in ("currency", "issue_date", "net_minor", "tax_minor", "gross_minor"):
        if name in draft:
            ElementTree.SubElement(root, name).text = str(draft[name])
    for role in ("seller", "buyer"):
        if role in draft:
            ElementTree.SubElement(root, role).text = draft[role]["name"]
    for line in draft.get("lines", document.get("lines", [])):
        ElementTree.SubElement(root, "line", {name: str(value) for name, value in line.items()})
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
