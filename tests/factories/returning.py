"""Returns for tests: wishes, decisions and receipts as our door lets them in."""

import json
from collections.abc import Mapping
from typing import Any

from activities.returning import ReturnFact, ReturnStep
from domain.returning import return_number
from models.inbox import InboxMessage
from models.order import OrderLine
from models.returning import Return, ReturnLine
from runtime.database import Sessions
from store import orders, returning

NUMBER = return_number("SO-1", "A-1")


async def announced(
    sessions: Sessions, units: Mapping[str, int], return_id: str = "A-1", order_no: str = "SO-1"
) -> ReturnStep:
    """A committed wish to send these units back."""
    return_no = return_number(order_no, return_id)
    lines = [
        {"line_id": line_id, "quantity": quantity, "reason_code": "defective"} for line_id, quantity in units.items()
    ]
    await _commit(
        sessions, order_no, f"return/{return_no}", "return.requested", {"return_id": return_id, "lines": lines}
    )
    return ReturnStep(order_no, return_no)


async def decided(sessions: Sessions, decision: str, by: str = "boss", return_no: str = NUMBER) -> ReturnFact:
    """A committed decision."""
    message_id = f"return/{return_no}/decision/{by}"
    inbox_id = await _commit(
        sessions, "SO-1", message_id, "return.decided", {"decision": decision, "reason": "seen"}, by
    )
    return ReturnFact("SO-1", return_no, inbox_id)


async def received(
    sessions: Sessions,
    *found: Mapping[str, Any],
    receipt_id: str = "R-1",
    last: bool = True,
    return_no: str = NUMBER,
) -> ReturnFact:
    """A committed receipt of goods in the warehouse `main`."""
    said = {"receipt_id": receipt_id, "warehouse": "main", "lines": list(found), "last": last}
    message_id = f"return/{return_no}/receipt/{receipt_id}"
    return ReturnFact("SO-1", return_no, await _commit(sessions, "SO-1", message_id, "return.received", said))


async def _commit(
    sessions: Sessions, order_no: str, message_id: str, kind: str, said: Mapping[str, Any], by: str = "keeper"
) -> int:
    body = json.dumps(said)
    message = InboxMessage(
        source="api", message_id=message_id, kind=kind, order_no=order_no, fingerprint=body, body=body, actor=by
    )
    async with sessions() as session, session.begin():
        session.add(message)
    return message.inbox_id or 0


async def row_of(sessions: Sessions, return_no: str = NUMBER) -> Return:
    async with sessions() as session:
        found = await returning.find(session, return_no)
    assert found is not None
    return found


async def found_of(sessions: Sessions, return_no: str = NUMBER) -> list[tuple[int, int, int]]:
    """Units received, resellable and damaged of each line of the return."""
    async with sessions() as session:
        rows: list[ReturnLine] = list(await returning.lines_of(session, return_no))
    return [(row.received, row.resellable, row.damaged) for row in rows]


async def line(sessions: Sessions, line_id: str = "1", order_no: str = "SO-1") -> OrderLine:
    async with sessions() as session:
        return next(one for one in await orders.lines(session, order_no) if one.line_id == line_id)
