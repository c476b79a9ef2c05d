"""Which version an order takes."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.flow.releases import NoFallbackFlow, Release, flows_for, require_fallback, share_of
from tests.factories.flows import a_flow

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ORDERS = [f"SO{number}" for number in range(2000)]


def a_release(number: int, version: int, **terms: object) -> Release:
    return Release(number, a_flow(version=version), NOW - timedelta(days=1), **terms)  # type: ignore[arg-type]


def version_of(releases: list[Release], order_no: str = "SO1", channel: str = "web") -> int:
    [flow] = flows_for(releases, order_no, channel, NOW)
    return flow.version


def test_newest_release_that_is_for_the_order_wins_and_that_of_people_first() -> None:
    builtin, people, newer = a_release(1, 1), a_release(2, 2, by_people=True), a_release(3, 3)
    assert version_of([builtin, newer]) == 3
    assert version_of([builtin, people, newer]) == 2
    later = Release(4, a_flow(version=4), NOW + timedelta(hours=1), by_people=True)
    assert version_of([builtin, people, later]) == 2
    only_tmall = a_release(5, 5, by_people=True, channels=frozenset({"tmall"}))
    assert version_of([builtin, people, only_tmall]) == 2
    assert version_of([builtin, people, only_tmall], channel="tmall") == 5


def test_percentage_is_stable_and_a_larger_one_keeps_those_it_had() -> None:
    builtin = a_release(1, 1)
    taken = {
        percent: {one for one in ORDERS if version_of([builtin, a_release(2, 2, percent=percent)], one) == 2}
        for percent in (5, 20, 100)
    }
    assert taken[5] < taken[20] < taken[100] == set(ORDERS)
    assert 60 < len(taken[5]) < 140
    assert {share_of("SO1") for _ in range(3)} == {share_of("SO1")}


def test_some_flow_has_to_be_there_for_every_order() -> None:
    narrow = Release(2, a_flow(version=2, when="order.type == 'sample'"), NOW, by_people=True)
    require_fallback([a_release(1, 1)], NOW)
    for left in ([narrow], [a_release(1, 1), narrow], [a_release(1, 1, percent=99)], []):
        with pytest.raises(NoFallbackFlow):
            require_fallback(left, NOW)
