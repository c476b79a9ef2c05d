"""Files of orders that people brought: kept encrypted for a short time, placed by one process at a time."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from models.columns import now
from models.importing import ImportedOrder, OrderImport
from models.inbox import InboxMessage
from models.order import Order
from runtime.keyring import KeyRing, key_id_of

KEPT_FOR: Final = timedelta(days=1)
"""How long the content of a file is kept, for whoever mends what was refused."""
_LEASE: Final = timedelta(seconds=30)
_LISTED: Final = 50
_AT_ONCE: Final = 1000


class ImportNotFound(DomainError):
    """There is no such import."""

    code = "import_not_found"


class FileForgotten(DomainError):
    """The content of the file is not kept any more: whoever has the file brings it again."""

    code = "file_forgotten"


@dataclass(frozen=True, slots=True)
class Brought:
    """A file and what was read of it; `choice` is how it was to be read."""

    file: bytes
    reading: bytes
    choice: Mapping[str, Any]
    orders: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one order of the file."""

    position: int
    called: str
    fate: str
    order_no: str | None = None
    problems: tuple[Mapping[str, Any], ...] = ()


async def bring(session: AsyncSession, keys: KeyRing, brought: Brought, name: str, file_hash: str, by: str) -> str:
    """Afterwards the file is kept under the id returned."""
    import_id = f"IM{secrets.token_hex(8).upper()}"
    row = OrderImport(
        import_id=import_id,
        file_name=name,
        file_hash=file_hash,
        choice=dict(brought.choice),
        orders=brought.orders,
        unreadable=brought.unreadable,
        brought_by=by,
    )
    _put(row, keys, brought.file, brought.reading)
    session.add(row)
    await session.flush()
    return import_id


async def put_reading(session: AsyncSession, keys: KeyRing, import_id: str, brought: Brought) -> bool:
    """Afterwards this is how the file is read; False when it is being placed already."""
    row = await find(session, import_id, locked=True)
    if row.state != "read":
        return False
    row.choice, row.orders, row.unreadable = dict(brought.choice), brought.orders, brought.unreadable
    _put(row, keys, brought.file, brought.reading)
    session.add(row)
    return True


def _put(row: OrderImport, keys: KeyRing, file: bytes, reading: bytes) -> None:
    row.file, row.reading = keys.encrypt(file, _about(row, "file")), keys.encrypt(reading, _about(row, "reading"))


def _about(row: OrderImport, part: str) -> bytes:
    return f"imports/{row.import_id}/{part}".encode()


async def find(session: AsyncSession, import_id: str, *, locked: bool = False) -> OrderImport:
    """The import. Raises ImportNotFound."""
    row = await session.get(OrderImport, import_id, with_for_update=locked)
    if row is None:
        raise ImportNotFound(import_id=import_id)
    return row


def file_of(row: OrderImport, keys: KeyRing) -> bytes:
    """The file as it was brought. Raises FileForgotten."""
    return keys.decrypt(_kept(row.file), _about(row, "file"))


def reading_of(row: OrderImport, keys: KeyRing) -> bytes:
    """What was read of it. Raises FileForgotten."""
    return keys.decrypt(_kept(row.reading), _about(row, "reading"))


def _kept(content: bytes | None) -> bytes:
    if content is None:
        raise FileForgotten()
    return content


async def latest(session: AsyncSession) -> Sequence[OrderImport]:
    """The last files that anybody brought, the newest first."""
    return (await session.exec(select(OrderImport).order_by(col(OrderImport.brought_at).desc()).limit(_LISTED))).all()


async def same_file(session: AsyncSession, row: OrderImport) -> OrderImport | None:
    """The last other import of the very same file of which something was placed."""
    same = (col(OrderImport.file_hash) == row.file_hash) & (col(OrderImport.import_id) != row.import_id)
    query = select(OrderImport).where(same, col(OrderImport.started_at).is_not(None))
    return (await session.exec(query.order_by(col(OrderImport.brought_at).desc()).limit(1))).one_or_none()


async def claim(session: AsyncSession, import_id: str, by: str) -> OrderImport | None:
    """Afterwards it is for the caller to place, for as long as they say so now and then; None: somebody else does."""
    row = await find(session, import_id, locked=True)
    if row.state == "done" or (row.leased_until is not None and row.leased_until > now()):
        return None
    row.state, row.placed_by, row.started_at = "placing", row.placed_by or by, row.started_at or now()
    row.leased_until = now() + _LEASE
    session.add(row)
    return row


