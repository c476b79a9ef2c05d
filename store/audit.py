"""The chains of events: reading them to the last row, their heads, and what was anchored of them."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.chain import JSON, NAMES, genesis, link, sealed, told_of
from models.audit import AuditAnchor

_PAGE = 2_000
_LOCK = 0x6F66616E63686F72
# No transaction of ours lasts as long as this: what is older is committed, or never will be.
_SETTLED_AFTER = timedelta(minutes=2)
ERASED = "reason.erased"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A place where the story of an order is not what was once written down; `what` is one word for it."""

    order_no: str | None
    seq: int | None
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Story:
    """All events of an order, and how many its row says there are; None: the order itself is gone."""

    order_no: str
    last_event_seq: int | None
    events: Sequence[RowMapping]


_STORIES = f"""
SELECT e.order_no, o.last_event_seq, e.seq, e.flow_version, e.at, e.reason, e.reason_salt,
       e.reason_seal, e.prev_hash, e.hash, e.event_id, {", ".join(f"e.{name}" for name in NAMES[1:])},
       {", ".join(f"CAST(e.{name} AS text) AS {name}" for name in JSON)}
FROM order_events e LEFT JOIN orders o ON o.order_no = e.order_no
WHERE CAST(:order_no AS text) IS NULL OR e.order_no = :order_no
ORDER BY e.order_no, e.seq
"""  # noqa: S608 - the names are constants
_UNTOLD = """
SELECT o.order_no, o.last_event_seq FROM orders o
WHERE (CAST(:order_no AS text) IS NULL OR o.order_no = :order_no)
  AND NOT EXISTS (SELECT 1 FROM order_events e WHERE e.order_no = o.order_no)
ORDER BY o.order_no
"""


async def stories(session: AsyncSession, order_no: str | None = None) -> AsyncIterator[Story]:
    """The story of one order, or of all of them one after the other, however many there are."""
    events: list[RowMapping] = []
    async for page in _pages(session, _STORIES, order_no):
        for row in page:
            if events and row["order_no"] != events[0]["order_no"]:
                yield _story(events)
                events = []
            events.append(row)
    if events:
        yield _story(events)
    async for page in _pages(session, _UNTOLD, order_no):
        for row in page:
            yield Story(row["order_no"], row["last_event_seq"], ())


async def _pages(session: AsyncSession, query: str, order_no: str | None) -> AsyncIterator[Sequence[RowMapping]]:
    rows = await session.stream(text(query).execution_options(yield_per=_PAGE), {"order_no": order_no})
    async for page in rows.mappings().partitions(_PAGE):
        yield page


def _story(events: Sequence[RowMapping]) -> Story:
    return Story(events[0]["order_no"], events[0]["last_event_seq"], events)


def flaws_of(story: Story) -> list[Flaw]:
    """Everything in the story that does not hang together."""
    found: list[Flaw] = []
    erased = {json.loads(event["data"]).get("seq") for event in story.events if event["kind"] == ERASED}
    due, previous = 1, genesis(story.order_no)
    for event in story.events:
        seq = event["seq"]
        if seq > due:
            missing = str(due) if seq == due + 1 else f"{due} to {seq - 1}"
            found.append(Flaw(story.order_no, due, "missing", f"no event {missing}"))
        elif seq < due:
            found.append(Flaw(story.order_no, seq, "inserted", "a second event of this number"))
        elif event["prev_hash"] != previous:
            found.append(Flaw(story.order_no, seq, "unchained", "does not follow the event before it"))
        if event["hash"] != link(told_of(dict(event))):
            found.append(Flaw(story.order_no, seq, "altered", "the event is not what was written"))
        if not _reason_holds(event) and not (event["reason"] is None and seq in erased):
            found.append(Flaw(story.order_no, seq, "altered", "the reason is not what was written"))
        due, previous = seq + 1, event["hash"]
    if story.last_event_seq is None:
        found.append(Flaw(story.order_no, None, "orphaned", "the order itself is gone"))
    elif due <= story.last_event_seq:
        found.append(Flaw(story.order_no, due, "missing", f"the order had {story.last_event_seq} events"))
    elif due > story.last_event_seq + 1:
        more = f"the order had {story.last_event_seq} events"
        found.append(Flaw(story.order_no, story.last_event_seq + 1, "inserted", more))
    return found


def _reason_holds(event: RowMapping) -> bool:
    reason, salt, seal = event["reason"], event["reason_salt"], event["reason_seal"]
    if reason is None or salt is None:
        return reason is None and seal is None
    return bool(seal == sealed(reason, salt))


async def lock_anchoring(session: AsyncSession) -> None:
    """Afterwards nobody else writes an anchor until this transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def anchors(session: AsyncSession) -> Sequence[AuditAnchor]:
    """Every anchor that was written, the first one first."""
    return (await session.exec(select(AuditAnchor).order_by(col(AuditAnchor.number)))).all()


async def last_anchor(session: AsyncSession) -> AuditAnchor | None:
    """The anchor that was written last."""
    return (await session.exec(select(AuditAnchor).order_by(col(AuditAnchor.number).desc()).limit(1))).one_or_none()


_HEADS = text("""
SELECT DISTINCT ON (order_no) order_no, seq, encode(hash, 'hex') AS hash FROM order_events
WHERE event_id > :after ORDER BY order_no, seq DESC
""")
_SETTLED = text("SELECT event_id FROM order_events WHERE at < now() - :age ORDER BY event_id DESC LIMIT 1")


async def heads(session: AsyncSession, after: int) -> list[tuple[str, int, str]]:
    """Order number, number and hash of the latest event of each order that has any beyond the event `after`."""
    rows = await session.execute(_HEADS, {"after": after})
    return [(row.order_no, row.seq, row.hash) for row in rows]


async def settled(session: AsyncSession) -> int:
    """The event up to which no transaction is still to commit one."""
    found = await session.execute(_SETTLED, {"age": _SETTLED_AFTER})
    return int(found.scalar_one_or_none() or 0)


_KEPT = text("""
SELECT w.order_no, w.seq, encode(e.hash, 'hex') AS hash
FROM unnest(CAST(:order_nos AS text[]), CAST(:seqs AS integer[])) AS w (order_no, seq)
LEFT JOIN order_events e ON e.order_no = w.order_no AND e.seq = w.seq
""")


async def hashes(session: AsyncSession, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str | None]:
    """The hash that each of these events (order number, number) has now; None: it is gone."""
    asked = {"order_nos": [order_no for order_no, _ in wanted], "seqs": [seq for _, seq in wanted]}
    return {(row.order_no, row.seq): row.hash for row in await session.execute(_KEPT, asked)}
