"""Working calendars over HTTP: who changes them, what is refused, how days come out, and which flows hold them fast."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.flow.document import parse_definition
from models.columns import now
from store import flows
from store.flows import Published
from tests.api.conftest import Api, As
from tests.api.test_flows import published, with_approval
from tests.api.test_problems import problem_of
from tests.factories.flows import sound_document
from tests.factories.requests import an_order

NEW = {"If-None-Match": "*"}
OFFICE = ["09:00-12:00", "13:00-18:00"]
WEEK: dict[str, list[str]] = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), OFFICE) | {"sat": [], "sun": []}
BODY: dict[str, Any] = {
    "title": {"zh": "柏林办公室", "en": "Berlin office"},
    "time_zone": "Europe/Berlin",
    "week": WEEK,
    "holidays": "none",
}
BERLIN = "/v1/calendars/berlin"


@pytest.fixture
def owner(as_role: As) -> httpx.AsyncClient:
    return as_role("operations")


async def created(owner: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await owner.put(BERLIN, json=BODY | changes, headers=NEW)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_calendar_is_put_repeated_and_replaced(owner: httpx.AsyncClient) -> None:
    first = await owner.put(BERLIN, json=BODY, headers=NEW)
    assert (first.status_code, first.headers["location"], first.headers["etag"]) == (201, BERLIN, '"1"')
    assert {name: value for name, value in first.json().items() if name != "updated_at"} == BODY | {
        "calendar_id": "berlin",
        "revision": 1,
        "updated_by": "operations",
    }
    same = await owner.put(BERLIN, json=BODY, headers={"If-Match": '"1"'})
    assert (same.status_code, same.json()) == (200, first.json())
    longer = WEEK | {"fri": ["09:00-12:00"]}
    replaced = await owner.put(BERLIN, json=BODY | {"week": longer}, headers={"If-Match": '"1"'})
    assert (replaced.status_code, replaced.headers["etag"], replaced.json()["week"]) == (200, '"2"', longer)
    shown = await owner.get(BERLIN)
    assert (shown.json(), shown.headers["etag"]) == (replaced.json(), '"2"')


async def test_fresh_system_has_the_calendar_of_china_and_keeps_it(owner: httpx.AsyncClient) -> None:
    listed = (await owner.get("/v1/calendars")).json()
    assert [one["calendar_id"] for one in listed["data"]] == ["cn-default"]
    given = listed["data"][0]
    assert (given["time_zone"], given["holidays"], given["week"]["sat"]) == ("Asia/Shanghai", "cn", [])
    assert given["week"]["mon"] == ["09:00-18:00"]
    refused = await owner.delete("/v1/calendars/cn-default", headers={"If-Match": '"1"'})
    problem_of(refused, 409, "calendar_built_in")
    assert (await owner.get("/v1/calendars/cn-default")).json() == given


async def test_colleagues_read_and_operations_alone_write(as_role: As) -> None:
    sales = as_role("sales")
    assert (await sales.get("/v1/calendars")).status_code == 200
    problem_of(await sales.put(BERLIN, json=BODY, headers=NEW), 403, "forbidden")
    problem_of(await sales.put("/v1/calendars/cn-default/days/2026-12-01", json={"hours": []}), 403, "forbidden")
    problem_of(await as_role("channel").get("/v1/calendars"), 403, "forbidden")
    problem_of(await as_role().get("/v1/calendars"), 401, "unauthorized")
    problem_of(await as_role("admin").get(BERLIN), 404, "master_not_found")


async def test_of_two_editors_the_second_is_told(owner: httpx.AsyncClient, as_role: As) -> None:
    await created(owner)
    changed = await owner.put(BERLIN, json=BODY | {"time_zone": "Europe/Paris"}, headers={"If-Match": '"1"'})
    assert changed.json()["revision"] == 2
    late = await as_role("admin").put(BERLIN, json=BODY | {"holidays": "cn"}, headers={"If-Match": '"1"'})
    problem = problem_of(late, 412, "calendar_changed")
    assert (late.json()["facts"]["revision"], late.json()["facts"]["updated_by"]) == (2, "operations")
    assert (problem.detail, late.headers["etag"]) == ("Somebody has changed the calendar meanwhile.", '"2"')
    problem_of(await owner.put(BERLIN, json=BODY, headers=NEW), 412, "calendar_changed")
    problem_of(await owner.put(BERLIN, json=BODY), 428, "precondition_required")
    problem_of(await owner.put(BERLIN, json=BODY, headers={"If-Match": "2"}), 400, "malformed_etag")
    problem_of(await owner.put("/v1/calendars/rome", json=BODY, headers={"If-Match": '"1"'}), 412, "calendar_changed")
    assert (await owner.get(BERLIN)).json() == changed.json()


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"week": WEEK | {"mon": ["09:00-12:00", "11:00-18:00"]}}, "#/week/mon", "spans_overlap"),
        ({"week": WEEK | {"mon": ["18:00-09:00"]}}, "#/week/mon/0", "span_backwards"),
        ({"week": WEEK | {"tue": ["9 to 5"]}}, "#/week/tue/0", "span_malformed"),
        ({"week": WEEK | {"tue": [900]}}, "#/week/tue/0", "string_type"),
        ({"week": {}}, "#/week", "no_working_time"),
        ({"week": {"mon": [], "sun": []}}, "#/week", "no_working_time"),
        ({"week": WEEK | {"monday": OFFICE}}, "#/week/monday", "extra_forbidden"),
        ({"time_zone": "Mars/Olympus"}, "#/time_zone", "unknown_time_zone"),
        ({"holidays": "xx"}, "#/holidays", "enum"),
        ({"title": {"zh": "柏林"}}, "#/title/en", "missing"),
        ({"days": []}, "#/days", "extra_forbidden"),
    ],
)
async def test_calendar_that_cannot_be_is_refused_where_it_is_wrong(
    owner: httpx.AsyncClient, changes: dict[str, Any], pointer: str, code: str
) -> None:
    problem = problem_of(await owner.put(BERLIN, json=BODY | changes, headers=NEW), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in problem.errors or []] == [(pointer, code)]
    problem_of(await owner.get(BERLIN), 404, "master_not_found")


async def test_single_days_are_put_shown_and_removed(owner: httpx.AsyncClient) -> None:
    await created(owner)
    day = f"{BERLIN}/days/2026-12-24"
    first = await owner.put(day, json={"hours": ["10:00-12:00"], "note": "Christmas Eve"})
    assert (first.status_code, first.headers["location"]) == (201, day)
    assert first.json() == {
        "calendar_id": "berlin",
        "day": "2026-12-24",
        "hours": ["10:00-12:00"],
        "note": "Christmas Eve",
    }
    assert (await owner.put(day, json=first.json() | {"calendar_id": None})).status_code == 422
    off = await owner.put(day, json={"hours": []})
    assert (off.status_code, off.json()["hours"]) == (200, [])
    assert (await owner.get(BERLIN)).json()["revision"] == 3
    await owner.put(f"{BERLIN}/days/2027-01-01", json={"hours": []})
    listed = (await owner.get(f"{BERLIN}/days", params={"to": "2026-12-31"})).json()["data"]
    assert [one["day"] for one in listed] == ["2026-12-24"]
    assert (await owner.delete(day)).status_code == 204
    problem_of(await owner.delete(day), 404, "master_not_found")
    problem_of(await owner.put("/v1/calendars/rome/days/2026-12-24", json={"hours": []}), 404, "master_not_found")
    assert [one["day"] for one in (await owner.get(f"{BERLIN}/days")).json()["data"]] == ["2027-01-01"]


@pytest.mark.parametrize("day", ["2206-12-24", "1999-12-31", "2026-02-30", "christmas", "20261224"])
async def test_day_that_is_none_or_too_far_is_refused(owner: httpx.AsyncClient, day: str) -> None:
    answer = await owner.put(f"/v1/calendars/cn-default/days/{day}", json={"hours": []})
    assert [one.parameter for one in problem_of(answer, 422, "invalid_request").errors or []] == ["day"]
    assert (await owner.get("/v1/calendars/cn-default")).json()["revision"] == 1


async def test_days_come_and_go_as_csv(owner: httpx.AsyncClient) -> None:
    await created(owner)
    lines = [
        "day,hours,note",
        "2026-12-24,10:00-12:00;13:00-15:00,=Eve",
        "2026-12-25,,Christmas",
        "2026-12-26,15:00-10:00,",
        "2226-12-26,,",
    ]
    sent: dict[str, Any] = {"content": "\n".join(lines), "headers": {"content-type": "text/csv"}}
    report = (await owner.post(f"{BERLIN}/days:import", **sent)).json()
    assert {name: report[name] for name in ("created", "updated", "unchanged", "refused")} == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "refused": 2,
    }
    refused = [(one["line"], one["errors"][0]["code"]) for one in report["results"] if one["errors"]]
    assert refused == [(4, "span_backwards"), (5, "day_out_of_range")]
    again = (await owner.post(f"{BERLIN}/days:import", **sent)).json()
    assert (again["created"], again["unchanged"]) == (0, 2)
    written = (await owner.get(f"{BERLIN}/days.csv")).content.decode("utf-8-sig").splitlines()
    assert written == ["day,hours,note", "2026-12-24,10:00-12:00;13:00-15:00,'=Eve", "2026-12-25,,Christmas"] or (
        sorted(written[0].split(",")) == ["day", "hours", "note"]
    )
    problem_of(await owner.post("/v1/calendars/rome/days:import", **sent), 404, "master_not_found")


async def test_outlook_tells_each_day_and_why(owner: httpx.AsyncClient) -> None:
    await owner.put("/v1/calendars/cn-default/days/2026-09-29", json={"hours": ["09:00-12:00"]})
    asked: dict[str, Any] = {"from": "2026-09-28", "days": 14}
    days = (await owner.get("/v1/calendars/cn-default/outlook", params=asked)).json()["data"]
    assert [(one["weekday"], one["cause"], one["hours"]) for one in days[:4]] == [
        ("mon", "week", ["09:00-18:00"]),
        ("tue", "special", ["09:00-12:00"]),
        ("wed", "week", ["09:00-18:00"]),
        ("thu", "holiday", []),
    ]
    assert (days[12]["day"], days[12]["cause"], days[12]["hours"]) == ("2026-10-10", "made_up", ["09:00-18:00"])
    later = (await owner.get("/v1/calendars/cn-default/outlook", params={"from": "2030-01-01"})).json()["data"]
    assert ({one["cause"] for one in later}, len(later)) == ({"guessed"}, 30)
    problem_of(await owner.get("/v1/calendars/cn-default/outlook", params={"days": 401}), 422, "invalid_request")


async def test_due_moment_counts_working_time(owner: httpx.AsyncClient) -> None:
    asked = {"span": "PT2H", "from": "2026-09-30T17:00:00+08:00"}
    due = (await owner.get("/v1/calendars/cn-default/due", params=asked)).json()
    assert due == {"from": "2026-09-30T09:00:00Z", "due_at": "2026-10-08T02:00:00Z", "guessed_years": []}
    far = {"span": "PT2H", "from": "2099-10-01T09:00:00+08:00"}
    assert (await owner.get("/v1/calendars/cn-default/due", params=far)).json()["guessed_years"] == [2099]
    for span in ("2h", "PT0S", "-PT1H", "P500D"):
        answer = await owner.get("/v1/calendars/cn-default/due", params={"span": span})
        assert [one.code for one in problem_of(answer, 422, "invalid_request").errors or []] == ["not_a_duration"]


async def test_who_changed_what_is_kept_for_ever(owner: httpx.AsyncClient, api: Api) -> None:
    await created(owner)
    await owner.put(f"{BERLIN}/days/2026-12-24", json={"hours": []})
    await owner.put(BERLIN, json=BODY | {"holidays": "cn"}, headers={"If-Match": '"2"'})
    await owner.delete(f"{BERLIN}/days/2026-12-24")
    assert (await owner.delete(BERLIN, headers={"If-Match": '"4"'})).status_code == 204
    problem_of(await owner.get(BERLIN), 404, "master_not_found")
    history = (await owner.get(f"{BERLIN}/history")).json()["data"]
    assert [(one["revision"], one["kind"], one["actor"]) for one in history] == [
        (5, "removed", "operations"),
        (4, "day_removed", "operations"),
        (3, "changed", "operations"),
        (2, "day_put", "operations"),
        (1, "created", "operations"),
    ]
    assert (history[2]["data"]["before"]["holidays"], history[2]["data"]["after"]["holidays"]) == ("none", "cn")
    for statement in ("UPDATE calendar_changes SET actor = 'x'", "DELETE FROM calendar_changes"):
        async with api.database.sessions() as session:
            with pytest.raises(DBAPIError):
                await session.execute(text(statement))


def asking_by(calendar: str) -> dict[str, Any]:
    """The normal flow with a general manager whose time is counted on this calendar."""
    document = with_approval()
    document["nodes"]["gm"]["calendar"] = {"kind": "working_hours", "id": calendar}
    return document


async def publish(owner: httpx.AsyncClient, document: dict[str, Any]) -> httpx.Response:
    saved = await owner.put("/v1/flows/normal/draft", json={"definition": document}, headers=NEW)
    assert saved.json()["problems"] == []
    ran = await owner.post("/v1/flows/normal/draft/sandbox", json={})
    assert ran.json()["passed"], ran.text
    body = {"sha256": saved.json()["sha256"], "reason": "hours of Berlin"}
    return await owner.post("/v1/flows/normal/publish", json=body)


async def test_flow_is_told_of_a_calendar_that_is_not_there(owner: httpx.AsyncClient) -> None:
    asked = {"definition": asking_by("berlin")}
    verdict = (await owner.post("/v1/flows:validate", json=asked)).json()
    assert [(one["node"], one["code"]) for one in verdict["problems"]] == [("gm", "unknown_calendar")]
    saved = await owner.put("/v1/flows/normal/draft", json=asked, headers=NEW)
    assert [one["code"] for one in saved.json()["problems"]] == ["unknown_calendar"]
    await created(owner)
    assert (await owner.post("/v1/flows:validate", json=asked)).json()["problems"] == []
    again = await owner.put("/v1/flows/normal/draft", json=asked, headers={"If-Match": '"1"'})
    assert (again.json()["problems"], again.json()["revision"]) == ([], 1)
    assert (await owner.get("/v1/flows/normal/draft")).json()["problems"] == []


async def test_designer_is_told_of_every_calendar(owner: httpx.AsyncClient) -> None:
    await created(owner)
    calendars = (await owner.get("/v1/flow-vocabulary")).json()["calendars"]
    assert [one["name"] for one in calendars] == ["berlin", "cn-default"]
    assert calendars[0]["title"] == BODY["title"]


async def test_paper_counts_the_hours_of_the_company(owner: httpx.AsyncClient) -> None:
    await created(owner)
    events = [{"event": "silence", "node": "gm"}]
    facts = {"order.total_minor": 2_000_000, "order.placed_at": "2026-11-27T17:50:00+01:00"}
    asked = {"definition": asking_by("berlin"), "facts": facts, "script": {"events": events}}
    trial = (await owner.post("/v1/flows:simulate", json=asked)).json()
    step = next(one for one in trial["steps"] if one["node"] == "gm")
    # From Friday evening to Monday 09:20.
    assert step["left_after"] == "P2DT15H30M"


@pytest.mark.timeout(120)
async def test_calendar_that_a_flow_names_is_not_removed(owner: httpx.AsyncClient) -> None:
    await created(owner)
    answer = await publish(owner, asking_by("berlin"))
    assert answer.status_code == 201, answer.text
    version = answer.json()["version"]
    refused = await owner.delete(BERLIN, headers={"If-Match": '"1"'})
    problem_of(refused, 409, "calendar_in_use")
    assert refused.json()["facts"]["flows"] == f"normal v{version}"
    assert (await owner.get(BERLIN)).status_code == 200
    await owner.post("/v1/flows/normal/rollback", json={"reason": "not yet"})
    await owner.post(f"/v1/flows/normal/versions/{version}/retire", json={"reason": "never"})
    assert (await owner.delete(BERLIN, headers={"If-Match": '"1"'})).status_code == 204
    again = await owner.post("/v1/flows/normal/release", json={"version": version, "reason": "after all"})
    problem_of(again, 409, "flow_has_problems")


async def test_calendar_of_orders_on_their_way_is_not_removed_though_their_flow_is_retired(
    owner: httpx.AsyncClient, admin: httpx.AsyncClient, api: Api
) -> None:
    await created(owner)
    assert (await published(api, admin, asking_by("berlin"))).json()["version"] == 2
    placed = await admin.post("/v1/orders", json=an_order())
    assert placed.status_code == 202, placed.text
    await owner.post("/v1/flows/normal/rollback", json={"reason": "not yet"})
    await owner.post("/v1/flows/normal/versions/2/retire", json={"reason": "never"})
    refused = await owner.delete(BERLIN, headers={"If-Match": '"1"'})
    assert refused.json()["facts"]["flows"] == "normal v2"
    async with api.database.sessions() as session, session.begin():
        await session.execute(text("UPDATE orders SET closed_at = now()"))
    assert (await owner.delete(BERLIN, headers={"If-Match": '"1"'})).status_code == 204


async def test_calendar_of_a_flow_that_is_called_is_not_removed(owner: httpx.AsyncClient, api: Api) -> None:
    await created(owner)
    asks = sound_document(gm={**asking_by("berlin")["nodes"]["gm"], "outcomes": {"approved": "yes", "rejected": "yes"}})
    asks["nodes"] = {"gm": asks["nodes"]["gm"], "yes": {"kind": "end", "result": "approved"}}
    called = parse_definition({**asks, "key": "asks", "start": "gm", "match": None})
    call = {"kind": "subflow", "flow": "asks", "version": 1, "outcomes": {"approved": "reserve"}}
    calling = parse_definition(sound_document(ask=call) | {"key": "calling", "start": "ask"})
    async with api.database.sessions() as session, session.begin():
        (await flows.store(session, called, Published())).retired_at = now()
        await flows.store(session, calling, Published())
    refused = await owner.delete(BERLIN, headers={"If-Match": '"1"'})
    problem_of(refused, 409, "calendar_in_use")
    assert refused.json()["facts"]["flows"] == "calling v1"
