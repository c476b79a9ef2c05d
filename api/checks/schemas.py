"""Checks and discrepancies as programs read them."""

from typing import Literal

from pydantic import BaseModel

from api.fields import Body, Key, LongText, Moment, Word
from api.paging import ListQuery
from store.discrepancies import DiscrepancyFilter


class CheckView(BaseModel):
    """What must hold, how bad it is if it does not, and how often it does not at the moment."""

    check: str
    invariant: str
    severity: str
    open: int


class RunView(BaseModel):
    """The latest run over all orders that was finished."""

    run_id: str
    cause: str
    started_at: Moment
    finished_at: Moment | None
    found: dict[str, int]


class Checks(BaseModel):
    """All checks of our own database, and their latest run; there is no further page."""

    data: list[CheckView]
    last_run: RunView | None
    next_cursor: str | None


class DiscrepancyView(BaseModel):
    """Two sides that should agree and do not, or did not."""

    discrepancy_id: int
    check_name: str
    key: str
    order_no: str | None
    lhs: str
    rhs: str
    severity: str
    state: str
    times: int
    run_id: str
    first_seen_at: Moment
    last_seen_at: Moment
    fixed_at: Moment | None
    explained_by: str | None
    explained_at: Moment | None
    reason: str | None


class DiscrepancyQuery(ListQuery):
    """Filters of the list."""

    state: Literal["open", "explained", "fixed"] | None = None
    check_name: Word | None = None
    order_no: Key | None = None
    severity: Literal["error", "warning"] | None = None

    def wanted(self) -> DiscrepancyFilter:
        return DiscrepancyFilter(**self.model_dump(exclude={"limit", "cursor"}))


class Explanation(Body):
    """Why it is so, and need not be mended."""

    reason: LongText
