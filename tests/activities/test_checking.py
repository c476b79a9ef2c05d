"""What speaks against a sample, on a real database: not its price, unless nobody knows what it is worth."""

from decimal import Decimal
from typing import Any

import pytest

from activities.orders import OrderActivities
from activities.step import Step
from models.masters import Product
from tests.conftest import Database
from tests.factories import orders
from tests.factories.orders import Line
from tests.factories.payments import open_holds

KNOWN: dict[str, Any] = {"price_minor": 11_300, "currency": "CNY", "tax_rate": Decimal("0.13")}
SAMPLE = {"type": "sample", "payment_terms": "none"}
FREE = {"seller_discount_minor": 11_300, "total_minor": 0}


async def checked(database: Database, line: Line, product: dict[str, Any], **columns: Any) -> str | None:
    """Why the order of a key that may not set prices is held, if it is."""
    async with database.sessions() as session, session.begin():
        session.add(Product(sku=line.sku, name="Sample", **product))
    await orders.place(database.sessions, lines=[line], **columns)
    result = await OrderActivities(database.sessions).check_order(Step("SO-1", "check"))
    assert list(await open_holds(database.sessions)) == ([result.held] if result.held else [])
    assert result.standing.lifecycle == ("received" if result.held else "accepted")
    return result.held


@pytest.mark.parametrize("price_minor", [11_300, 0, 1])
async def test_sample_that_nobody_pays_for_is_not_held_for_its_price(database: Database, price_minor: int) -> None:
    assert await checked(database, Line(unit_price_minor=price_minor), KNOWN, **SAMPLE, **FREE) is None


@pytest.mark.parametrize(
    ("product", "columns"),
    [
        (KNOWN | {"price_minor": None}, FREE),
        (KNOWN | {"currency": "USD"}, FREE),
        (KNOWN | {"tax_rate": Decimal("0.06")}, FREE),
        # A platform would owe us this.
        (KNOWN, {"platform_discount_minor": 11_300, "total_minor": 0}),
    ],
    ids=["no price", "other currency", "other tax", "platform's discount"],
)
async def test_sample_whose_worth_or_bearer_is_of_the_clients_making_is_held(
    database: Database, product: dict[str, Any], columns: dict[str, int]
) -> None:
    assert await checked(database, Line(), product, **SAMPLE, **columns) == "price_mismatch"


@pytest.mark.parametrize("terms", ["prepaid", "on_credit"])
async def test_sample_that_somebody_pays_for_has_the_price_of_the_catalogue(database: Database, terms: str) -> None:
    line = Line(unit_price_minor=1)
    assert await checked(database, line, KNOWN, type="sample", payment_terms=terms) == "price_mismatch"


async def test_other_orders_without_payment_have_the_price_of_the_catalogue(database: Database) -> None:
    assert await checked(database, Line(unit_price_minor=1), KNOWN, payment_terms="none") == "price_mismatch"
