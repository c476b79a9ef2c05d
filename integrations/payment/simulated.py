"""A payment provider in our own process that gives money back once per key, late or lossily where told so."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from integrations.chance import chance, digits
from integrations.clock import Clock, utc_now
from integrations.memory import JsonObject, Memory, Shelves
from integrations.payment.port import PaymentProviderUnavailable, RefundRequest, RefundResult, RefundStatus

_REFUNDS = "payment.refunds"
_RESULT = TypeAdapter(RefundResult)


@dataclass(frozen=True)
class PaymentBehaviour:
    """The provider's script. `pending_seconds` is how long a refund stays pending before its outcome shows.

    `lost_reply_share` picks refunds by seed and key: made, but the first caller never hears of it.
    """

    seed: int = 0
    down: bool = False
    reply_delay_seconds: float = 0.0
    pending_seconds: float = 0.0
    refused_payment_ids: frozenset[str] = frozenset()
    refused_methods: frozenset[str] = frozenset()
    lost_reply_share: float = 0.0


class SimulatedPaymentProvider:
    """PaymentProvider in our own process. `behaviour` may be replaced at any time."""

    def __init__(self, memory: Memory, behaviour: PaymentBehaviour | None = None, clock: Clock = utc_now) -> None:
        self.behaviour = behaviour or PaymentBehaviour()
        self._memory = memory
        self._clock = clock

    async def refund(self, request: RefundRequest, key: str) -> RefundResult:
        self._answer_if_up()
        kept, is_new = await self._memory.change(lambda shelves: self._accept(shelves, request, key))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        if is_new and chance(self.behaviour.seed, "lost reply", key) < self.behaviour.lost_reply_share:
            raise PaymentProviderUnavailable("payment_unavailable", "the reply was lost after the refund was made")
        return self._standing(kept)

    async def query(self, key: str) -> RefundResult | None:
        self._answer_if_up()
        kept = await self._memory.read(lambda shelves: shelves.get(_REFUNDS, key))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        return None if kept is None else self._standing(kept)

    def _answer_if_up(self) -> None:
        if self.behaviour.down:
            raise PaymentProviderUnavailable("payment_unavailable", "the provider is down")

    def _accept(self, shelves: Shelves, request: RefundRequest, key: str) -> tuple[JsonObject, bool]:
        kept = shelves.get(_REFUNDS, key)
        if kept is not None:
            return kept, False
        outcome = self._outcome(request, f"RF{digits(16, key)}")
        settled_at = self._clock() + timedelta(seconds=self.behaviour.pending_seconds)
        kept = {"outcome": _RESULT.dump_python(outcome, mode="json"), "settled_at": settled_at.isoformat()}
        shelves.put(_REFUNDS, key, kept)
        return kept, True

    def _outcome(self, request: RefundRequest, provider_ref: str) -> RefundResult:
        if request.payment_id in self.behaviour.refused_payment_ids:
            return RefundResult(provider_ref, RefundStatus.REFUSED, "payment_not_refundable")
        if request.method in self.behaviour.refused_methods:
            return RefundResult(provider_ref, RefundStatus.REFUSED, "method_not_refundable")
        return RefundResult(provider_ref, RefundStatus.SUCCEEDED)

    def _standing(self, kept: JsonObject) -> RefundResult:
        outcome = _RESULT.validate_python(kept["outcome"])
        if self._clock() < datetime.fromisoformat(kept["settled_at"]):
            return RefundResult(outcome.provider_ref, RefundStatus.PENDING)
        return outcome
