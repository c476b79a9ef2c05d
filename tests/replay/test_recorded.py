"""Recorded histories are added to, never replaced."""

from pathlib import Path

import pytest

from tests.replay import recorded


def test_a_later_way_is_recorded_beside_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = recorded.load(recorded.files_of("relay/disabled")[0])
    monkeypatch.setattr(recorded, "HISTORIES", tmp_path)
    saved = [recorded.save("relay/disabled", history).name for _ in range(11)]
    assert saved == ["disabled.json", *(f"disabled.{number}.json" for number in range(2, 12))]
    assert [file.name for file in recorded.files_of("relay/disabled")] == saved
    assert {recorded.scenario_of(file) for file in recorded.files()} == {"relay/disabled"}
    assert recorded.load(tmp_path / "relay" / "disabled.11.json").events == history.events


def test_scenario_whose_name_begins_like_another_has_its_own_histories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = recorded.load(recorded.files_of("relay/disabled")[0])
    monkeypatch.setattr(recorded, "HISTORIES", tmp_path)
    recorded.save("order/expired", history)
    recorded.save("order/expired_partly_paid", history)
    assert [file.name for file in recorded.files_of("order/expired")] == ["expired.json"]
