"""Which adapter each setting leads to, and what a worker process registers."""

from pathlib import Path
from typing import Any

import pytest
from temporalio import activity

from integrations.carrier.over_http import HttpCarrier
from integrations.carrier.port import CarrierEvent
from integrations.carrier.simulated import SimulatedCarrier
from integrations.einvoice.over_http import HttpEInvoiceProvider
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.notifier.over_http import HttpNotifier
from integrations.payment.over_http import HttpPaymentProvider
from integrations.payment.simulated import SimulatedPaymentProvider
from runtime.settings import Settings
from runtime.temporal import connect
from tests.conftest import Database, Temporal
from workers.main import build_workers, queues
from workers.wiring import Capabilities, wire
from workflows.order.contract import CARRIER_QUEUE, EINVOICE_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE
from workflows.relay import RELAY_QUEUE


async def _nobody(_: CarrierEvent) -> None:
    """Carriers' reports that nobody waits for."""


def _wired(database: Database, **settings: Any) -> Capabilities:
    return wire(Settings(**settings), database.engine, database.sessions, _nobody)


def _parties(able: Capabilities) -> tuple[type, type, type, type]:
    """The adapters behind carrier, e-invoice provider, payment provider and notifier."""
    return (
        type(able.shipping._carrier),
        type(able.invoices._provider),
        type(able.payments._provider),
        type(able.outbox._notifier),
    )


async def test_without_settings_the_parties_are_simulated_and_the_notifier_is_real(database: Database) -> None:
    able = _wired(database)
    assert _parties(able) == (SimulatedCarrier, SimulatedEInvoiceProvider, SimulatedPaymentProvider, HttpNotifier)
    assert able.autopilot is None


async def test_settings_lead_to_the_parties_over_http(database: Database) -> None:
    able = _wired(
        database,
        carrier="http",
        carrier_url="https://carrier.example",
        einvoice="http",
        einvoice_url="https://einvoice.example",
        payment_provider="http",
        payment_provider_url="https://payments.example",
        carrier_autopilot=True,
    )
    assert _parties(able) == (HttpCarrier, HttpEInvoiceProvider, HttpPaymentProvider, HttpNotifier)
    # A real carrier moves its parcels itself.
    assert able.autopilot is None


async def test_carrier_that_moves_by_itself_is_the_one_that_books(database: Database) -> None:
    able = _wired(database, carrier_autopilot=True)
    assert able.autopilot is able.shipping._carrier


@pytest.mark.parametrize("party", ["carrier", "einvoice", "payment"])
async def test_simulators_remember_where_they_are_told_to(database: Database, tmp_path: Path, party: str) -> None:
    _wired(database, simulator_dir=tmp_path / "kept")
    assert (tmp_path / "kept" / f"{party}.sqlite").exists()


async def test_each_slow_party_has_a_queue_of_its_own(database: Database, temporal: Temporal) -> None:
    able = _wired(database)
    served = {queue: {_name(method) for method in methods} for queue, methods in queues(able).items()}
    assert served[CARRIER_QUEUE] == {"book_shipments", "cancel_shipments"}
    assert served[EINVOICE_QUEUE] == {"issue_invoice", "credit_invoices", "credit_refunds"}
    assert served[PAYMENTS_QUEUE] == {"refund_payments", "pay_refunds", "refund_surplus"}
    assert served[RELAY_QUEUE] == {"relay_outbox"}
    assert len(served[ORDERS_QUEUE]) == sum(map(len, served.values())) - 9
    # A client of its own: one serves a queue through one worker, and these are never run.
    client = await connect(address=temporal.address)
    assert [worker.task_queue for worker in build_workers(client, able)] == list(served)


def _name(method: Any) -> str:
    definition = activity._Definition.must_from_callable(method)
    assert definition.name is not None
    return definition.name
