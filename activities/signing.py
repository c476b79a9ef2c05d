"""What follows when the lists of an approval change: it is decided, or it is the turn of others."""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.approval import Asked, Schedule, schedule
from domain.flow.approval_node import Vote
from domain.signers import Signers
from domain.signing import Assignment, tally
from models.approval import Approval
from models.columns import now
from models.order import Order
from store import approvals, calendars
from store.approvals import Told

About = tuple[Order, Approval]


async def settle(session: AsyncSession, about: About, after: Signers, by: str) -> None:
    """Afterwards the lists are these, and the approval is over if what was said has decided it."""
    order, approval = about
    await approvals.keep(session, approval, after)
    if after.state is not None:
        approvals.close(order, approval, after.state, by)


async def pass_on(session: AsyncSession, about: About, before: Signers, after: Signers) -> None:
    """Afterwards those whose turn has come are told; where nobody else is awaited, the time of the level is theirs."""
    came, alone = after.awaited_since(before)
    if not came or after.state is not None:
        return
    order, approval = about
    times = None
    if alone:
        times = schedule(after.node, approval.level, now(), await calendars.of_nodes(session, (after.node,)))
        approvals.start_clock(order, approval, approval.level, times)
    await tell_of_turn(session, about, "next", came, times)


async def tell_of_turn(
    session: AsyncSession,
    about: About,
    kind: str,
    came: Sequence[Assignment],
    times: Schedule | None,
    passed: Sequence[int] = (),
) -> None:
    """Afterwards it is on record who is asked now, until when by which calendar, and who stands in for whom."""
    told = {
        "people": [one.person for one in came],
        "deadline": about[1].deadline_at.isoformat(),
        "passed_levels": list(passed),
        "guessed_years": list(times.guessed_years) if times else [],
        "calendar": times.calendar if times else None,
        "calendar_revision": times.calendar_revision if times else None,
    }
    shown = {name: value for name, value in told.items() if value or name == "people"}
    await approvals.note(session, *about, Told(kind, data=shown))
    for one in came:
        await _tell_of_delegate(session, about, one.asks)


async def _tell_of_delegate(session: AsyncSession, about: About, asked: Asked) -> None:
    if asked.on_behalf_of is not None:
        told = Told("delegated", on_behalf_of=asked.on_behalf_of, data={"person": asked.person})
        await approvals.note(session, *about, told)


def votes_of(signers: Signers, level: int) -> dict[str, int]:
    """How the vote of the level stands, for the record; empty where nobody votes."""
    if not isinstance(signers.node.mode, Vote):
        return {}
    found = tally(signers.node.mode, signers.listed, level)
    return {"needed": found.needed, "agreed": found.agreed, "rejected": found.rejected, "abstained": found.abstained}
