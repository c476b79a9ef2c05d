"""The exception lane and the first page: what stands still, whose it is, and trying all of one cause again."""

from tests.api.conftest import Api, As
from tests.api.running_orders import RunningOrder
from tests.console.conftest import Visit
from tests.factories.requests import a_line
from tests.fakes.patience import eventually


async def _two_unknown(as_role: As) -> list[RunningOrder]:
    orders = [RunningOrder(as_role("admin")) for _ in range(2)]
    for order in orders:
        await order.place(lines=[a_line(sku="NEW")])
    for order in orders:
        assert await order.held() == ["unknown_sku"]
    return orders


async def test_what_stands_still_is_counted_listed_and_tried_again(running: Api, visit: Visit, as_role: As) -> None:
    orders = await _two_unknown(as_role)
    browser = await visit("operations").log_in()
    home = await browser.get("/")
    assert all(order.number in home.text for order in orders)
    lane = await browser.get("/lane")
    assert ("Unknown SKU" in lane.text, "<b>2</b>" in lane.text) == (True, True)
    assert lane.text.count("tag-mine") == 2
    assert all(order.number in lane.text for order in orders)
    for narrowed in ("reason_code=out_of_stock", "owner_role=finance", "overdue=true"):
        found = (await browser.get(f"/lane?{narrowed}")).text
        assert not any(order.number in found for order in orders)
    assert (await browser.get("/lane?overdue=nonsense")).status_code == 422
    mute = await browser.post("/lane/retry", reason_code="unknown_sku", reason=" ")
    assert (mute.status_code, "Please check: reason" in mute.text) == (422, True)
    tried = await browser.post("/lane/retry", reason_code="unknown_sku", reason="catalogue mended")
    assert (tried.status_code, "2 are tried again" in tried.text) == (200, True)

    async def held_again() -> bool:
        views = [await order.read() for order in orders]
        return all([hold["hold_id"] for hold in view["holds"]] == [f"{view['order_no']}-H2"] for view in views)

    assert await eventually(held_again, bool, 30)


async def test_what_belongs_to_others_is_not_tried_again(running: Api, visit: Visit, as_role: As) -> None:
    (first, _second) = await _two_unknown(as_role)
    browser = await visit("finance").log_in()
    assert first.number not in (await browser.get("/")).text.partition("Latest orders")[0]
    assert "tag-mine" not in (await browser.get("/lane")).text
    tried = await browser.post("/lane/retry", reason_code="unknown_sku", reason="let them go")
    assert (tried.status_code, "0 are tried again, 2 are not yours" in tried.text) == (200, True)


async def test_absence_is_kept_listed_and_removed(api: Api, visit: Visit) -> None:
    browser = await visit("gm").log_in()
    assert "No absence is on record" in (await browser.get("/away")).text
    times = {"starts_at": "2030-01-01T08:00", "ends_at": "2030-01-05T18:00"}
    kept = await browser.post("/away", **times, delegate_id="ceo")
    assert (kept.status_code, "2030-01-01 08:00 UTC" in kept.text, "ceo" in kept.text) == (200, True, True)
    backwards = await browser.post("/away", starts_at=times["ends_at"], ends_at=times["starts_at"])
    own = await browser.post("/away", **(times | {"starts_at": "2031-01-01T08:00"}), delegate_id="gm")
    nothing = await browser.post("/away", starts_at="", ends_at="soon")
    assert [one.status_code for one in (backwards, own, nothing)] == [422, 422, 422]
    other = await visit("ceo").log_in()
    await other.get("/away")
    assert (await other.post("/away/console-20300101080000/remove")).status_code == 404
    gone = await browser.post("/away/console-20300101080000/remove")
    assert "No absence is on record" in gone.text
