"""/v1/webhooks: destinations with secrets that show once, deliveries and replays."""

import httpx
import pytest

from models.masters import LegalEntity
from models.outbox import Destination, OutboxMessage
from tests.api.conftest import Api, As
from tests.api.test_problems import problem_of

SHOP = {"url": "https://93.184.216.34/hooks", "event_types": ["order."], "enabled": True}
OWN_SECRET = "whsec_" + "QUJD" * 11


async def test_a_secret_is_shown_once_and_kept(api: Api, as_role: As) -> None:
    operations = as_role("operations")
    created = await operations.put("/v1/webhooks/shop", json=SHOP)
    secret = created.json()["secret"]
    assert (created.status_code, secret.startswith("whsec_")) == (201, True)
    changed = await operations.put("/v1/webhooks/shop", json=SHOP | {"enabled": False})
    assert (changed.status_code, changed.json()["secret"]) == (200, None)
    shown = (await operations.get("/v1/webhooks/shop")).json()
    assert shown == changed.json()["destination"]
    assert {name: shown[name] for name in SHOP} == SHOP | {"enabled": False}
    assert secret not in (await operations.get("/v1/webhooks")).text
    async with api.database.sessions() as session:
        kept = await session.get(Destination, "shop")
    assert kept is not None
    assert kept.secret == secret


async def test_a_secret_of_ones_own_replaces_and_is_never_shown(api: Api, admin: httpx.AsyncClient) -> None:
    await admin.put("/v1/webhooks/shop", json=SHOP)
    replaced = await admin.put("/v1/webhooks/shop", json=SHOP | {"secret": OWN_SECRET})
    assert replaced.json()["secret"] is None
    async with api.database.sessions() as session:
        kept = await session.get(Destination, "shop")
    assert kept is not None
    assert kept.secret == OWN_SECRET


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://93.184.216.34/", "scheme_not_allowed"),
        ("https://127.0.0.1/", "address_not_public"),
        ("https://169.254.169.254/latest", "address_not_public"),
        ("https://[::ffff:10.0.0.1]/", "address_not_public"),
        ("https://user@93.184.216.34/", "credentials_in_url"),
        ("https://93.184.216.34:22/", "port_not_allowed"),
        ("nonsense", "scheme_not_allowed"),
    ],
)
async def test_addresses_inside_or_unsafe_are_refused(admin: httpx.AsyncClient, url: str, code: str) -> None:
    refused = problem_of(await admin.put("/v1/webhooks/shop", json=SHOP | {"url": url}), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in refused.errors or []] == [("#/url", code)]
    problem_of(await admin.get("/v1/webhooks/shop"), 404, "master_not_found")


async def test_weak_secrets_and_odd_names_are_refused(admin: httpx.AsyncClient) -> None:
    body = SHOP | {"secret": "whsec_short", "event_types": ["Order*"]}
    refused = problem_of(await admin.put("/v1/webhooks/shop", json=body), 422, "invalid_request")
    assert {(one.pointer, one.code) for one in refused.errors or []} == {
        ("#/secret", "webhook_secret_invalid"),
        ("#/event_types/0", "string_pattern_mismatch"),
    }
    problem_of(await admin.put("/v1/webhooks/Shop", json=SHOP), 422, "invalid_request")


async def _send(api: Api, count: int) -> None:
    async with api.database.sessions() as session, session.begin():
        assert await session.get(LegalEntity, "main") is not None
        for number in range(1, count + 1):
            message = OutboxMessage(
                destination="shop",
                message_id=f"SO1/{number}",
                order_no="SO1",
                event_type="order.placed",
                body="{}",
                state="refused" if number == 2 else "delivered",
                attempts=3,
                last_error="410" if number == 2 else None,
            )
            session.add(message)
            await session.flush()


async def test_deliveries_are_listed_newest_first_and_sent_again(api: Api, admin: httpx.AsyncClient) -> None:
    await admin.put("/v1/webhooks/shop", json=SHOP)
    await _send(api, 3)
    first = await admin.get("/v1/webhooks/shop/deliveries?limit=2")
    second = await admin.get(first.links["next"]["url"])
    seen = [row["message_id"] for answer in (first, second) for row in answer.json()["data"]]
    assert seen == ["SO1/3", "SO1/2", "SO1/1"]
    (refused,) = (await admin.get("/v1/webhooks/shop/deliveries?state=refused")).json()["data"]
    assert (refused["message_id"], refused["attempts"], refused["last_error"]) == ("SO1/2", 3, "410")
    replayed = await admin.post(f"/v1/webhooks/shop/deliveries/{refused['outbox_id']}/replay")
    assert replayed.status_code == 202
    told = replayed.json()
    assert (told["state"], told["attempts"], told["last_error"], told["message_id"]) == ("pending", 0, None, "SO1/2")
    problem_of(await admin.post("/v1/webhooks/shop/deliveries/999999/replay"), 404, "delivery_not_found")
    problem_of(await admin.post(f"/v1/webhooks/shop/deliveries/{2**70}/replay"), 422, "invalid_request")


async def test_a_removed_destination_is_gone_with_its_deliveries(api: Api, admin: httpx.AsyncClient) -> None:
    await admin.put("/v1/webhooks/shop", json=SHOP)
    await _send(api, 1)
    assert (await admin.delete("/v1/webhooks/shop")).status_code == 204
    problem_of(await admin.delete("/v1/webhooks/shop"), 404, "master_not_found")
    problem_of(await admin.get("/v1/webhooks/shop/deliveries"), 404, "master_not_found")
