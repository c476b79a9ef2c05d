"""What every payment provider keeps to: the simulated one, and the HTTP adapter in front of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from integrations.http_client import build_client
from integrations.memory import Memory
from integrations.payment.over_http import HttpPaymentProvider
from integrations.payment.port import (
    PaymentProvider,
    PaymentProviderUnavailable,
    RefundResult,
    RefundStatus,
)
from integrations.payment.simulated import PaymentBehaviour, SimulatedPaymentProvider
from tests.factories.outside_parties import REFUND
from tests.fakes.http_server import misbehaving, relaying_but_cutting, serving
from tests.fakes.payment_server import payment_app

KEY = "refund/SO1/P-1/cancelled"


@dataclass
class Party:
    """The provider under test, the simulator behind it, and the time it lives in."""

    provider: PaymentProvider
    simulated: SimulatedPaymentProvider
    now: datetime


@pytest.fixture(params=["simulated", "over_http"])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    memory = Memory()
    simulated = SimulatedPaymentProvider(memory, clock=lambda: made.now)
    made = Party(simulated, simulated, datetime(2026, 11, 22, 12, tzinfo=UTC))
    if request.param == "simulated":
        yield made
    else:
        async with serving(payment_app(simulated)) as url, build_client() as client:
            made.provider = HttpPaymentProvider(url, client, "token")
            yield made
    memory.close()


async def test_money_goes_back_once_however_often_it_is_asked_for(party: Party) -> None:
    results = await asyncio.gather(*(party.provider.refund(REFUND, KEY) for _ in range(20)))

    assert len(set(results)) == 1
    assert results[0].status == RefundStatus.SUCCEEDED
    assert results[0].provider_ref is not None
    assert await party.provider.query(KEY) == results[0]


async def test_other_keys_are_other_refunds(party: Party) -> None:
    first = await party.provider.refund(REFUND, KEY)
    second = await party.provider.refund(replace(REFUND, refund_id="RF-2"), "other")

    assert first.provider_ref != second.provider_ref


async def test_an_unknown_key_has_no_result(party: Party) -> None:
    assert await party.provider.query(KEY) is None


async def test_a_refund_is_pending_until_its_time(party: Party) -> None:
    party.simulated.behaviour = PaymentBehaviour(pending_seconds=30)
    pending = await party.provider.refund(REFUND, KEY)
    party.now += timedelta(seconds=30)
    settled = await party.provider.query(KEY)

    assert pending.status == RefundStatus.PENDING
    assert settled == RefundResult(pending.provider_ref, RefundStatus.SUCCEEDED)
    assert await party.provider.refund(REFUND, KEY) == settled


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (PaymentBehaviour(refused_payment_ids=frozenset({"P-1"})), "payment_not_refundable"),
        (PaymentBehaviour(refused_methods=frozenset({"alipay"})), "method_not_refundable"),
    ],
)
async def test_a_refusal_is_a_result_with_its_reason(party: Party, behaviour: PaymentBehaviour, reason: str) -> None:
    party.simulated.behaviour = behaviour
    refused = await party.provider.refund(REFUND, KEY)

    assert (refused.status, refused.reason) == (RefundStatus.REFUSED, reason)
    assert await party.provider.query(KEY) == refused


async def test_a_refund_whose_reply_was_lost_is_found_and_not_repeated(party: Party) -> None:
    party.simulated.behaviour = PaymentBehaviour(lost_reply_share=1.0)
    with pytest.raises(PaymentProviderUnavailable) as lost:
        await party.provider.refund(REFUND, KEY)
    found = await party.provider.query(KEY)

    assert (lost.value.code, lost.value.retryable) == ("payment_unavailable", True)
    assert found is not None
    assert await party.provider.refund(REFUND, KEY) == found


async def test_a_connection_cut_after_the_refund_leaves_one_refund() -> None:
    memory = Memory()
    simulated = SimulatedPaymentProvider(memory)
    async with serving(payment_app(simulated)) as url, build_client() as client:
        async with misbehaving(relaying_but_cutting(url)) as cut_url:
            with pytest.raises(PaymentProviderUnavailable):
                await HttpPaymentProvider(cut_url, client, "token").refund(REFUND, KEY)
        made = await simulated.query(KEY)

        assert made is not None
        assert await HttpPaymentProvider(url, client, "token").refund(REFUND, KEY) == made
    memory.close()


@pytest.mark.parametrize("amount_minor", [0, -1])
def test_a_refund_of_nothing_cannot_be_asked_for(amount_minor: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        replace(REFUND, amount_minor=amount_minor)
