"""What Tune costs is measured on searches that find the same both ways."""

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import search_tune
from benchmarks.search_tune import measure
from orchestrator.runtime import Connection
from orchestrator.work import SearchJob

Found = tuple[float, dict[str, str]]


@pytest.fixture
def walls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Stand-ins for both ways: a second for each generation, half as much again and 5 s through Tune."""
    asked: list[tuple[str, int]] = []

    def run(way: str, jobs: Sequence[SearchJob]) -> Found:
        generations = jobs[0].budget // jobs[0].width
        asked.append((way, generations))
        seconds = 1.0 * generations if way == "plain" else 5.0 + 1.5 * (generations - 1)
        return seconds, {job.search: f"found in {generations}" for job in jobs}

    monkeypatch.setattr(search_tune, "_plainly", lambda jobs, _: run("plain", jobs))
    monkeypatch.setattr(search_tune, "_through_tune", lambda jobs, _: run("tune", jobs))
    return asked


def figures(metrics: Sequence[Any]) -> dict[str, float]:
    return {one["metric"]: one["value"] for one in metrics}


def test_searches_are_as_long_as_asked_and_the_fixed_cost_stands_apart(
    ray_runtime: Connection, walls: list[tuple[str, int]]
) -> None:
    found = figures(measure(seconds=90.0, workers=2))
    generations = walls[-1][1]
    assert generations >= 90  # at a second each
    assert [way for way, count in walls if count == generations] == ["plain", "tune", "plain"]
    assert found["tune_overhead"] == pytest.approx((5.0 + 1.5 * (generations - 1)) / generations)
    assert found["tune_fixed_s"] == 5.0


def test_other_generations_are_no_measurement(
    ray_runtime: Connection, walls: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_tune, "_through_tune", lambda jobs, _: (1.0, {job.search: "other" for job in jobs}))
    with pytest.raises(RuntimeError, match="other generations"):
        measure(seconds=40.0)
