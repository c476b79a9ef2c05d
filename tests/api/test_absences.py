"""When people are away: said by themselves, and by those who keep the people."""

from typing import Any

import pytest

from tests.api.conftest import As

AWAY = {"starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-05T00:00:00Z", "delegate_id": "manager"}


async def test_absence_is_put_read_changed_and_removed(as_role: As) -> None:
    gm, own = as_role("gm"), "/v1/people/gm/absences"
    assert (await gm.put(f"{own}/winter", json=AWAY)).status_code == 201
    assert (await gm.put(f"{own}/winter", json=AWAY)).status_code == 200
    longer = AWAY | {"ends_at": "2026-12-09T00:00:00Z", "delegate_id": None}
    changed = await gm.put(f"{own}/winter", json=longer)
    assert (changed.json()["ends_at"], changed.json()["delegate_id"]) == ("2026-12-09T00:00:00Z", None)
    assert [one["absence_id"] for one in (await gm.get(own)).json()["data"]] == ["winter"]
    assert (await gm.delete(f"{own}/winter")).status_code == 204
    assert (await gm.get(own)).json()["data"] == []
    assert (await gm.delete(f"{own}/winter")).status_code == 404


@pytest.mark.parametrize(
    ("role", "status"),
    [("admin", 201), ("operations", 201), ("finance", 404), ("channel", 403), (None, 401)],
)
async def test_others_say_it_only_where_they_keep_people_or_orders(as_role: As, role: str | None, status: int) -> None:
    assert (await as_role(role).put("/v1/people/gm/absences/a", json=AWAY)).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"ends_at": "2026-12-01T00:00:00Z"},
        {"delegate_id": "nobody"},
        {"delegate_id": "gm"},
        {"starts_at": "tomorrow"},
        {"because": "ski"},
    ],
)
async def test_absence_that_makes_no_sense_is_refused(as_role: As, changes: dict[str, Any]) -> None:
    gm = as_role("gm")
    assert (await gm.put("/v1/people/gm/absences/a", json=AWAY | changes)).status_code == 422
    assert (await gm.get("/v1/people/gm/absences")).json()["data"] == []


async def test_person_who_is_not_there_has_no_absences(as_role: As) -> None:
    assert (await as_role("admin").put("/v1/people/ghost/absences/a", json=AWAY)).status_code == 404
