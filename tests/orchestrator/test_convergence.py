"""How searches went: best-so-far, its median over seeds with exact limits, and its drawing."""

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from orchestrator import convergence as module
from orchestrator.convergence import best_so_far, convergence, median_limits
from orchestrator.records import CandidateValue, Generation
from orchestrator.report_search import convergence_chart, search_rows


def generation(index: int, *values: float | None) -> Generation:
    told = tuple(
        CandidateValue(candidate=f"{index}/{i}", value=value, standard_error=None, n=1, violation=0.0)
        for i, value in enumerate(values)
    )
    return Generation(search="s", index=index, values=told)


def test_best_so_far_at_the_evaluations_spent() -> None:
    found = [generation(0, None, None), generation(1, 5.0, None), generation(2, 7.0, 6.0), generation(3, -1.0)]
    assert best_so_far(found) == [(4, 5.0), (6, 5.0), (7, -1.0)]
    assert best_so_far([]) == []


# ------------------------------------------------------------------------------------------------ over seeds


def repeated(bench: Any, count: int) -> Any:
    tree = bench.tree()
    tree["entries"][1]["search"] |= {"repeats": count, "evaluations": 6, "width": 2}
    return bench.plan(tree)


def test_an_entrys_searches_are_one_curve_with_limits(bench: Any) -> None:
    plan = repeated(bench, 3)
    searches = (
        (generation(0, None, None), generation(1, 9.0, 8.0), generation(2, 7.0, 9.0)),
        (generation(0, 5.0, 6.0), generation(1, 9.0, 4.0), generation(2, 9.0, 9.0)),
        (generation(0, 6.0, 6.0), generation(1, 3.0, 8.0)),  # ended early
    )
    found = convergence(plan, "reference", searches)
    assert found.evaluations == (4, 6)  # it begins where each search has a value
    assert found.median == (4.0, 4.0)
    assert (found.low, found.high) == ((3.0, 3.0), (8.0, 7.0))
    assert (found.seeds, found.early) == (3, 1)
    assert found.coverage == pytest.approx(0.75)
    # 12 nodes, 24 months, one product, 2 scenarios an evaluation.
    assert found.node_periods == (4 * 12 * 24 * 2, 6 * 12 * 24 * 2)


def test_one_seed_has_a_line_only(bench: Any) -> None:
    found = convergence(repeated(bench, 1), "reference", ((generation(0, 3.0, 2.0), generation(1, 1.0, 4.0)),))
    assert found.coverage is None and found.median == found.low == found.high == (2.0, 1.0)


def test_searches_that_found_nothing_have_no_point(bench: Any) -> None:
    found = convergence(repeated(bench, 2), "reference", ((generation(0, None),), (generation(0, 1.0),)))
    assert found.evaluations == found.median == ()


@pytest.mark.parametrize(
    ("count", "limits"),
    [(2, (0, 1)), (5, (0, 4)), (6, (0, 5)), (8, (0, 7)), (9, (1, 7)), (15, (3, 11)), (20, (5, 14))],
)
def test_limits_of_the_median_are_those_of_the_tables(count: int, limits: tuple[int, int]) -> None:
    assert median_limits(count, 0.95)[:2] == limits


def check_coverage_is_exact(count: int) -> None:
    """Count over all 2^n ways in which values may lie below or above the median."""
    low, high, coverage = median_limits(count, 0.8)
    within = 0
    for below in product((True, False), repeat=count):
        number = sum(below)
        within += low < number <= high
    assert coverage == pytest.approx(within / 2**count)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 11])
def test_the_confidence_of_limits_is_exact(count: int) -> None:
    check_coverage_is_exact(count)


def test_limits_one_too_narrow_fail_that_check(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = median_limits
    monkeypatch.setitem(
        globals(), "median_limits", lambda n, p: (exact(n, p)[0] + 1, exact(n, p)[1] - 1, exact(n, p)[2])
    )
    with pytest.raises(AssertionError):
        check_coverage_is_exact(8)


def test_a_single_value_has_no_limits() -> None:
    assert median_limits(1, 0.95) == (0, 0, None)
    assert module.CONFIDENCE == 0.95


# ------------------------------------------------------------------------------------------------ the drawing


@pytest.mark.parametrize("points", [[(1, 5.0)], [(1, 5.0), (2, 5.0)], [(1, 0.0)], [(1, -3e9), (900, -4e9)]])
def test_the_chart_draws_flat_and_single_points(points: list[tuple[int, float]]) -> None:
    chart = convergence_chart([{"entry": "a", "points": points}], scale=1.0, unit="EUR")
    assert chart.count("<polyline") == 1
    assert "nan" not in chart
    assert convergence_chart([{"entry": "a", "points": []}], scale=1.0, unit="EUR") == ""


SEARCH: dict[str, Any] = {
    "entry": "a",
    "points": [(10, 30.0), (20, 20.0)],
    "low": (25.0, 10.0),
    "high": (60.0, 40.0),
    "node_periods": (1000, 2000),
    "seeds": 5,
    "coverage": 0.9375,
    "early": 1,
}
ALONE: dict[str, Any] = {"entry": "b", "points": [(10, 50.0)], "node_periods": (4000,)}


def numbers(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_the_band_encloses_the_line() -> None:
    chart = str(convergence_chart([SEARCH], scale=1.0, unit="EUR"))
    (band,) = re.findall(r'<polygon points="([^"]+)"', chart)
    (line,) = re.findall(r'<polyline points="([^"]+)"', chart)
    by_place = {x: [y for place, y in numbers(band) if place == x] for x, _ in numbers(line)}
    for x, y in numbers(line):
        assert min(by_place[x]) <= y <= max(by_place[x])
    assert min(min(ys) for ys in by_place.values()) < min(y for _, y in numbers(line))
    assert all(0 <= y <= 300 for ys in by_place.values() for y in ys)


def test_searches_of_other_scenarios_are_drawn_by_node_periods() -> None:
    assert ">evaluations<" in convergence_chart([SEARCH], scale=1.0, unit="EUR")
    both = str(convergence_chart([SEARCH, ALONE], scale=1.0, unit="EUR"))
    assert ">node-periods<" in both and ">4,000<" in both
    assert both.count("<polyline") == 2 and both.count("<polygon") == 1


def test_the_table_beside_says_seeds_limits_and_what_ended_early() -> None:
    first, second = search_rows([SEARCH, {"entry": "none", "points": []}, ALONE], 10.0)
    assert (first["seeds"], first["best"], first["limits"], first["coverage"], first["early"]) == (
        "5",
        "2.00",
        "1.00 to 4.00",
        "93.8%",
        "1 of 5",
    )
    assert (second["entry"], second["limits"], second["coverage"], second["node_periods"]) == (
        "b",
        "\N{EN DASH}",
        "\N{EN DASH}",
        "4,000",
    )
    assert first["colour"] != second["colour"]


def test_median_is_that_of_numpy_for_even_counts(bench: Any) -> None:
    values = (4.0, 1.0, 3.0, 9.0)
    found = convergence(repeated(bench, 4), "reference", tuple((generation(0, one),) for one in values))
    assert found.median == (float(np.median(values)),)