def is_stalled(row: OrderImport) -> bool:
    """Whether it was begun, and nobody is placing it any more."""
    return row.state == "placing" and (row.leased_until is None or row.leased_until < now())


async def record(session: AsyncSession, import_id: str, fates: Sequence[Fate]) -> None:
    """Afterwards these fates are on record, each once, and the caller goes on placing."""
    at = now()
    if fates:
        rows = [
            {"import_id": import_id, "position": one.position, "called": one.called, "order_no": one.order_no}
            | {"fate": one.fate, "problems": [dict(problem) for problem in one.problems], "at": at}
            for one in fates
        ]
        await session.execute(insert(ImportedOrder).values(rows).on_conflict_do_nothing())
    row = await find(session, import_id, locked=True)
    row.leased_until = at + _LEASE
    session.add(row)


async def finish(session: AsyncSession, import_id: str) -> None:
    """Afterwards every order of the file has its fate."""
    row = await find(session, import_id, locked=True)
    row.state, row.finished_at, row.leased_until = "done", now(), None
    session.add(row)


async def let_go(session: AsyncSession, import_id: str) -> None:
    """Afterwards anybody may go on placing."""
    row = await find(session, import_id, locked=True)
    row.leased_until = None
    session.add(row)


async def settled(session: AsyncSession, import_id: str) -> Counter[str]:
    """How many orders of the file have met which fate."""
    query = select(ImportedOrder.fate, func.count()).where(col(ImportedOrder.import_id) == import_id)
    return Counter(dict((await session.exec(query.group_by(col(ImportedOrder.fate)))).all()))


async def positions(session: AsyncSession, import_id: str) -> frozenset[int]:
    """Which orders of the file have their fate."""
    query = select(ImportedOrder.position).where(col(ImportedOrder.import_id) == import_id)
    return frozenset((await session.exec(query)).all())


async def fates(
    session: AsyncSession, import_id: str, fate: str | None, after: int, limit: int
) -> Sequence[ImportedOrder]:
    """What became of the orders behind this position, in the order of the file; only of one fate where it is named."""
    query = select(ImportedOrder).where(col(ImportedOrder.import_id) == import_id, col(ImportedOrder.position) > after)
    if fate is not None:
        query = query.where(col(ImportedOrder.fate) == fate)
    return (await session.exec(query.order_by(col(ImportedOrder.position)).limit(limit))).all()


async def fingerprints(session: AsyncSession, channel: str, external_ids: Sequence[str]) -> Mapping[str, str]:
    """Of the orders that this channel has sent before: the fingerprints of what was sent, by what it calls them."""
    found: dict[str, str] = {}
    for start in range(0, len(external_ids), _AT_ONCE):
        query = select(InboxMessage.message_id, InboxMessage.fingerprint).where(
            col(InboxMessage.source) == f"orders/{channel}",
            col(InboxMessage.message_id).in_(external_ids[start : start + _AT_ONCE]),
        )
        found |= dict((await session.exec(query)).all())
    return found


async def placed_since(session: AsyncSession, order_no: str, row: OrderImport) -> bool:
    """Whether the order came while this import was being placed: by it, before it was interrupted."""
    order = await session.get(Order, order_no)
    return order is not None and row.started_at is not None and order.received_at >= row.started_at


async def forget(session: AsyncSession) -> None:
    """Afterwards no content is kept of what was brought longer ago than content is kept."""
    await session.execute(_FORGET, {"before": now() - KEPT_FOR})


_FORGET: Final = text("""
UPDATE order_imports SET file = NULL, reading = NULL WHERE brought_at < :before AND file IS NOT NULL
""")


async def reseal(session: AsyncSession, keys: KeyRing) -> int:
    """Afterwards what is kept of files is encrypted under the current key; how many were not. Raises CannotDecrypt."""
    query = select(OrderImport).where(col(OrderImport.file).is_not(None)).with_for_update()
    done = 0
    for row in (await session.exec(query)).all():
        if row.file is not None and row.reading is not None and key_id_of(row.file) != keys.current:
            file, reading = file_of(row, keys), reading_of(row, keys)
            row.file, row.reading = (
                keys.encrypt(file, _about(row, "file")),
                keys.encrypt(reading, _about(row, "reading")),
            )
            session.add(row)
            done += 1
    return done
