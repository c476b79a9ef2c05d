"""Orders in lists."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api.fields import Key, Moment, Text, Word
from api.orders.schemas import OrderType
from api.orders.views import OrderSummary
from api.paging import Exchange, Keyset, ListQuery, Page, page_of
from domain.access import Principal
from domain.order import Axes, Lifecycle
from models.order import Order
from store import orders
from store.listing import orders as listing
from store.listing.orders import OrderFilter

_KINDS: Final = (datetime, str)
_NEWEST: Final = Keyset("orders/newest", _KINDS)
_OLDEST: Final = Keyset("orders/oldest", _KINDS)


class OrderQuery(ListQuery):
    """Filters of the list. `lifecycle` may be given several times; `hold` is the reason of an open hold."""

    lifecycle: Annotated[list[Lifecycle], Field(max_length=len(Lifecycle), default_factory=list)]
    channel: Key | None = None
    customer_id: Key | None = None
    external_id: Text | None = None
    type: OrderType | None = None
    hold: Word | None = None
    received_after: Moment | None = None
    received_before: Moment | None = None
    sort: Literal["newest", "oldest"] = "newest"

    def wanted(self) -> OrderFilter:
        return OrderFilter(**self.model_dump(exclude={"limit", "cursor", "sort"}))


async def list_page(
    session: AsyncSession, caller: Principal, query: OrderQuery, exchange: Exchange
) -> Page[OrderSummary]:
    """One page of the orders that exist for the caller and fit the filters."""
    newest_first = query.sort == "newest"
    keyset = _NEWEST if newest_first else _OLDEST
    after = keyset.decode(query.cursor)
    rows = await listing.page(session, caller, query.wanted(), after, limit=query.limit, newest_first=newest_first)
    numbers = [row.order_no for row in rows[: query.limit]]
    axes: dict[str, Axes] = await orders.axes(session, numbers)
    holds = await listing.open_holds(session, numbers)

    def shown(row: Order) -> OrderSummary:
        return OrderSummary.listed(row, axes[row.order_no], holds.get(row.order_no, ()), caller)

    return page_of(rows, query, exchange, (keyset, lambda row: (row.received_at, row.order_no)), shown)
