"""What a check is: a question to the database whose every row is something that does not agree."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Literal

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

Severity = Literal["error", "warning"]
# A check that finds more than this has found one thing that is wrong with everything.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Two sides that should be equal and are not. `key` names what it is about, the same at every run."""

    key: str
    left: str
    right: str
    order_no: str | None = None


Question = Callable[[AsyncSession, str | None], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """A question with a name; its docstring states what must hold. One that is long is not asked every day."""

    ask: Question
    severity: Severity = "error"
    is_long: bool = False

    @property
    def name(self) -> str:
        return getattr(self.ask, "__name__", "")

    @property
    def invariant(self) -> str:
        return " ".join((getdoc(self.ask) or "").split())


def question(sql: str) -> TextClause:
    """A query with the columns key, order_no, lhs and rhs; `:only` is the one order to look at, or null for all."""
    return text(f"SELECT found.* FROM ({sql}) AS found LIMIT {MOST}")  # noqa: S608 - all of it is ours


async def ask(session: AsyncSession, query: TextClause, only: str | None) -> list[Finding]:
    """Every row of the answer as a finding."""
    rows = await session.execute(query, {"only": only})
    return [Finding(row.key, str(row.lhs), str(row.rhs), row.order_no) for row in rows]
