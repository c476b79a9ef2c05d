"""What happens to a story behind our back is found: in the chain of its events, or by an anchor elsewhere."""

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.chain import canonical, genesis, link, sealed, told_of
from domain.order import Lifecycle
from integrations.anchors.folder import AnchorFolder
from runtime.database import Sessions
from store import audit, events, holds, orders
from store.events import Event
from store.holds import Reason
from tests.conftest import Database
from tests.factories.orders import place
from tests.fakes.patience import eventually
from workers.anchoring import Anchoring, verify, write_anchor

# A superuser who knows what he is doing: triggers and foreign keys do not count for this session.
_UNGUARDED = "SET LOCAL session_replication_role = replica"


@dataclass(frozen=True)
class Told:
    """Two orders of four events each, with anchors in a folder."""

    sessions: Sessions
    folder: AnchorFolder
    path: Path

    async def tamper(self, *statements: str, **values: Any) -> None:
        async with self.sessions() as session, session.begin():
            await session.execute(text(_UNGUARDED))
            for statement in statements:
                await session.execute(text(statement), values)

    async def anchor(self) -> int:
        anchor = await write_anchor(self.sessions, self.folder)
        assert anchor is not None
        return anchor.number

    async def flaws(self, order_no: str | None = None) -> list[tuple[str | None, int | None, str]]:
        verdict = await verify(self.sessions, self.folder, order_no)
        return [(flaw.order_no, flaw.seq, flaw.what) for flaw in verdict.flaws]

    async def events(self, order_no: str) -> Sequence[Any]:
        async with self.sessions() as session:
            found = [story async for story in audit.stories(session, order_no)]
        return found[0].events


async def _tell(sessions: Sessions, order_no: str) -> None:
    async with sessions() as session, session.begin():
        order = await orders.lock(session, order_no)
        told = {"total_minor": 11_300, "名": 'é\n"\\', "nested": {"bb": [1, None, True], "a": -1}}
        await events.record(session, order, Event("order.received", told, actor="shop", message_id="T-1"))
        order.lifecycle = Lifecycle.ACCEPTED
        await events.record(session, order, Event("order.accepted", node="check"))
        await holds.open_hold(session, order, Reason("price_mismatch", "Li Lei asked for it"))
        order.paid_minor = 11_300
        paid = Event(
            "payment.received", {"amount_minor": 11_300}, actor="wang", on_behalf_of="li", after={"by": "hand"}
        )
        await events.record(session, order, paid)


@pytest.fixture
async def told(database: Database, tmp_path: Path) -> Told:
    for order_no in ("SO-1", "SO-2"):
        await place(database.sessions, order_no)
        await _tell(database.sessions, order_no)
    return Told(database.sessions, AnchorFolder(tmp_path / "anchors"), tmp_path / "anchors")


async def test_story_that_nobody_touched_has_no_flaw(told: Told) -> None:
    await told.anchor()
    verdict = await verify(told.sessions, told.folder)
    assert (verdict.orders, verdict.events, verdict.anchors, verdict.flaws) == (2, 8, 1, [])


async def test_event_says_how_the_order_stood_before_and_after_and_for_whom_it_was_done(told: Told) -> None:
    story = [{**event} for event in await told.events("SO-1")]
    for event in story:
        event |= {name: json.loads(event[name]) for name in ("before", "after", "data")}
    received, accepted, held, paid = story
    assert (received["before"], received["after"]) == (
        {"lifecycle": None, "total_minor": None},
        {"lifecycle": "received", "total_minor": 11_300},
    )
    assert (accepted["before"], accepted["after"]) == (
        {"lifecycle": "received"},
        {"lifecycle": "accepted", "total_minor": 11_300},
    )
    assert held["before"] == {}
    assert (paid["before"], paid["after"]["paid_minor"], paid["after"]["by"]) == ({"paid_minor": None}, 11_300, "hand")
    assert (paid["actor"], paid["on_behalf_of"], paid["intake"]) == ("wang", "li", "api")
    assert (paid["flow_key"], paid["flow_version"]) == ("normal", 1)


async def test_first_event_is_chained_to_its_order_and_each_further_one_to_the_one_before(told: Told) -> None:
    story = await told.events("SO-1")
    assert story[0]["prev_hash"] == genesis("SO-1") != genesis("SO-2")
    assert [event["prev_hash"] for event in story[1:]] == [event["hash"] for event in story[:-1]]


