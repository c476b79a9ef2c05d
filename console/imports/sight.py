"""What a page shows of a file: what each order would become, and everything that speaks against it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.order_number import order_number
from importing.columns import BY_NAME
from importing.items import Item, Refusal
from importing.reading import Reading
from importing.table import Problem
from models.masters import Product
from store import imports, products


@dataclass(frozen=True, slots=True)
class Outlook:
    """One order as it would be placed now. `state`: new, there, or differs from the one that is there.

    `doubts` are what it would be held for, as far as the catalogue tells.
    """

    item: Item
    order_no: str
    state: str
    doubts: tuple[str, ...]


async def outlooks(session: AsyncSession, reading: Reading) -> list[Outlook]:
    """What would become of every order of the file."""
    items = reading.readout.items
    by_channel: dict[str, list[str]] = defaultdict(list)
    for item in items:
        by_channel[item.body["channel"]].append(item.body["external_id"])
    known = {name: await imports.fingerprints(session, name, ids) for name, ids in by_channel.items()}
    skus = {line["sku"] for item in items for line in item.body["lines"]}
    catalogue = await products.by_sku(session, skus)
    return [_outlook(item, known[item.body["channel"]], catalogue) for item in items]


def _outlook(item: Item, known: Mapping[str, str], catalogue: Mapping[str, Product]) -> Outlook:
    channel, external_id = item.body["channel"], item.body["external_id"]
    before = known.get(external_id)
    state = "new" if before is None else "there" if before == item.fingerprint else "differs"
    doubts = tuple(_doubts(item, catalogue)) if state == "new" else ()
    return Outlook(item, order_number(channel, external_id), state, doubts)


def _doubts(item: Item, catalogue: Mapping[str, Product]) -> Iterator[str]:
    lines = [(line, catalogue.get(line["sku"])) for line in item.body["lines"]]
    if any(product is None for _, product in lines):
        yield "unknown_sku"
    elif any(product and product.price_minor != line["unit_price_minor"] for line, product in lines):
        yield "price_mismatch"


def totals(items: Sequence[Item]) -> Mapping[str, int]:
    """What the orders come to, in each currency."""
    summed: Counter[str] = Counter()
    for item in items:
        summed[item.currency] += item.amount_minor
    return dict(sorted(summed.items()))


@dataclass(frozen=True, slots=True)
class Complaint:
    """One problem as a page tells it: where it is, and why."""

    called: str
    cell: str
    row: int | None
    column: str
    words: str
    values: Mapping[str, Any]


def complaints(reading: Reading, refusals: Sequence[Refusal], chinese: bool) -> list[Complaint]:
    """Every problem of what was refused."""
    return [complaint(reading, one.key, problem, chinese) for one in refusals for problem in one.problems]


def complaint(reading: Reading, called: str, problem: Problem, chinese: bool) -> Complaint:
    """The problem, with what its column is called."""
    column = BY_NAME.get(problem.column or "")
    name = "" if column is None else column.chinese if chinese else column.english
    return Complaint(called, reading.readout.cell(problem), problem.row, name, problem.words, problem.values)
