"""Heads of the chains of events, written down outside of the database every few minutes; and checking against them."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel.ext.asyncio.session import AsyncSession

from integrations.anchors.folder import Anchor, AnchorFolder, AnchorUnreadable, Head
from models.audit import AuditAnchor
from models.columns import now
from runtime.database import Sessions
from store import audit
from store.audit import Flaw

_AT_ONCE = 2_000

_log = structlog.get_logger(__name__)


async def write_anchor(
    sessions: Sessions, folder: AnchorFolder, *, not_since: timedelta | None = None
) -> Anchor | None:
    """Afterwards every change there is is anchored. None: nothing has changed, or the last anchor is newer than that.

    A file that was written by a process that died before it could tell the database counts as an anchor: the next one
    is chained to it and keeps what it kept.
    """
    async with sessions() as session, session.begin():
        await audit.lock_anchoring(session)
        last = await audit.last_anchor(session)
        if last is not None and not_since is not None and last.written_at > now() - not_since:
            return None
        after = last.settled_event_id if last else 0
        settled = max(after, await audit.settled(session))
        heads = [Head(*one) for one in await audit.heads(session, after)]
        if not heads or (last is not None and await _says_the_same(folder, last, heads)):
            return None
        number, previous = await asyncio.to_thread(_next, folder, last)
        anchor = await asyncio.to_thread(folder.add, number, now(), previous, settled, heads)
        session.add(AuditAnchor(number=number, digest=anchor.digest, heads=len(heads), settled_event_id=settled))
        return anchor


async def _says_the_same(folder: AnchorFolder, last: AuditAnchor, heads: list[Head]) -> bool:
    """Whether nothing has happened since: heads that had not settled are looked at again."""
    with contextlib.suppress(OSError, AnchorUnreadable):
        return set(heads) <= set((await asyncio.to_thread(folder.read, last.number)).heads)
    return False


def _next(folder: AnchorFolder, last: AuditAnchor | None) -> tuple[int, str | None]:
    there = folder.numbers()
    if there and (last is None or there[-1] >= last.number):
        return there[-1] + 1, folder.read(there[-1]).digest
    return (last.number + 1, last.digest) if last else (1, None)


@dataclass
class Verdict:
    """What was looked at, and every place that is not what was once written down."""

    orders: int = 0
    events: int = 0
    anchors: int = 0
    flaws: list[Flaw] = field(default_factory=list)


async def verify(sessions: Sessions, folder: AnchorFolder | None, order_no: str | None = None) -> Verdict:
    """Whether the story of the order, or of all orders, is what was written; and what every anchor knows of it."""
    verdict = Verdict()
    async with sessions() as session:
        async for story in audit.stories(session, order_no):
            verdict.orders += 1
            verdict.events += len(story.events)
            verdict.flaws += audit.flaws_of(story)
    if folder is None:
        return verdict
    async with sessions() as session:
        verdict.flaws += _chain_of_anchors(folder, {one.number: one.digest for one in await audit.anchors(session)})
        for number in folder.numbers():
            with contextlib.suppress(AnchorUnreadable):
                anchor = await asyncio.to_thread(folder.read, number)
                verdict.anchors += 1
                verdict.flaws += await _against(session, anchor, order_no)
    return verdict


def _chain_of_anchors(folder: AnchorFolder, known: dict[int, str]) -> list[Flaw]:
    found = []
    there = folder.numbers()
    previous: str | None = None
    for number in sorted({*there, *known, *range(1, there[-1] if there else 1)}):
        if number not in there:
            found.append(Flaw(None, None, "anchor_missing", f"anchor {number} is gone"))
            previous = known.get(number)
            continue
        try:
            anchor = folder.read(number)
        except AnchorUnreadable:
            found.append(Flaw(None, None, "anchor_altered", f"anchor {number} cannot be read"))
            previous = known.get(number)
            continue
        if anchor.digest != known.get(number, anchor.digest) or previous not in (None, anchor.previous):
            found.append(Flaw(None, None, "anchor_altered", f"anchor {number} is not what was written"))
        previous = anchor.digest
    return found


async def _against(session: AsyncSession, anchor: Anchor, order_no: str | None) -> list[Flaw]:
    found = []
    asked = [head for head in anchor.heads if order_no in (None, head.order_no)]
    for first in range(0, len(asked), _AT_ONCE):
        heads = asked[first : first + _AT_ONCE]
        kept = await audit.hashes(session, [(head.order_no, head.seq) for head in heads])
        for head in heads:
            digest = kept.get((head.order_no, head.seq))
            if digest is None:
                detail = f"anchor {anchor.number} of {anchor.written_at} knows this event"
                found.append(Flaw(head.order_no, head.seq, "truncated", detail))
            elif digest != head.hash:
                detail = f"anchor {anchor.number} of {anchor.written_at} knows another event"
                found.append(Flaw(head.order_no, head.seq, "rewritten", detail))
    return found


class Anchoring:
    """Writes an anchor every `every_s` seconds. Any number of them may run on one folder: one of them writes."""

    def __init__(self, sessions: Sessions, folder: AnchorFolder, every_s: float) -> None:
        self._sessions = sessions
        self._folder = folder
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Anchors until `stop` is set; what fails is told and tried again at the next round."""
        while not stop.is_set():
            try:
                anchor = await write_anchor(
                    self._sessions, self._folder, not_since=timedelta(seconds=self._every_s * 0.9)
                )
            except (SQLAlchemyError, PoolTimeout, OSError, AnchorUnreadable) as failed:
                _log.error("no anchor could be written", error=type(failed).__name__)
            else:
                if anchor is not None:
                    _log.info("anchored", number=anchor.number, heads=len(anchor.heads))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)
