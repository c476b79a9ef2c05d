"""What an exchange would come to, worked out on the order as it is now and without changing anything.

People are shown the same figures before they ask for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import granting
from activities.change_drafts import value_of
from activities.posting import sale_of
from domain.exchanging import ExchangeNotOffered, GoodsBack, GoodsOut, GoodsWanted, credit_by_line, goods_out, total_of
from domain.order import is_given_away
from domain.refunding import RefundAsk, RefundKind
from models.order import Order
from store import orders


@dataclass(frozen=True)
class ReturnDraft:
    """What comes back and goes out: the customer's money for the one, the price of the other."""

    back: tuple[GoodsBack, ...]
    out: tuple[GoodsOut, ...]
    credit_minor: int

    @property
    def price_minor(self) -> int:
        return total_of(self.out)

    @property
    def due_minor(self) -> int:
        """What the customer still pays."""
        return max(self.price_minor - self.credit_minor, 0)

    @property
    def refund_minor(self) -> int:
        """What goes back as money."""
        return max(self.credit_minor - self.price_minor, 0)


def ask_of(units: Mapping[str, int]) -> RefundAsk:
    """The refund that units which came back are given back by."""
    return RefundAsk(RefundKind.UNITS, "goods_returned", units, delivered_only=True)


async def check_offered(session: AsyncSession, order: Order) -> None:
    """Raises `ExchangeNotOffered` for goods that nobody pays for, or that are not paid in full: nothing of theirs could
    pay for other goods. They are returned, and what is wanted instead is ordered.
    """
    if is_given_away(order.type, order.payment_terms):
        raise ExchangeNotOffered("nobody pays for these goods", order_no=order.order_no)
    sale = await sale_of(session, order)
    if not sale.position.is_settled:
        raise ExchangeNotOffered("the goods are not paid in full", order_no=order.order_no)


async def draft(
    session: AsyncSession, order: Order, units: Mapping[str, int], wanted: Sequence[GoodsWanted]
) -> ReturnDraft:
    """What these units would come to if all of them were accepted now. Raises why the return would be refused."""
    given = await granting.draft(session, order, ask_of(units))
    taken = {one.line_id: (one.delivered, one.gross_minor, one.platform_minor) for one in given.taken}
    back = await came_back(session, order, units, taken, given.payout_minor)
    return ReturnDraft(tuple(back), tuple(goods_out(back, wanted)), given.payout_minor)


async def came_back(
    session: AsyncSession,
    order: Order,
    announced: Mapping[str, int],
    given: Mapping[str, tuple[int, int, int]],
    credit_minor: int,
) -> list[GoodsBack]:
    """The announced lines as they came back. `given`: units, price and the platform's part that were given back."""
    credit = credit_by_line(credit_minor, {key: gross - platform for key, (_units, gross, platform) in given.items()})
    known = {line.line_id: line for line in await orders.lines(session, order.order_no)}
    nothing = (0, 0, 0)
    return [
        GoodsBack(
            value_of(known[line_id]),
            announced=quantity,
            units=given.get(line_id, nothing)[0],
            credit_minor=credit.get(line_id, 0),
            platform_minor=given.get(line_id, nothing)[2],
        )
        for line_id, quantity in announced.items()
    ]
