"""Holds as programs read them."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.fields import Body, Day, Key, LongText, Moment, Word
from api.paging import Filters, ListQuery
from api.shown import facts
from domain.access import Principal
from domain.flow.vocabulary import HOLD_REASONS
from models.order import Order, OrderHold
from store.listing.holds import HoldFilter, OpenedHolds, OpenHolds


class HoldView(BaseModel):
    """Why an order stands still, who has to act and by when.

    `level`: how often it has gone up since, and to whom last. `attempts`: how often it was tried; `next_try_at`: when
    it is tried again without a click.
    """

    hold_id: str
    reason_code: str
    detail: str
    facts: dict[str, Any]
    owner_role: str
    node: str | None
    blocking: bool
    attempts: int
    opened_at: Moment
    due_at: Moment | None
    level: int
    escalated_to: str | None
    escalated_at: Moment | None
    next_try_at: Moment | None

    @classmethod
    def of(cls, row: OrderHold, caller: Principal) -> Self:
        return cls.model_validate(row.model_dump() | {"facts": facts(caller, row.facts)})


class HoldItem(HoldView):
    """A hold in a work list, with the order that it holds."""

    order_no: str
    channel: str
    lifecycle: str
    links: dict[str, str]

    @classmethod
    def listed(cls, row: OrderHold, order: Order, caller: Principal) -> Self:
        own = f"/v1/orders/{row.order_no}"
        links = {"order": own, "resolve": f"{own}/exception"}
        placed = {"channel": order.channel, "lifecycle": order.lifecycle, "links": links}
        return cls.model_validate(row.model_dump() | {"facts": facts(caller, row.facts)} | placed)


class RetryHolds(Body):
    """The step behind every hold of one reason is to be tried again, the oldest hold first."""

    reason_code: Word
    reason: LongText
    limit: Annotated[int, Field(strict=True, ge=1, le=500)] = 100


class RetriedHold(BaseModel):
    """What became of one hold: 202, or the status and the code of why not."""

    hold_id: str
    order_no: str
    status: int
    code: str | None


class RetriedHolds(BaseModel):
    """What became of every hold that was open, in the order in which they were opened. `more`: open beyond `limit`."""

    reason_code: str
    accepted: int
    refused: int
    more: bool
    results: list[RetriedHold]


class Title(BaseModel):
    """What a reason is called."""

    zh: str
    en: str


class DecisionTaken(BaseModel):
    """The decision about one hold is on record and on its way to the order."""

    order_no: str
    hold_id: str
    choice: str
    state: str
    links: dict[str, str]

    @classmethod
    def of(cls, hold: OrderHold, choice: str) -> Self:
        links = {"order": f"/v1/orders/{hold.order_no}"}
        return cls(order_no=hold.order_no, hold_id=hold.hold_id, choice=choice, state="received", links=links)


class CountsQuery(Filters):
    """The days of which openings are counted, both included: the last seven unless given; a year at most."""

    opened_from: Day | None = None
    opened_to: Day | None = None

    @property
    def days(self) -> tuple[date, date]:
        last = self.opened_to or datetime.now(UTC).date()
        return self.opened_from or last - timedelta(days=6), last

    @model_validator(mode="after")
    def _a_span(self) -> Self:
        first, last = self.days
        if not timedelta(0) <= last - first <= timedelta(days=366):
            raise PydanticCustomError("no_span", "opened_from lies before opened_to, and by no more than a year")
        return self


class Ages(BaseModel):
    """How many have been open for so long."""

    under_1h: int
    under_4h: int
    under_1d: int
    under_3d: int
    over_3d: int


class OpenCount(BaseModel):
    """The open holds of one reason."""

    reason_code: str
    title: Title
    open: int
    overdue: int
    escalated: int
    oldest_opened_at: Moment
    ages: Ages

    @classmethod
    def of(cls, row: OpenHolds) -> Self:
        known = HOLD_REASONS[row.reason_code]
        said = asdict(row) | {"title": Title(zh=known.zh, en=known.en)}
        return cls.model_validate(said | {"ages": dict(zip(Ages.model_fields, row.ages, strict=True))})


class OpenedCount(BaseModel):
    """How many holds of one reason were opened on one day (UTC)."""

    day: Day
    reason_code: str
    opened: int

    @classmethod
    def of(cls, row: OpenedHolds) -> Self:
        return cls.model_validate(row, from_attributes=True)


class HoldCounts(BaseModel):
    """Where orders stand still now, and where they did on each day."""

    open: list[OpenCount]
    opened: list[OpenedCount]


class HoldQuery(ListQuery):
    """Filters of the list. `overdue`: whether the deadline has passed."""

    reason_code: Word | None = None
    owner_role: Word | None = None
    order_no: Key | None = None
    opened_before: Moment | None = None
    overdue: bool | None = None

    def wanted(self) -> HoldFilter:
        return HoldFilter(**self.model_dump(exclude={"limit", "cursor"}))
