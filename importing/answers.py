"""What the door answers about something that was read from a file, in terms of the file."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from importing import orders, payments, stock
from importing.items import ORDERS, PAYMENTS, STOCK, Item, Location
from importing.table import Problem

_LOCATE: Final = {ORDERS: orders.located, PAYMENTS: payments.located, STOCK: stock.located}
_PLAIN: Final[Mapping[str, str]] = {
    "idempotency_key_reused": "it is there already under this number, and says something else",
}


def problems_in(item: Item, problem: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Every reason of a refusal (RFC 9457), with the row and the column that it is about."""
    return tuple(_problems(item, problem))


def _problems(item: Item, problem: Mapping[str, Any]) -> Iterator[Problem]:
    errors = problem.get("errors") or []
    for error in errors:
        row, column = _LOCATE[item.subject](_path(str(error.get("pointer") or "#")), item.rows)
        yield Problem(row, column, str(error.get("code")), str(error.get("detail")))
    if not errors:
        code = str(problem.get("code", "refused"))
        yield Problem(item.rows[0], None, code, _PLAIN.get(code, str(problem.get("detail", "refused"))))


def _path(pointer: str) -> Location:
    steps = pointer.removeprefix("#").removeprefix("/").split("/")
    return tuple(int(step) if step.isdecimal() else step for step in steps if step)
