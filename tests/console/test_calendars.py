"""Working calendars at the console: created, given hours and single days, refused in words, and removed."""

from tests.api.conftest import As
from tests.api.test_calendars import BODY, NEW
from tests.console.conftest import Visit

WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "09:00-12:00, 13:00-18:00") | {"sat": "", "sun": ""}
FORM = WEEK | {"title_en": "Berlin", "title_zh": "柏林", "time_zone": "Europe/Berlin", "holidays": "none"}


async def test_calendar_is_created_changed_and_removed(visit: Visit, as_role: As) -> None:
    browser, owner = await visit("operations").log_in(), as_role("operations")
    assert "Working calendars" in (await browser.get("/flows")).text
    assert "Working days in China" in (await browser.get("/calendars")).text
    new = {"calendar_id": "berlin", "title_en": "Berlin", "title_zh": "柏林", "like": "cn-default"}
    created = await browser.post("/calendars", **new)
    assert (created.url.path, "Created: now say when people work." in created.text) == (
        "/console/calendars/berlin",
        True,
    )
    again = await browser.post("/calendars", **new)
    assert (again.status_code, "Somebody has changed the calendar meanwhile" in again.text) == (412, True)
    saved = await browser.post("/calendars/berlin", revision="1", **FORM)
    assert (saved.status_code, "Saved." in saved.text, "Europe/Berlin" in saved.text) == (200, True, True)
    stored = (await owner.get("/v1/calendars/berlin")).json()
    assert (stored["revision"], stored["week"]["mon"], stored["week"]["sun"], stored["updated_by"]) == (
        2,
        ["09:00-12:00", "13:00-18:00"],
        [],
        "operations",
    )
    removed = await browser.post("/calendars/berlin/remove", revision="2")
    assert (removed.url.path, "berlin is removed." in removed.text) == ("/console/calendars", True)
    assert (await owner.get("/v1/calendars/berlin")).status_code == 404


async def test_what_cannot_be_is_refused_in_words_and_what_was_typed_stays(visit: Visit, as_role: As) -> None:
    browser, owner = await visit("operations").log_in(), as_role("operations")
    await owner.put("/v1/calendars/berlin", json=BODY, headers=NEW)
    await browser.get("/calendars/berlin", headers={"accept-language": "zh"})
    browser.http.headers["accept-language"] = "zh-CN"
    wrong = FORM | {"mon": "18:00-09:00", "tue": "9 to 5", "time_zone": "Mars"}
    refused = await browser.post("/calendars/berlin", revision="1", **wrong)
    assert refused.status_code == 422
    for said in ("每周 星期一 1（结束早于开始", "每周 星期二 1（时间写作 09:00-18:00", "时区（没有该时区）"):
        assert said in refused.text
    assert ('value="18:00-09:00"' in refused.text, 'value="9 to 5"' in refused.text) == (True, True)
    none = await browser.post("/calendars/berlin", revision="1", **(FORM | dict.fromkeys(WEEK, "")))
    assert (none.status_code, "每周（一周中没有任何工作时间）" in none.text) == (422, True)
    late = await browser.post("/calendars/berlin", revision="7", **FORM)
    assert (late.status_code, "日历已被他人修改" in late.text) == (412, True)
    kept = await browser.post("/calendars/cn-default/remove", revision="1")
    assert (kept.status_code, "系统自带日历只能修改" in kept.text) == (409, True)
    assert (await owner.get("/v1/calendars/berlin")).json()["revision"] == 1


async def test_single_day_is_noted_shown_and_removed(visit: Visit) -> None:
    browser = await visit("admin").log_in()
    day = {"day": "2030-12-24", "hours": "10:00-12:00；13:00-14:00", "note": "Christmas Eve"}
    noted = await browser.post("/calendars/cn-default/days", **day)
    assert ("10:00-12:00, 13:00-14:00" in noted.text, "Christmas Eve" in noted.text) == (True, True)
    far = await browser.post("/calendars/cn-default/days", **(day | {"day": "2230-12-24"}))
    assert (far.status_code, "day (" in far.text.lower()) == (422, True)
    removed = await browser.post("/calendars/cn-default/days/remove", day="2030-12-24")
    assert ("No day is otherwise." in removed.text, "Day removed" in removed.text) == (True, True)
    gone = await browser.post("/calendars/cn-default/days/remove", day="2030-12-24")
    assert gone.status_code == 404


async def test_page_tells_when_working_time_is_over(visit: Visit, as_role: As) -> None:
    browser = await visit("sales").log_in()
    page = await browser.get("/calendars/cn-default?amount=90&unit=minutes")
    due = (await as_role("sales").get("/v1/calendars/cn-default/due", params={"span": "PT90M"})).json()["due_at"]
    assert due[:13] in page.text
    assert 'value="90"' in page.text
    assert page.text.count("row-day") == 30
    for wrong in ("amount=0", "amount=x", "unit=years"):
        assert (await browser.get(f"/calendars/cn-default?{wrong}")).status_code == 404


async def test_who_may_not_write_reads_and_finds_no_form(visit: Visit) -> None:
    browser = await visit("finance").log_in()
    page = await browser.get("/calendars/cn-default")
    assert ("The week" in page.text, 'name="mon"' in page.text, "Remove the calendar" in page.text) == (
        True,
        False,
        False,
    )
    for path in ("/calendars", "/calendars/cn-default", "/calendars/cn-default/days", "/calendars/cn-default/remove"):
        assert (await browser.post(path, **FORM)).status_code == 403