@pytest.mark.parametrize(
    "statement", ["UPDATE order_events SET actor = 'x'", "DELETE FROM order_events", "TRUNCATE order_events"]
)
async def test_database_refuses_any_change_of_a_story(told: Told, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        async with told.sessions() as session, session.begin():
            await session.execute(text(statement))
    assert await told.flaws() == []


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'order.rejected'",
        "actor = 'somebody else'",
        "on_behalf_of = 'the boss'",
        "source = 'api'",
        "intake = 'import'",
        "message_id = 'T-2'",
        "node = 'other'",
        "flow_key = 'sample'",
        "flow_version = 2",
        """before = '{"lifecycle": "accepted"}'""",
        """after = after || '{"paid_minor": 1}'""",
        """data = data || '{"amount_minor": 1}'""",
        "at = at + interval '1 microsecond'",
        "reason = 'because'",
        "hash = sha256(hash)",
    ],
)
async def test_any_word_that_was_altered_is_found(told: Told, change: str) -> None:
    await told.tamper(f"UPDATE order_events SET {change} WHERE order_no = 'SO-1' AND seq = 2")
    found = await told.flaws()
    assert found[0] == ("SO-1", 2, "altered")
    assert await told.flaws("SO-1") == found
    assert await told.flaws("SO-2") == []


async def test_event_that_was_deleted_is_found(told: Told) -> None:
    await told.tamper("DELETE FROM order_events WHERE order_no = 'SO-1' AND seq = 2")
    assert await told.flaws() == [("SO-1", 2, "missing")]


async def test_event_that_was_put_in_is_found(told: Told) -> None:
    columns = "kind, actor, source, intake, flow_key, flow_version, before, after, data, at, prev_hash, hash"
    insert = f"INSERT INTO order_events (order_no, seq, {columns}) SELECT order_no, {{}}, {columns} FROM order_events"
    last = "WHERE order_no = 'SO-1' AND seq = 4"
    await told.tamper(f"{insert.format(5)} {last}")
    assert ("SO-1", 5, "inserted") in await told.flaws()
    # And in the middle, all numbers moved on by one.
    await told.tamper(
        "DELETE FROM order_events WHERE order_no = 'SO-1' AND seq = 5",
        "UPDATE order_events SET seq = 5 WHERE order_no = 'SO-1' AND seq = 4",
        "UPDATE order_events SET seq = 4 WHERE order_no = 'SO-1' AND seq = 3",
        f"{insert.format(3)} WHERE order_no = 'SO-1' AND seq = 2",
        "UPDATE orders SET last_event_seq = 5 WHERE order_no = 'SO-1'",
    )
    found = await told.flaws()
    assert {("SO-1", 3, "unchained"), ("SO-1", 3, "altered")} <= set(found)
    assert all(order_no == "SO-1" for order_no, _, _ in found)


_CUT = (
    "DELETE FROM order_events WHERE order_no = 'SO-1' AND seq > 2",
    "UPDATE orders SET last_event_seq = 2 WHERE order_no = 'SO-1'",
)


async def test_tail_that_was_cut_off_is_found_by_the_count_of_the_order_and_by_the_anchor(told: Told) -> None:
    await told.tamper(_CUT[0])
    assert await told.flaws() == [("SO-1", 3, "missing")]
    await told.tamper(_CUT[1])
    assert await told.flaws() == [], "what nobody has anchored is as if it had never been"


async def test_tail_that_was_cut_off_after_an_anchor_is_found(told: Told) -> None:
    await told.anchor()
    await told.tamper(*_CUT)
    assert await told.flaws() == [("SO-1", 4, "truncated")]
    async with told.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        for kind in ("order.a", "order.b"):
            await events.record(session, order, Event(kind))
    assert await told.flaws() == [("SO-1", 4, "rewritten")], "another tail does not hide it"
    await told.anchor()
    assert await told.flaws() == [("SO-1", 4, "rewritten")], "nor does another anchor"


async def test_order_that_is_gone_with_all_its_events_is_found(told: Told) -> None:
    await told.anchor()
    await told.tamper("DELETE FROM order_events WHERE order_no = 'SO-2'", "DELETE FROM orders WHERE order_no = 'SO-2'")
    assert await told.flaws() == [("SO-2", 4, "truncated")]


async def test_whole_chain_that_was_written_anew_is_found_by_the_anchor(told: Told) -> None:
    await told.anchor()
    story, previous = await told.events("SO-1"), genesis("SO-1")
    for event in story:
        row = {**event, "actor": "somebody else", "prev_hash": previous}
        previous = link(told_of(row))
        change = "UPDATE order_events SET actor = 'somebody else', prev_hash = :prev, hash = :hash WHERE event_id = :id"
        await told.tamper(change, prev=row["prev_hash"], hash=previous, id=event["event_id"])
    assert await told.flaws() == [("SO-1", 4, "rewritten")]
    assert (await verify(told.sessions, None)).flaws == [], "the chain alone does not show it"


