"""Who may do what: the table of roles and permissions, and the caller whom it is applied to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.flow.vocabulary import Role


class Permission(StrEnum):
    """One thing a route may ask of its caller."""

    ORDERS_PLACE = "orders:place"
    ORDERS_READ = "orders:read"
    ORDERS_CANCEL = "orders:cancel"
    ORDERS_CHANGE = "orders:change"
    ORDERS_RESOLVE = "orders:resolve"
    ORDERS_MONEY = "orders:money"
    ORDERS_CONTACT = "orders:contact"
    PAYMENTS_RECORD = "payments:record"
    PAYMENTS_READ = "payments:read"
    REFUNDS_GRANT = "refunds:grant"
    RETURNS_ASK = "returns:ask"
    STOCK_READ = "stock:read"
    STOCK_RECEIVE = "stock:receive"
    SHIPPING_READ = "shipping:read"
    SHIPPING_REPORT = "shipping:report"
    CUSTOMS_DECLARE = "customs:declare"
    INVOICES_READ = "invoices:read"
    LEDGER_READ = "ledger:read"
    PRODUCTS_READ = "products:read"
    PRODUCTS_WRITE = "products:write"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    WAREHOUSES_READ = "warehouses:read"
    WAREHOUSES_WRITE = "warehouses:write"
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    ABSENCES_WRITE = "absences:write"
    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    ENTITIES_READ = "entities:read"
    ENTITIES_WRITE = "entities:write"
    KEYS_WRITE = "keys:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    CHECKS_READ = "checks:read"
    CHECKS_EXPLAIN = "checks:explain"
    SYSTEM_READ = "system:read"
    CALENDARS_READ = "calendars:read"
    CALENDARS_WRITE = "calendars:write"
    FLOWS_READ = "flows:read"
    FLOWS_WRITE = "flows:write"


PRICED = "orders:priced"
SCOPES: frozenset[str] = frozenset({PRICED})
"""What a key may be trusted with beyond the roles of its person; `orders:priced`: it sets prices."""

_ALL = frozenset(Permission)
# Whoever works here may be asked to decide, and says when they are away. What they see is what names them.
_COLLEAGUE = {
    Permission.APPROVALS_READ,
    Permission.APPROVALS_DECIDE,
    Permission.ABSENCES_WRITE,
    Permission.CALENDARS_READ,
}
# Those who decide see figures and progress, and change nothing but by their decisions.
_OVERSIGHT = {
    *_COLLEAGUE,
    Permission.ORDERS_READ,
    Permission.ORDERS_MONEY,
    Permission.PAYMENTS_READ,
    Permission.STOCK_READ,
    Permission.SHIPPING_READ,
    Permission.INVOICES_READ,
    Permission.LEDGER_READ,
    Permission.PRODUCTS_READ,
    Permission.CUSTOMERS_READ,
    Permission.PEOPLE_READ,
    Permission.FLOWS_READ,
}
_SALES = {
    *_COLLEAGUE,
    Permission.ORDERS_PLACE,
    Permission.ORDERS_READ,
    Permission.ORDERS_CANCEL,
    Permission.ORDERS_CHANGE,
    Permission.RETURNS_ASK,
    Permission.ORDERS_RESOLVE,
    Permission.ORDERS_MONEY,
    Permission.ORDERS_CONTACT,
    Permission.PAYMENTS_READ,
    Permission.STOCK_READ,
    Permission.SHIPPING_READ,
    Permission.PRODUCTS_READ,
    Permission.CUSTOMERS_READ,
}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: _ALL,
    # A shop or marketplace: its own orders only, by the channels of its key.
    Role.CHANNEL: frozenset(
        {
            Permission.ORDERS_PLACE,
            Permission.ORDERS_READ,
            Permission.ORDERS_CANCEL,
            Permission.ORDERS_CHANGE,
            Permission.RETURNS_ASK,
            Permission.ORDERS_MONEY,
            Permission.ORDERS_CONTACT,
            Permission.PAYMENTS_RECORD,
            Permission.PAYMENTS_READ,
            Permission.STOCK_READ,
            Permission.SHIPPING_READ,
            Permission.PRODUCTS_READ,
        }
    ),
    Role.SALES: frozenset(_SALES),
    Role.MANAGER: frozenset(
        _SALES | {Permission.INVOICES_READ, Permission.PEOPLE_READ, Permission.REFUNDS_GRANT, Permission.FLOWS_READ},
    ),
    # They settle what has gone up to them, and nothing else.
    Role.GM: frozenset(_OVERSIGHT | {Permission.ORDERS_RESOLVE}),
    Role.CEO: frozenset(_OVERSIGHT | {Permission.ORDERS_RESOLVE}),
    # Goods without prices and without the customer's contact; the shipping note has the address.
    Role.WAREHOUSE: frozenset(
        {
            *_COLLEAGUE,
            Permission.ORDERS_READ,
            Permission.ORDERS_RESOLVE,
            Permission.STOCK_READ,
            Permission.STOCK_RECEIVE,
            Permission.SHIPPING_READ,
            Permission.SHIPPING_REPORT,
            Permission.WAREHOUSES_READ,
        }
    ),
    Role.SERVICE: frozenset(
        {
            *_COLLEAGUE,
            Permission.ORDERS_READ,
            Permission.ORDERS_CANCEL,
            Permission.ORDERS_CHANGE,
            Permission.ORDERS_RESOLVE,
            Permission.ORDERS_MONEY,
            Permission.ORDERS_CONTACT,
            Permission.PAYMENTS_READ,
            Permission.REFUNDS_GRANT,
            Permission.RETURNS_ASK,
            Permission.STOCK_READ,
            Permission.SHIPPING_READ,
            Permission.PRODUCTS_READ,
            Permission.CUSTOMERS_READ,
        }
    ),
    # Money, books and credit; neither goods nor the customer's contact.
    Role.FINANCE: frozenset(
        {
            *_COLLEAGUE,
            Permission.ORDERS_READ,
            Permission.ORDERS_RESOLVE,
            Permission.ORDERS_MONEY,
            Permission.PAYMENTS_RECORD,
            Permission.PAYMENTS_READ,
            Permission.REFUNDS_GRANT,
            Permission.STOCK_READ,
            Permission.SHIPPING_READ,
            Permission.INVOICES_READ,
            Permission.LEDGER_READ,
            Permission.PRODUCTS_READ,
            Permission.CUSTOMERS_READ,
            Permission.CUSTOMERS_WRITE,
            Permission.ENTITIES_READ,
            Permission.ENTITIES_WRITE,
            Permission.CHECKS_READ,
            Permission.CHECKS_EXPLAIN,
        }
    ),
    # Keeps orders moving and the masters right; neither records money nor gives keys away.
    Role.OPERATIONS: frozenset(
        {
            *_COLLEAGUE,
            Permission.ORDERS_PLACE,
            Permission.ORDERS_READ,
            Permission.ORDERS_CANCEL,
            Permission.ORDERS_CHANGE,
            Permission.RETURNS_ASK,
            Permission.ORDERS_RESOLVE,
            Permission.ORDERS_MONEY,
            Permission.ORDERS_CONTACT,
            Permission.PAYMENTS_READ,
            Permission.STOCK_READ,
            Permission.SHIPPING_READ,
            Permission.SHIPPING_REPORT,
            Permission.CUSTOMS_DECLARE,
            Permission.INVOICES_READ,
            Permission.PRODUCTS_READ,
            Permission.PRODUCTS_WRITE,
            Permission.CUSTOMERS_READ,
            Permission.CUSTOMERS_WRITE,
            Permission.WAREHOUSES_READ,
            Permission.WAREHOUSES_WRITE,
            Permission.PEOPLE_READ,
            Permission.ENTITIES_READ,
            Permission.WEBHOOKS_READ,
            Permission.WEBHOOKS_WRITE,
            Permission.CHECKS_READ,
            Permission.CHECKS_EXPLAIN,
            Permission.SYSTEM_READ,
            Permission.FLOWS_READ,
            Permission.FLOWS_WRITE,
            Permission.CALENDARS_WRITE,
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose key was checked. `channels` and `warehouses`: None means all of them, an empty set none."""

    actor: str
    key_id: str
    roles: frozenset[Role]
    scopes: frozenset[str] = frozenset()
    channels: frozenset[str] | None = None
    warehouses: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether one of the roles has the permission."""
        return any(permission in ROLE_PERMISSIONS[role] for role in self.roles)

    def sees_channel(self, channel: str) -> bool:
        """Whether orders of this channel exist for the caller; where not, they answer 404."""
        return self.channels is None or channel in self.channels

    def sees_warehouse(self, warehouse: str) -> bool:
        """Whether goods and parcels of this warehouse exist for the caller."""
        return self.warehouses is None or warehouse in self.warehouses

    def works_for(self, role: Role | str) -> bool:
        """Whether the caller may settle what `role` owns: holds name such an owner."""
        return bool(self.roles & {role, Role.OPERATIONS, Role.ADMIN})

    @property
    def is_priced(self) -> bool:
        """Whether the prices that this key sends are taken as they are."""
        return PRICED in self.scopes

    @property
    def sees_money(self) -> bool:
        """Whether amounts and prices are shown; otherwise those fields are left null."""
        return self.may(Permission.ORDERS_MONEY)

    @property
    def sees_contact(self) -> bool:
        """Whether names, phone numbers and addresses of customers are shown; otherwise those fields are left null."""
        return self.may(Permission.ORDERS_CONTACT)
