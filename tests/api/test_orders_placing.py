"""POST /v1/orders: 202 means committed, once."""

import asyncio
import json
from collections import Counter
from zoneinfo import ZoneInfo

from sqlmodel import select

from domain.order_number import order_number
from models.inbox import InboxMessage
from models.order import Order, OrderLine
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.factories.requests import ORDER_TOTAL, a_line, an_order

NUMBER = order_number("web", "T-1001")


async def test_placed_order_is_committed_and_says_where_it_is(api: Api, as_role: As) -> None:
    answer = await as_role("channel").post("/v1/orders", json=an_order())
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/orders/{NUMBER}"
    own = f"/v1/orders/{NUMBER}"
    assert answer.json() == {
        "order_no": NUMBER,
        "lifecycle": "received",
        "links": {
            "self": own,
            "timeline": f"{own}/timeline",
            "decisions": f"{own}/decisions",
            "events": f"{own}/events",
        },
    }
    async with api.database.sessions() as session:
        order = await session.get_one(Order, NUMBER)
        line = await session.get_one(OrderLine, (NUMBER, "1"))
        message = (await session.exec(select(InboxMessage))).one()
    year = order.received_at.astimezone(ZoneInfo("Asia/Shanghai")).year
    assert (order.total_minor, order.voucher_no, order.lifecycle) == (ORDER_TOTAL, f"V{year}-00000001", "received")
    assert (line.list_minor, line.seller_discount_minor, line.shipping_minor) == (22_600, 2_000, 1_000)
    assert (message.source, message.message_id, message.order_no) == ("orders/web", "T-1001", NUMBER)
    assert (message.kind, message.actor, order.priced_by_client) == ("order.placed", "channel", False)


async def test_what_was_sent_is_kept_to_the_letter_and_the_level_in_it_is_not_trusted(api: Api, as_role: As) -> None:
    sent = json.dumps(an_order(), indent=3, ensure_ascii=False)
    headers = {"Content-Type": "application/json"}
    assert (await as_role("channel").post("/v1/orders", content=sent, headers=headers)).status_code == 202
    async with api.database.sessions() as session:
        message = (await session.exec(select(InboxMessage))).one()
        order = await session.get_one(Order, NUMBER)
    assert message.body == sent
    assert order.customer_level == "standard"
    assert order.contact == {"name": "王小明", "phone": "13800000000", "email": "wang@example.com"}


async def test_repeated_request_gets_the_same_answer_to_the_byte(as_role: As) -> None:
    channel = as_role("channel")
    first = await channel.post("/v1/orders", json=an_order())
    again = await channel.post("/v1/orders", json=an_order())
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")


async def test_spelling_does_not_make_another_order(as_role: As) -> None:
    channel = as_role("channel")
    short = {name: value for name, value in an_order().items() if value is not None}
    first = await channel.post("/v1/orders", json=an_order())
    again = await channel.post("/v1/orders", json=dict(reversed(short.items())))
    assert (again.status_code, again.content) == (202, first.content)


async def test_same_order_with_another_content_is_refused(api: Api, as_role: As) -> None:
    channel = as_role("channel")
    await channel.post("/v1/orders", json=an_order())
    before = await counts(api.database)
    other = await channel.post("/v1/orders", json=an_order(shipping_fee_minor=999))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await counts(api.database) == before


async def test_key_alone_says_which_order_it_is_quoted_or_not(as_role: As) -> None:
    channel = as_role("channel")
    first = await channel.post("/v1/orders", json=an_order(None), headers={"Idempotency-Key": '"k-1"'})
    again = await channel.post("/v1/orders", json=an_order(None), headers={"Idempotency-Key": "k-1"})
    other = await channel.post("/v1/orders", json=an_order(None), headers={"Idempotency-Key": "k-2"})
    changed = await channel.post("/v1/orders", json=an_order(None, type="gift"), headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, again.content) == (202, first.content)
    assert other.json()["order_no"] != first.json()["order_no"]
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")


async def test_one_key_for_two_orders_is_refused(api: Api, as_role: As) -> None:
    channel, key = as_role("channel"), {"Idempotency-Key": "k-1"}
    assert (await channel.post("/v1/orders", json=an_order("A"), headers=key)).status_code == 202
    before = await counts(api.database)
    assert (await channel.post("/v1/orders", json=an_order("B"), headers=key)).status_code == 422
    assert await counts(api.database) == before


