"""POST /v1/orders:batch: each order is placed or refused by itself."""

from typing import Any

from domain.order_number import order_number
from store.access import Grant
from tests.api.conftest import Api, As, give_key
from tests.api.rows import counts
from tests.factories.requests import a_line, an_order

BATCH = "/v1/orders:batch"


async def test_good_orders_are_placed_and_bad_ones_named(api: Api, as_role: As) -> None:
    channel = as_role("channel")
    await channel.post("/v1/orders", json=an_order("KNOWN"))
    items: list[dict[str, Any]] = [
        an_order("A"),
        an_order("B", lines=[a_line(quantity=0)]),
        an_order("KNOWN"),
        an_order("KNOWN", shipping_fee_minor=1),
        an_order(None),
        {},
        an_order("C"),
    ]
    answer = await channel.post(BATCH, json={"orders": items})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["refused"]) == (3, 4)
    assert [result["index"] for result in told["results"]] == list(range(7))
    assert [result["status"] for result in told["results"]] == [202, 422, 202, 422, 400, 422, 202]
    assert [result["replayed"] for result in told["results"]] == [False, False, True, False, False, False, False]
    assert told["results"][0]["order_no"] == order_number("web", "A")
    problems = [result["problem"] for result in told["results"]]
    assert [problem and problem["code"] for problem in problems] == [
        None,
        "invalid_request",
        None,
        "idempotency_key_reused",
        "idempotency_key_required",
        "invalid_request",
        None,
    ]
    assert problems[1]["errors"][0]["pointer"] == "#/lines/0/quantity"
    found = await counts(api.database)
    assert (found["orders"], found["inbox_messages"]) == (3, 3)


async def test_repeated_batch_changes_nothing(api: Api, as_role: As) -> None:
    items = {"orders": [an_order(f"T-{at}") for at in range(50)]}
    first = (await as_role("channel").post(BATCH, json=items)).json()
    before = await counts(api.database)
    again = (await as_role("channel").post(BATCH, json=items)).json()
    assert (first["accepted"], again["accepted"], before["orders"]) == (50, 50, 50)
    assert all(result["replayed"] for result in again["results"])
    assert await counts(api.database) == before


async def test_same_order_twice_in_one_batch_is_placed_once(api: Api, as_role: As) -> None:
    told = (await as_role("channel").post(BATCH, json={"orders": [an_order("A")] * 8})).json()
    assert (told["accepted"], sum(result["replayed"] for result in told["results"])) == (8, 7)
    assert (await counts(api.database))["orders"] == 1


async def test_orders_of_other_channels_are_refused_one_by_one(api: Api, as_role: As) -> None:
    token = await give_key(api.database, "shop", ["channel"], Grant(channels={"shop"}))
    items = [an_order("A", channel="shop"), an_order("B", channel="web")]
    told = (await as_role(token=token).post(BATCH, json={"orders": items})).json()
    assert [result["status"] for result in told["results"]] == [202, 403]


async def test_batches_have_bounds(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    refused: list[Any] = [[], [an_order("A")] * 501, "A", [1], [[]]]
    for orders in refused:
        answer = await as_role("channel").post(BATCH, json={"orders": orders})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    more = await as_role("channel").post(BATCH, json={"orders": [an_order()], "dry_run": True})
    assert more.status_code == 422
    assert await counts(api.database) == before
    assert (await as_role().post(BATCH, json={"orders": [an_order()]})).status_code == 401
    assert (await as_role("warehouse").post(BATCH, json={"orders": [an_order()]})).status_code == 403


async def test_batch_may_be_larger_than_one_request(as_role: As) -> None:
    big = {"orders": [an_order(f"T-{at}", customs={"note": "x" * 100_000}) for at in range(15)]}
    answer = await as_role("channel").post(BATCH, json=big)
    assert answer.json()["accepted"] == 15
    single = await as_role("channel").post("/v1/orders", json=an_order(customs={"note": "x" * 1_100_000}))
    assert single.status_code == 413


async def test_orders_say_how_they_came(api: Api, as_role: As) -> None:
    channel = as_role("channel")
    batch = {"source": "import", "orders": [an_order("T-1")]}
    placed = (await channel.post("/v1/orders:batch", json=batch)).json()["results"][0]
    order = (await channel.get(f"/v1/orders/{placed['order_no']}")).json()
    assert order["source"] == "import"
    refused = await channel.post("/v1/orders:batch", json=batch | {"source": "elsewhere"})
    assert refused.status_code == 422
