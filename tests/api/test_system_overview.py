"""/v1/system: who works, what waits, and which part is away."""

from datetime import UTC, datetime, timedelta
from typing import Any

from models.outbox import Destination, OutboxMessage
from runtime.database import create_engine, create_sessions
from runtime.version import release
from tests.api.conftest import Api, As
from tests.conftest import Temporal
from tests.fakes.patience import eventually
from workflows.queues import QUEUES


async def test_operator_sees_workers_queues_and_how_far_behind_messages_are(running: Api, as_role: As) -> None:
    async with running.database.sessions() as session, session.begin():
        session.add(Destination(name="shop", url="http://127.0.0.1:1/", secret="whsec_", enabled=False))
        await session.flush()
        told: dict[str, Any] = {"destination": "shop", "order_no": "SO-1", "event_type": "order.x", "body": "{}"}
        session.add(OutboxMessage(**told, message_id="m-1", occurred_at=datetime.now(UTC) - timedelta(minutes=2)))

    operator = as_role("operations")

    async def look() -> dict[str, Any]:
        answer = await operator.get("/v1/system")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    shown = await eventually(look, lambda found: all(queue["workers"] for queue in found["queues"]))
    assert shown["release"] == release() != "unknown"
    assert shown["database"]["status"] == shown["temporal"]["status"] == "ok"
    assert shown["database"]["at_head"] is True
    assert [(queue["queue"], queue["kind"]) for queue in shown["queues"]] == list(QUEUES)
    assert set(shown["workers"][0]["queues"]) <= {queue for queue, _ in QUEUES}
    [relay] = shown["relays"]
    assert (relay["destination"], relay["enabled"], relay["pending"], relay["refused"]) == ("shop", False, 1, 0)
    assert 120 <= relay["oldest_seconds"] < 180
    assert shown["inbox"] == {"waiting": 0, "oldest_seconds": 0.0, "strays": 0}


async def test_what_is_away_is_said_and_the_rest_is_shown(api: Api, as_role: As, temporal: Temporal) -> None:
    operator = as_role("operations")
    shown = (await operator.get("/v1/system")).json()
    assert (shown["temporal"]["status"], shown["workers"], shown["queues"]) == ("away", None, None)
    assert shown["database"]["status"] == "ok"

    nobody = create_engine("postgresql://nobody@127.0.0.1:1/orders")
    api.app.state.engine, api.app.state.sessions = nobody, create_sessions(nobody)
    api.app.state.temporal = temporal.client
    shown = (await operator.get("/v1/system")).json()
    assert (shown["database"]["status"], shown["inbox"], shown["relays"]) == ("away", None, None)
    assert shown["temporal"]["status"] == "ok"
    await nobody.dispose()


async def test_only_operators_see_it(as_role: As) -> None:
    for role in ("channel", "sales", "finance", "warehouse", "ceo"):
        assert (await as_role(role).get("/v1/system")).status_code == 403
