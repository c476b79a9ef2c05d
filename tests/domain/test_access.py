"""What each role may do."""

import pytest

from domain.access import PRICED, ROLE_PERMISSIONS, Permission, Principal
from domain.flow.vocabulary import HOLD_REASONS, Role


def caller(*roles: Role, **scope: frozenset[str] | None) -> Principal:
    return Principal("zhang", "k1", frozenset(roles), **scope)  # type: ignore[arg-type]


def test_every_role_has_its_permissions_and_admin_has_all() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role)
    assert ROLE_PERMISSIONS[Role.ADMIN] == frozenset(Permission)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        (Permission.KEYS_WRITE, {Role.ADMIN}),
        (Permission.PEOPLE_WRITE, {Role.ADMIN}),
        (Permission.PAYMENTS_RECORD, {Role.ADMIN, Role.CHANNEL, Role.FINANCE}),
        (Permission.LEDGER_READ, {Role.ADMIN, Role.FINANCE, Role.GM, Role.CEO}),
        (Permission.ENTITIES_WRITE, {Role.ADMIN, Role.FINANCE}),
        (Permission.CUSTOMERS_WRITE, {Role.ADMIN, Role.FINANCE, Role.OPERATIONS}),
        (Permission.PRODUCTS_WRITE, {Role.ADMIN, Role.OPERATIONS}),
        (Permission.STOCK_RECEIVE, {Role.ADMIN, Role.WAREHOUSE}),
        (Permission.SHIPPING_REPORT, {Role.ADMIN, Role.WAREHOUSE, Role.OPERATIONS}),
        (Permission.CUSTOMS_DECLARE, {Role.ADMIN, Role.OPERATIONS}),
        (Permission.WEBHOOKS_WRITE, {Role.ADMIN, Role.OPERATIONS}),
    ],
)
def test_what_moves_money_goods_or_rights_is_for_few(permission: Permission, roles: set[Role]) -> None:
    assert {role for role in Role if caller(role).may(permission)} == roles


def test_whoever_owns_a_reason_for_holds_may_resolve_holds() -> None:
    owners = {reason.owner for reason in HOLD_REASONS.values()}
    assert all(caller(owner).may(Permission.ORDERS_RESOLVE) for owner in owners)


def test_the_warehouse_sees_neither_money_nor_contact() -> None:
    warehouse, service = caller(Role.WAREHOUSE), caller(Role.SERVICE)
    assert (warehouse.sees_money, warehouse.sees_contact) == (False, False)
    assert (service.sees_money, service.sees_contact) == (True, True)


def test_roles_add_up_and_no_role_may_nothing() -> None:
    both = caller(Role.WAREHOUSE, Role.FINANCE)
    assert both.may(Permission.STOCK_RECEIVE)
    assert both.may(Permission.LEDGER_READ)
    assert not any(caller().may(permission) for permission in Permission)


def test_a_key_sees_only_its_channels_and_warehouses() -> None:
    shop = caller(Role.CHANNEL, channels=frozenset({"web"}), warehouses=frozenset())
    assert (shop.sees_channel("web"), shop.sees_channel("store"), shop.sees_warehouse("main")) == (True, False, False)
    assert caller(Role.SALES).sees_channel("store")
    assert caller(Role.SALES).sees_warehouse("main")


def test_a_hold_is_settled_by_its_owner_by_operations_or_by_an_admin() -> None:
    assert {role for role in Role if caller(role).works_for(Role.FINANCE)} == {
        Role.FINANCE,
        Role.OPERATIONS,
        Role.ADMIN,
    }


def test_only_the_scope_makes_a_key_priced() -> None:
    assert caller(Role.CHANNEL, scopes=frozenset({PRICED})).is_priced
    assert not caller(Role.ADMIN).is_priced
