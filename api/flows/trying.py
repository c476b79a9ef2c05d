"""Trying a flow before it goes live: on paper, and on the orders that were there."""

import asyncio
import time
from typing import Final

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep
from api.flows.documents import definition_of, document_of
from api.flows.drafting import Writer
from api.flows.reading import Reader
from api.flows.schemas import FlowKey, FlowSent
from api.flows.tried import BacktestBody, BacktestView, SimulateBody, TrialView
from api.shown import money
from domain.access import Principal
from domain.flow.backtest import Backtest, replaced
from domain.flow.definition import FlowDefinition
from domain.flow.releases import flows_for
from domain.flow.simulate import simulate
from domain.flow.vocabulary import Facts
from models.columns import now
from models.order import Order
from store import calendars, facts, flow_drafts, flow_library, flows
from store.listing.sight import order_in_sight

router = APIRouter(tags=["flows"])
# One backtest at a time in a process: it takes a whole processor for some seconds.
_ONE_AT_A_TIME: Final = asyncio.Semaphore(1)


@router.post("/v1/flows:simulate", summary="Follow a flow on paper")
async def simulate_flow(body: SimulateBody, caller: Reader, session: SessionDep) -> TrialView:
    """No order, no clock, no effect: the path that an order with these facts would take, and when."""
    began = time.perf_counter()
    flow = await flow_library.resolved(session, await _flow(session, body))
    known: Facts = body.facts
    if body.order_no is not None:
        order = await order_in_sight(session, body.order_no, caller)
        known = {**await facts.of_order(session, order), **body.facts}
    trial = simulate(flow, known, body.script, await calendars.of_nodes(session, flow.nodes.values()))
    return TrialView.of(trial, body.script, round((time.perf_counter() - began) * 1000))


@router.post("/v1/flows/{key}/draft/backtest", summary="Try the draft on the last orders")
async def backtest_flow(key: FlowKey, body: BacktestBody, caller: Writer, session: SessionDep) -> BacktestView:
    """Which of the last orders would go another way than by the flows in force, and why. Changes nothing."""
    draft = definition_of((await flow_drafts.find(session, key)).definition)
    began = time.perf_counter()
    async with _ONE_AT_A_TIME:
        done, totals = await _backtest(session, body, await flow_library.resolved(session, draft), caller)
    return BacktestView.of(done, draft, totals, round((time.perf_counter() - began) * 1000))


async def _backtest(
    session: AsyncSession, body: BacktestBody, draft: FlowDefinition, caller: Principal
) -> tuple[Backtest, dict[str, int | None]]:
    releases = await flow_library.resolved_releases(session, await flows.releases(session))
    done, totals, present = Backtest(await calendars.named(session)), dict[str, int | None](), now()

    def compare(page: list[tuple[Order, dict[str, facts.FactText]]]) -> None:
        for order, known in page:
            live = flows_for(releases, order.order_no, order.channel, present)
            done.compare(order.order_no, known, live, replaced(live, draft))
            totals[order.order_no] = money(caller, order.total_minor)

    async for page in facts.of_last_orders(session, body.limit, body.since):
        # Beside the requests that are being answered meanwhile.
        await asyncio.to_thread(compare, page)
    return done, totals


async def _flow(session: AsyncSession, body: SimulateBody) -> FlowDefinition:
    if body.definition is not None:
        return definition_of(document_of(FlowSent(definition=body.definition)))
    key = body.key or ""
    if body.version == "draft":
        return definition_of((await flow_drafts.find(session, key)).definition)
    row = await flows.version_of(session, key, body.version)
    return FlowDefinition.model_validate(row.definition)
