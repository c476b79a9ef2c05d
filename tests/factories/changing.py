"""Changes of orders as our door lets them in."""

import json
from typing import Any

from activities.changing import ChangeActivities, ChangeAnswer, ChangeInput
from flows import builtin_flows
from runtime.database import Sessions
from store import flows, orders
from tests.factories.payments import bring

Said = dict[str, Any]


def units(**wanted: int) -> Said:
    """So many units of the lines named, `l1` for line 1."""
    return {"lines": [{"line_id": name.removeprefix("l"), "quantity": quantity} for name, quantity in wanted.items()]}


def more(line_id: str, sku: str = "SKU-1", quantity: int = 1, **said: Any) -> Said:
    """A line that comes in, at a price of the sender's own."""
    line = {"line_id": line_id, "sku": sku, "quantity": quantity, "unit_price_minor": 11_300, "tax_rate": "0.13"}
    return {"add": [line | said], "sets_prices": True}


async def in_force(sessions: Sessions) -> None:
    """Afterwards the built-in flows are."""
    async with sessions() as session, session.begin():
        await flows.publish(session, builtin_flows())


async def ask(
    sessions: Sessions, said: Said, change_id: str = "C-1", *, version: int | None = None, order_no: str = "SO-1"
) -> ChangeInput:
    """A committed change, asked for on the order as it is now unless another version is named."""
    body = json.dumps({"change_id": change_id, "reason": "the buyer rang"} | said)
    fact = await bring(sessions, body, f"change/{change_id}", order_no, kind="change.requested")
    if version is None:
        async with sessions() as session:
            version = (await orders.get(session, order_no)).last_event_seq
    return ChangeInput(order_no, "pay", fact.inbox_id, version)


async def change(sessions: Sessions, said: Said, change_id: str = "C-1") -> ChangeAnswer:
    """What comes of the change."""
    return await ChangeActivities(sessions, None, 1).change_order(await ask(sessions, said, change_id))
