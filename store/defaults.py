"""What a fresh database needs before the first order: legal entity with accounts, warehouse, payment methods."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.posting.roles import PaymentCategory
from models.columns import now
from models.masters import FxRate, LegalEntity, PaymentMethod, Warehouse
from store.entities import ALWAYS, ensure_accounts

ENTITY: Final = "main"
WAREHOUSE: Final = "main"

PAYMENT_METHODS: Final[Mapping[str, PaymentCategory]] = {
    "alipay": PaymentCategory.ONLINE,
    "wechat": PaymentCategory.ONLINE,
    "wechat_pay": PaymentCategory.ONLINE,
    "unionpay": PaymentCategory.ONLINE,
    "card": PaymentCategory.ONLINE,
    "credit_card": PaymentCategory.ONLINE,
    "debit_card": PaymentCategory.ONLINE,
    "paypal": PaymentCategory.ONLINE,
    "boleto": PaymentCategory.ONLINE,
    "bank_transfer": PaymentCategory.OFFLINE_TRANSFER,
    "offline_transfer": PaymentCategory.OFFLINE_TRANSFER,
    "on_credit": PaymentCategory.ON_CREDIT,
    "cash_on_delivery": PaymentCategory.CASH_ON_DELIVERY,
    "cod": PaymentCategory.CASH_ON_DELIVERY,
    "agency_collection": PaymentCategory.COLLECTED_FOR_OTHERS,
    "voucher": PaymentCategory.STORED_VALUE,
    "gift_card": PaymentCategory.STORED_VALUE,
    "stored_value": PaymentCategory.STORED_VALUE,
}

DEMO_RATES: Final[Mapping[str, Decimal]] = {
    "USD": Decimal(7),
    "EUR": Decimal(8),
    "GBP": Decimal(9),
    "JPY": Decimal("0.05"),
    "HKD": Decimal("0.9"),
    "BRL": Decimal("1.3"),
    "KRW": Decimal("0.005"),
    "KWD": Decimal(23),
}
"""CNY for one unit: round figures to try things out with, no rates to keep books by."""


async def ensure_defaults(session: AsyncSession) -> None:
    """Afterwards orders can be placed; what is there already stays as it is."""
    at = now()
    entity = {"entity_id": ENTITY, "name": "Main", "functional_currency": "CNY", "time_zone": "Asia/Shanghai"}
    await _ensure(session, LegalEntity, [entity | {"updated_at": at}])
    await ensure_accounts(session, ENTITY)
    warehouse = {"code": WAREHOUSE, "name": "Main", "priority": 100, "active": True, "updated_at": at}
    await _ensure(session, Warehouse, [warehouse])
    methods = [{"method": name, "category": kind.value, "updated_at": at} for name, kind in PAYMENT_METHODS.items()]
    await _ensure(session, PaymentMethod, methods)


async def ensure_demo_rates(session: AsyncSession) -> None:
    """Afterwards the entity `main` has a rate for each of `DEMO_RATES`; for a local stack only."""
    rates = [
        {"entity_id": ENTITY, "currency": currency, "valid_from": ALWAYS, "rate": rate}
        for currency, rate in DEMO_RATES.items()
    ]
    await _ensure(session, FxRate, rates)


async def _ensure(session: AsyncSession, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    await session.execute(insert(table).values(rows).on_conflict_do_nothing())