async def test_key_of_another_channel_is_another_order(as_role: As) -> None:
    admin, key = as_role("admin"), {"Idempotency-Key": "k-1"}
    ours = await admin.post("/v1/orders", json=an_order(None), headers=key)
    theirs = await admin.post("/v1/orders", json=an_order(None, channel="shop"), headers=key)
    assert (ours.status_code, theirs.status_code) == (202, 202)
    assert ours.json()["order_no"] != theirs.json()["order_no"]


async def test_neither_external_id_nor_key_is_refused(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    answer = await as_role("channel").post("/v1/orders", json=an_order(None))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    for key in ("", '""', "k" * 256, "tab\there"):
        answer = await as_role("channel").post("/v1/orders", json=an_order(None), headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_idempotency_key"), key
    assert await counts(api.database) == before
    longest = {"Idempotency-Key": "k" * 255}
    assert (await as_role("channel").post("/v1/orders", json=an_order(None), headers=longest)).status_code == 202


async def test_hundred_identical_requests_at_once_make_one_order(api: Api, as_role: As) -> None:
    channel = as_role("channel")
    answers = await asyncio.gather(*(channel.post("/v1/orders", json=an_order()) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": 99}
    found = await counts(api.database)
    assert (found["orders"], found["order_lines"], found["inbox_messages"], found["order_events"]) == (1, 1, 1, 1)


async def test_prices_are_trusted_only_from_keys_with_the_scope(api: Api, as_role: As) -> None:
    grant = Grant(scopes={"orders:priced"}, channels={"web"})
    token = await give_key(api.database, "shop", ["channel"], grant)
    await as_role(token=token).post("/v1/orders", json=an_order())
    async with api.database.sessions() as session:
        assert (await session.get_one(Order, NUMBER)).priced_by_client


async def test_key_places_orders_of_its_own_channels_only(api: Api, as_role: As) -> None:
    token = await give_key(api.database, "shop", ["channel"], Grant(channels={"shop"}))
    before = await counts(api.database)
    answer = await as_role(token=token).post("/v1/orders", json=an_order())
    assert (answer.status_code, answer.json()["code"]) == (403, "channel_not_allowed")
    assert answer.headers["Content-Type"] == PROBLEM
    assert await counts(api.database) == before


async def test_shipping_shares_per_line_are_kept_as_sent(api: Api, as_role: As) -> None:
    lines = [a_line("1", shipping_share_minor=1000), a_line("2", shipping_share_minor=0)]
    assert (await as_role("channel").post("/v1/orders", json=an_order(lines=lines))).status_code == 202
    async with api.database.sessions() as session:
        shares = [(await session.get_one(OrderLine, (NUMBER, line_id))).shipping_minor for line_id in "12"]
    assert shares == [1000, 0]


async def test_placed_at_is_now_unless_said(api: Api, as_role: As) -> None:
    body = {name: value for name, value in an_order().items() if name != "placed_at"}
    channel = as_role("channel")
    first = await channel.post("/v1/orders", json=body)
    again = await channel.post("/v1/orders", json=body)
    assert (first.status_code, again.content) == (202, first.content)
    async with api.database.sessions() as session:
        order = await session.get_one(Order, NUMBER)
    assert abs((order.received_at - order.placed_at).total_seconds()) < 60


async def test_presale_keeps_deposit_and_window(api: Api, as_role: As) -> None:
    terms = {
        "method": "alipay",
        "terms": "deposit_balance",
        "deposit_minor": 5000,
        "balance_opens_at": "2026-12-01T00:00:00+08:00",
        "balance_closes_at": "2026-12-02T00:00:00+08:00",
    }
    assert (
        await as_role("channel").post("/v1/orders", json=an_order(type="presale", payment=terms))
    ).status_code == 202
    async with api.database.sessions() as session:
        order = await session.get_one(Order, NUMBER)
    assert order.deposit_minor == 5000
    assert order.balance_opens_at is not None
    assert order.balance_opens_at.isoformat() == "2026-11-30T16:00:00+00:00"


async def test_roles_without_the_permission_place_nothing(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    assert (await as_role().post("/v1/orders", json=an_order())).status_code == 401
    for role in ("warehouse", "finance", "gm", "ceo", "service"):
        answer = await as_role(role).post("/v1/orders", json=an_order())
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), role
    assert await counts(api.database) == before
