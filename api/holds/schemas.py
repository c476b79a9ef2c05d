"""Holds as programs read them."""

from typing import Any, Self

from pydantic import BaseModel

from api.fields import Key, Moment, Word
from api.paging import ListQuery
from api.shown import facts
from domain.access import Principal
from models.order import Order, OrderHold
from store.listing.holds import HoldFilter


class HoldView(BaseModel):
    """Why an order stands still, who has to act and by when."""

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


class HoldQuery(ListQuery):
    """Filters of the list. `overdue`: whether the deadline has passed."""

    reason_code: Word | None = None
    owner_role: Word | None = None
    order_no: Key | None = None
    opened_before: Moment | None = None
    overdue: bool | None = None

    def wanted(self) -> HoldFilter:
        return HoldFilter(**self.model_dump(exclude={"limit", "cursor"}))
