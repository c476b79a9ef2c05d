"""/v1/products."""

from tests.api.conftest import As


async def test_put_creates_then_updates_and_get_shows_it(as_role: As) -> None:
    operations = as_role("operations")
    body = {"name": "杯子", "price_minor": 11300, "currency": "CNY", "tax_rate": "0.13", "category": "home"}
    created = await operations.put("/v1/products/SKU-1", json=body)
    assert (created.status_code, created.headers["Location"]) == (201, "/v1/products/SKU-1")
    repeated = await operations.put("/v1/products/SKU-1", json=body)
    assert repeated.status_code == 200
    assert repeated.json() == created.json()
    changed = await operations.put("/v1/products/SKU-1", json=body | {"price_minor": 9900})
    assert changed.status_code == 200
    shown = (await operations.get("/v1/products/SKU-1")).json()
    assert shown.pop("updated_at").endswith("Z")
    assert shown == body | {"sku": "SKU-1", "price_minor": 9900, "active": True}
