"""Carrier, e-invoice provider and payment provider as servers that a test has in its hands, each behind a middlebox."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from tests.fakes.carrier_server import TOKEN, carrier_app
from tests.fakes.einvoice_server import einvoice_app
from tests.fakes.http_server import serving
from tests.fakes.middlebox import Middlebox
from tests.fakes.payment_server import payment_app
from tests.faults.audit import kept_by


@dataclass
class OutsideWorld:
    """Parties that survive whatever happens to us; each keeps what was asked of it in a file in `folder`."""

    folder: Path
    carrier_itself: SimulatedCarrier
    provider_itself: SimulatedPaymentProvider
    carrier: Middlebox
    einvoice: Middlebox
    payment: Middlebox

    @property
    def settings(self) -> dict[str, str]:
        """Settings of a stack that works with these parties."""
        return {
            "carrier": "http",
            "carrier_url": self.carrier.url,
            "carrier_token": TOKEN,
            "einvoice": "http",
            "einvoice_url": self.einvoice.url,
            "einvoice_token": "einvoice-token",
            "payment_provider": "http",
            "payment_provider_url": self.payment.url,
            "payment_provider_token": "payment-token",
        }

    def labels(self, order_no: str) -> list[dict[str, Any]]:
        """Labels that the carrier has made for the order, voided ones included."""
        return _of(order_no, kept_by(self.folder / "carrier.sqlite", "carrier.bookings"))

    def invoices(self, order_no: str) -> list[dict[str, Any]]:
        """Invoices that the provider has issued for the order, red ones included."""
        return _of(order_no, kept_by(self.folder / "einvoice.sqlite", "einvoice.requests"))

    def refunds(self, order_no: str) -> list[dict[str, Any]]:
        """Refunds that the payment provider has on record for the order."""
        return _of(order_no, kept_by(self.folder / "payment.sqlite", "payment.refunds"))


def _of(order_no: str, kept: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [value for key, value in sorted(kept.items()) if key.startswith(order_no)]


@contextlib.asynccontextmanager
async def outside_world(folder: Path) -> AsyncIterator[OutsideWorld]:
    """The parties, at work until the block ends."""
    memories = {name: Memory(folder / f"{name}.sqlite") for name in ("carrier", "einvoice", "payment")}
    carrier = SimulatedCarrier(memories["carrier"], CarrierBehaviour(pick_up_after_seconds=1e9))
    provider = SimulatedPaymentProvider(memories["payment"])
    async with contextlib.AsyncExitStack() as open_parts:

        async def reachable(app: Starlette) -> Middlebox:
            url = await open_parts.enter_async_context(serving(app))
            return await open_parts.enter_async_context(Middlebox(url).open())

        yield OutsideWorld(
            folder,
            carrier,
            provider,
            await reachable(carrier_app(carrier)),
            await reachable(einvoice_app(SimulatedEInvoiceProvider(memories["einvoice"]))),
            await reachable(payment_app(provider)),
        )
    for memory in memories.values():
        memory.close()
