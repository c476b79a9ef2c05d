"""Exchanges: what is to go out, what was given back for it, and the money that waits to pay for it."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.exchanging import GoodsWanted
from models.payment import Refund
from models.returning import ExchangeLine, Return
from store import payments


async def lines_of(session: AsyncSession, return_nos: Sequence[str]) -> dict[str, list[ExchangeLine]]:
    """What is to go out for each of these returns, in the order in which it was asked for."""
    if not return_nos:
        return {}
    query = select(ExchangeLine).where(col(ExchangeLine.return_no).in_(return_nos))
    found: dict[str, list[ExchangeLine]] = {}
    for line in await session.exec(query.order_by(col(ExchangeLine.return_no), col(ExchangeLine.position))):
        found.setdefault(line.return_no, []).append(line)
    return found


async def wanted(session: AsyncSession, return_no: str) -> list[GoodsWanted]:
    """What is to go out for the return."""
    rows = (await lines_of(session, [return_no])).get(return_no, [])
    return [
        GoodsWanted(row.line_id, row.sku, row.quantity, row.unit_price_minor, row.tax_rate, row.category)
        for row in rows
    ]


async def given_back(session: AsyncSession, return_no: str) -> dict[str, tuple[int, int, int]]:
    """Units of each line that came back and whose price was given back, with that price and the platform's part."""
    rows = await session.execute(
        text("""
        SELECT l.line_id, sum(l.delivered) AS units, sum(l.gross_minor) AS gross, sum(l.platform_minor) AS platform
        FROM granted_refunds g
        JOIN granted_refund_lines l ON l.order_no = g.order_no AND l.grant_id = g.grant_id
        WHERE g.return_no = :return_no AND g.state = 'granted' GROUP BY l.line_id
        """),
        {"return_no": return_no},
    )
    return {row.line_id: (int(row.units), int(row.gross), int(row.platform)) for row in rows}


async def credits_held(session: AsyncSession, order_no: str, replacement_no: str) -> list[Refund]:
    """Money of the order that waits to pay for the replacement."""
    refunds = await payments.refunds_of(session, order_no)
    return [one for one in refunds if one.credited_to == replacement_no and one.state == "requested"]


async def replaced_by(session: AsyncSession, order_no: str) -> Return | None:
    """The return whose goods this order replaces, if it does."""
    return (await session.exec(select(Return).where(Return.replacement_no == order_no))).one_or_none()
