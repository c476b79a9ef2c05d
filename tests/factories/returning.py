"""Returns for tests: wishes, decisions and receipts as our door lets them in."""

import json
from collections.abc import Mapping
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput
from activities.returning import ReturnFact, ReturnStep
from activities.step import Fact
from domain.returning import CONSENT, return_number, what_is_asked
from models.access import Person
from models.inbox import InboxMessage
from models.order import OrderLine
from models.returning import Return, ReturnLine
from runtime.database import Sessions
from store import orders, returning

NUMBER = return_number("SO-1", "A-1")


async def announced(
    sessions: Sessions, units: Mapping[str, int], return_id: str = "A-1", order_no: str = "SO-1", **said: Any
) -> ReturnStep:
    """A committed wish to send these units back; `said`: what else it says."""
    return_no = return_number(order_no, return_id)
    lines = [
        {"line_id": line_id, "quantity": quantity, "reason_code": "defective"} for line_id, quantity in units.items()
    ]
    wish = {"return_id": return_id, "lines": lines} | said
    await _commit(sessions, order_no, f"return/{return_no}", "return.requested", wish)
    return ReturnStep(order_no, return_no)


async def asked_about(sessions: Sessions, return_no: str = NUMBER, visit: int = 1) -> str:
    """People are asked about the return as its workflow does it, for the first time or anew; the approval's id."""
    async with sessions() as session, session.begin():
        for person, role in (("sven", "service"), ("mona", "manager")):
            await session.merge(Person(person_id=person, name=person.title(), roles=[role]))
    row = await row_of(sessions, return_no)
    asked = ApprovalInput(
        row.order_no,
        f"return.{return_no}",
        visit,
        "normal",
        1,
        CONSENT,
        content=what_is_asked(return_no, {"1": 1}, row.worth_minor or 0),
        order_waits=False,
        submitter=row.requested_by,
        amount_minor=row.worth_minor,
    )
    return (await ActivityEnvironment().run(ApprovalActivities(sessions).open_approval, asked)).approval_id


async def say(sessions: Sessions, approval_id: str, action: str, by: str = "sven") -> str:
    """What becomes of the person's word about the return."""
    said = {"approval_id": approval_id, "action": action, "comment": "seen"}
    inbox_id = await _commit(sessions, "SO-1", f"{approval_id}/{by}", "approval.decided", said, by)
    fact = Fact("SO-1", inbox_id)
    return (await ActivityEnvironment().run(ApprovalActivities(sessions).apply_decision, fact)).outcome


async def received(
    sessions: Sessions,
    *found: Mapping[str, Any],
    receipt_id: str = "R-1",
    last: bool = True,
    return_no: str = NUMBER,
    order_no: str = "SO-1",
) -> ReturnFact:
    """A committed receipt of goods in the warehouse `main`."""
    said = {"receipt_id": receipt_id, "warehouse": "main", "lines": list(found), "last": last}
    message_id = f"return/{return_no}/receipt/{receipt_id}"
    return ReturnFact(order_no, return_no, await _commit(sessions, order_no, message_id, "return.received", said))


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