async def test_reason_may_be_erased_if_the_story_says_so(told: Told) -> None:
    await told.tamper("UPDATE order_events SET reason = NULL, reason_salt = NULL WHERE order_no = 'SO-1' AND seq = 3")
    assert await told.flaws() == [("SO-1", 3, "altered")]
    async with told.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        await events.record(session, order, Event(audit.ERASED, {"seq": 3}, actor="privacy"))
    assert await told.flaws() == []


async def test_reason_stands_in_the_chain_by_a_seal_that_does_not_give_it_away(told: Told) -> None:
    held = {order_no: (await told.events(order_no))[2] for order_no in ("SO-1", "SO-2")}
    assert held["SO-1"]["reason"] == held["SO-2"]["reason"] == "Li Lei asked for it"
    assert held["SO-1"]["reason_seal"] != held["SO-2"]["reason_seal"]
    assert held["SO-1"]["reason_seal"] == sealed("Li Lei asked for it", held["SO-1"]["reason_salt"])


async def test_anchor_keeps_what_has_changed_since_the_last_one_and_is_chained_to_it(told: Told) -> None:
    assert await told.anchor() == 1
    assert await write_anchor(told.sessions, told.folder) is None, "nothing has changed"
    async with told.sessions() as session, session.begin():
        await session.execute(text(_UNGUARDED))
        await session.execute(
            text("UPDATE audit_anchors SET settled_event_id = (SELECT max(event_id) FROM order_events)")
        )
        await events.record(session, await orders.lock(session, "SO-2"), Event("order.waiting"))
    assert await told.anchor() == 2
    first, second = told.folder.all()
    assert [(head.order_no, head.seq) for head in first.heads] == [("SO-1", 4), ("SO-2", 4)]
    assert [(head.order_no, head.seq) for head in second.heads] == [("SO-2", 5)]
    assert second.previous == first.digest
    assert await told.flaws() == []


async def test_late_commit_is_in_the_next_anchor(told: Told) -> None:
    async with told.sessions() as late, late.begin():
        await events.record(late, await orders.lock(late, "SO-1"), Event("order.waiting"))
        async with told.sessions() as session, session.begin():
            await events.record(session, await orders.lock(session, "SO-2"), Event("order.waiting"))
        await told.anchor()
    await told.anchor()
    assert ("SO-1", 5) in {(head.order_no, head.seq) for head in told.folder.read(2).heads}


@pytest.mark.parametrize(
    ("harm", "flaw"),
    [
        (lambda path: path.unlink(), "anchor_missing"),
        (lambda path: path.write_text(path.read_text().replace("SO-1 4", "SO-1 3")), "anchor_altered"),
        (lambda path: path.write_text("nothing"), "anchor_altered"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
async def test_anchor_that_was_changed_or_is_gone_is_found(
    told: Told, harm: Callable[[Path], object], flaw: str, number: int
) -> None:
    await told.anchor()
    async with told.sessions() as session, session.begin():
        await events.record(session, await orders.lock(session, "SO-2"), Event("order.waiting"))
    await told.anchor()
    harm(told.path / f"{number:012d}.anchor")
    assert flaw in [what for _, _, what in await told.flaws()]


async def test_anchors_that_are_all_gone_are_missed(told: Told) -> None:
    await told.anchor()
    shutil.rmtree(told.path)
    assert await told.flaws() == [(None, None, "anchor_missing")]


async def test_anchor_of_a_process_that_died_before_it_told_the_database_stays_in_the_chain(told: Told) -> None:
    await told.anchor()
    await told.tamper("DELETE FROM audit_anchors")
    assert await told.anchor() == 2
    assert told.folder.read(2).previous == told.folder.read(1).digest
    assert await told.flaws() == []


async def test_workers_that_anchor_at_once_write_one_anchor(told: Told) -> None:
    stop = asyncio.Event()
    running = [asyncio.create_task(Anchoring(told.sessions, told.folder, 60).run(stop)) for _ in range(3)]

    async def numbers() -> list[int]:
        return told.folder.numbers()

    await eventually(numbers, lambda found: found == [1])
    stop.set()
    await asyncio.gather(*running)
    assert told.folder.numbers() == [1]
    assert await write_anchor(told.sessions, told.folder, not_since=timedelta(minutes=1)) is None


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=_JSON)
async def test_canonical_text_is_what_the_database_hashes(database: Database, value: Any) -> None:
    async with database.sessions() as session:
        asked = {"value": json.dumps(value)}
        printed = (await session.execute(text("SELECT CAST(CAST(:value AS jsonb) AS text)"), asked)).scalar_one()
    assert canonical(value) == printed


def test_float_is_refused_for_it_has_no_exact_text() -> None:
    with pytest.raises(TypeError):
        canonical({"amount": 1.5})
