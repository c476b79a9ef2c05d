"""An order is asked for something, and Temporal loses its workflow before it has answered."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor

from tests.api.conftest import Api, As, at_work
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up
from tests.api.test_flows import published
from tests.api.test_moving import move, parked, patient
from tests.conftest import Temporal
from tests.factories.requests import a_line
from tests.fakes.patience import eventually

WHY = {"reason": "the buyer rang"}
RETRY = {"choice": "retry", "reason_code": "checked", "reason": "goods are there"}


@dataclass
class Loses(ClientInterceptor, WorkerInterceptor):
    """Terminates the workflow that runs an activity of this name, so many times: just after the activity's effect."""

    client: Client
    at: Counter[str] = field(default_factory=Counter)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Losing(next, self)


class _Losing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, loses: Loses) -> None:
        super().__init__(next)
        self._loses = loses

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        result = await self.next.execute_activity(input)
        info, loses = activity.info(), self._loses
        if loses.at[info.activity_type] > 0 and info.workflow_id is not None:
            loses.at[info.activity_type] -= 1
            await loses.client.get_workflow_handle(info.workflow_id).terminate("lost")
        return result


@pytest.fixture
async def loses(api: Api, temporal: Temporal) -> AsyncIterator[Loses]:
    """Workers that lose workflows when told to."""
    loses = Loses(temporal.client)
    watched = temporal.client.config()
    watched["interceptors"] = [loses]
    async with at_work(api, Client(**watched)):
        yield loses


async def waiting_order(as_role: As) -> RunningOrder:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await price(admin)
    await stock_up(admin)
    await order.place()
    await order.when(waiting_for="payment.full")
    return order


async def test_hold_is_asked_of_the_run_that_follows(loses: Loses, as_role: As) -> None:
    order = await waiting_order(as_role)
    loses.at["hold_order"] = 2
    answer = await as_role("admin").post(f"{order.own}/holds", json=WHY)
    assert answer.status_code == 201, answer.text
    (held,) = (await order.read())["holds"]
    assert (held["hold_id"], held["reason_code"]) == (answer.json()["hold_id"], "manual")
    assert loses.at["hold_order"] == 0


async def test_order_that_nobody_can_be_asked_about_says_when_to_ask_again(loses: Loses, as_role: As) -> None:
    order, admin = await waiting_order(as_role), as_role("admin")
    loses.at["hold_order"] = 1_000
    answer = await admin.post(f"{order.own}/holds", json=WHY)
    assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    loses.at.clear()
    again = await admin.post(f"{order.own}/holds", json=WHY)
    (held,) = (await order.read())["holds"]
    assert (again.status_code, again.json()["hold_id"]) == (201, held["hold_id"])


async def test_change_is_made_once_though_its_run_was_lost(loses: Loses, as_role: As) -> None:
    order, admin = await waiting_order(as_role), as_role("admin")
    wish = {"change_id": "C-1", "reason": "one more", "lines": [{"line_id": "1", "quantity": 3}]}
    shown = await admin.post(f"{order.own}/changes", params={"preview": "true"}, json=wish)
    loses.at["change_order"] = 1
    answer = await admin.post(f"{order.own}/changes", json=wish | {"version": shown.json()["version"]})
    assert answer.status_code == 200, answer.text
    assert loses.at["change_order"] == 0
    changed = await order.when(waiting_for="payment.full")
    assert [line["quantity"] for line in changed["lines"]] == [3]
    assert len((await admin.get(f"{order.own}/changes")).json()["data"]) == 1


async def test_settling_is_never_refused_by_a_run_that_has_only_just_begun(loses: Loses, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await order.place(lines=[a_line(sku="UNKNOWN")])
    assert await order.held() == ["unknown_sku"]
    loses.at["resolve_holds"] = 1
    await answered(lambda: admin.post(f"{order.own}/exception", json=RETRY))
    assert loses.at["resolve_holds"] == 0


async def answered(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The first answer that does not say to ask again; it is yes."""
    answer = await eventually(ask, lambda answer: answer.status_code != 503)
    assert answer.status_code == 200, answer.text
    return answer


async def test_order_whose_run_was_lost_as_it_moved_goes_on_in_the_version_it_was_moved_to(
    api: Api, loses: Loses, as_role: As
) -> None:
    admin = as_role("admin")
    order = await parked(admin)
    assert (await published(api, admin, patient())).status_code == 201
    loses.at["move_order"] = 1
    moved = await answered(lambda: move(order, 2, check="look"))
    assert (moved.json()["version"], moved.json()["node"]) == (2, "look")
    assert loses.at["move_order"] == 0
    assert (await order.read())["flow"]["version"] == 2


async def test_cancellation_that_its_run_had_begun_is_finished_by_the_next(loses: Loses, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await order.packed()
    loses.at["cancel_shipments"] = 1
    answer = await admin.post(f"{order.own}/cancel", json=WHY)
    assert (answer.status_code, answer.json()["lifecycle"]) == (200, "cancelled"), answer.text
    assert [refund["amount_minor"] for refund in answer.json()["refunds"]] == [TOTAL]
    assert loses.at["cancel_shipments"] == 0


async def test_what_is_asked_of_an_order_that_ends_in_that_moment_is_too_late(loses: Loses, as_role: As) -> None:
    order, admin = await waiting_order(as_role), as_role("admin")
    loses.at["close_order"] = 1
    answer = await admin.post(f"{order.own}/cancel", json=WHY)
    assert (answer.status_code, answer.json()["lifecycle"]) == (200, "cancelled"), answer.text
    assert loses.at["close_order"] == 0
    late = await admin.post(f"{order.own}/holds", json=WHY)
    assert (late.status_code, late.json()["code"]) == (409, "too_late_to_hold")
