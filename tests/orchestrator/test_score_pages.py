"""What people see of scores, compliance and the ladder: on the terminal, on the report's page, in MLflow's table."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.console import ladder_table, leaderboard_table, make_console, score_notes
from orchestrator.entry_checks import entry_objections
from orchestrator.report import write_report
from orchestrator.report_charts import score_bars
from orchestrator.tracking_view import numbers, shared_view

STEPS = [
    {"view": "myopic", "entry": "blind", "cost": 9e6, "score": 0.1, "gain": None, "gain_lo": None, "gain_hi": None},
    {"view": "announced", "entry": "told", "cost": 8e6, "score": 0.3, "gain": -1e6, "gain_lo": -2e6, "gain_hi": -5e5},
]


def entry(rank: int, name: str, score: float | None, **changes: Any) -> dict[str, Any]:
    known = score is not None
    return {
        "name": name,
        "rank": rank,
        "score": score,
        "score_lo": score - 0.05 if known else None,
        "score_hi": score + 0.05 if known else None,
        "compliant": True if known else None,
        "avoidable": 0.0002 if known else None,
        "avoidable_hi": 0.0008 if known else None,
        "pareto": rank == 1,
        "cost": 1e7 + rank,
        "cost_diff": -1e6 * (2 - rank),
        "cost_diff_lo": -1e6 * (2 - rank),
        "cost_diff_hi": -1e6 * (2 - rank),
        "carbon": 1000.0,
        "circularity": 0.5,
        "compliance": 0.9,
        "n": 8,
        "handprint": 4321.0,
        "value_retained": 0.123,
        "cpu_s": 12.34,
    } | changes


def board(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "digest": "d",
        "entries": list(entries) or [entry(1, "told", 0.3), entry(2, "reference", 0.0)],
        "bounded": 4,
        "scored": 3,
        "unbounded": [],
        "no_headroom": ["a/1"],
        "bound_cost": 7e6,
        "reference_cost": 9.5e6,
        "ladder": STEPS,
    } | changes


def printed(part: Any) -> str:
    console = make_console(stderr=False)
    with console.capture() as found:
        console.print(part)
    return found.get()


def page(path: Path, value: dict[str, Any]) -> str:
    write_report(path / "report.html", title="t", leaderboard=value)
    return (path / "report.html").read_text(encoding="utf-8")


WITHOUT = board(
    entry(1, "told", None),
    entry(2, "reference", None),
    bounded=0,
    scored=0,
    no_headroom=[],
    bound_cost=None,
    reference_cost=None,
    ladder=[],
)


def test_the_terminal_shows_score_compliance_and_cpu_seconds():
    cheat = entry(3, "cheat", 0.4, compliant=False, avoidable_hi=0.0421)
    text = printed(leaderboard_table([*board()["entries"], cheat]))
    for found in ("0.300 [0.250, 0.350]", "told *", "yes", "no (4.2%)", "12.3", "complies"):
        assert found in text, found
    assert "reference *" not in text


def test_the_terminal_leaves_out_what_no_entry_has():
    text = printed(leaderboard_table(WITHOUT["entries"]))
    assert "score" not in text and "complies" not in text
    assert "CPU" not in printed(leaderboard_table([entry(1, "a", 0.3, cpu_s=None)]))


def test_notes_say_what_scores_rest_on():
    assert score_notes(board()) == [
        "scores rest on 3 of 4 bounded scenarios",
        "no headroom: on 1 the reference is within 1 % of the bound, so they are left out",
    ]
    assert score_notes(WITHOUT) == ["no scenario carries a bound: set bound.scenarios in the experiment to get scores"]
    lost = score_notes(board(entry(1, "a", None), unbounded=["a/0", "b/0"], no_headroom=[]))
    assert lost[1:] == [
        "unbounded: the bound of a/0, b/0 could not be computed",
        "no score: a family has no scenario that could be scored, or every Entry failed somewhere",
    ]
    assert score_notes({"digest": "d", "entries": []}) == []


def test_the_ladder_stands_between_reference_and_bound():
    table = ladder_table(board())
    assert table is not None
    lines = [line for line in printed(table).splitlines() if line.strip()]
    places = [next(i for i, line in enumerate(lines) if word in line) for word in ("(ref", "blind", "told", "(bound)")]
    assert places == sorted(places)
    assert "-1.000 [-2.000, -0.500]" in lines[places[2]] and "7.000" in lines[places[3]]
    assert ladder_table(board(ladder=STEPS[:1])) is None
    without = ladder_table(board(bound_cost=None))
    assert without is not None and "(bound)" not in printed(without)


def test_the_page_shows_scores_the_ladder_and_the_rest(tmp_path: Path):
    text = page(tmp_path, board())
    for found in (
        "told ranks first of 2. Its score is 0.300.",
        "Entries that comply rank first, then the score decides",
        "0.250 to 0.350",
        "No headroom, so left out: a/1.",
        "complies",
        "0.08%",
        "announced",
        "4,321",
        "12.3%",
        'aria-label="score 0.300, limits 0.250 to 0.350"',
    ):
        assert found in text, found
    assert text.index("myopic") < text.index("announced") < text.index("<td>1.000</td>")


def test_the_page_without_bounds_says_how_to_get_scores(tmp_path: Path):
    text = " ".join(page(tmp_path, WITHOUT).split())
    assert "No scenario carries a bound, so there is no score: set bound.scenarios in the experiment." in text
    assert "No two views of a rolling-horizon controller are Entries of this sweep." in text
    assert "Ranked by mean cost J over the test scenarios, lower is better." in text


def test_the_page_does_not_say_that_the_reference_is_the_cheapest_where_it_is_not(tmp_path: Path):
    cheat = entry(2, "cheat", 0.4, compliant=False, cost_diff=-5.0)
    text = page(tmp_path, board(entry(1, "reference", 0.0), cheat))
    assert "reference ranks first of 2: what costs less falls short of duties that could be met." in text
    honest = page(tmp_path, board(entry(1, "reference", 0.0), entry(2, "cheat", -0.4, cost_diff=5.0)))
    assert "No Entry does better than reference" in honest


def test_failed_bounds_are_named_on_the_page_and_escaped(tmp_path: Path):
    text = page(tmp_path, board(unbounded=["<b>/0"]))
    assert "could not be computed: &lt;b&gt;/0." in text


def test_score_bars_share_an_axis_from_the_worst_score_to_the_bound():
    first, second, third = score_bars([entry(1, "a", 0.5), entry(2, "b", -0.95), entry(3, "c", None)])
    assert 'x1="90.0"' in first and 'x1="90.0"' in second, "the reference, half way between -1 and 1"
    assert 'x1="174.0"' in first, "the bound"
    assert "better" in first and "worse" in second and "no score" in third


def test_mlflow_has_the_columns_of_the_score():
    found = numbers(entry(1, "told", 0.3))
    assert (found["score_lo"], found["compliant"], found["cpu_s"]) == (pytest.approx(0.25), 1.0, 12.34)
    view = json.loads(json.loads(shared_view(name="n", sweep_key="k", metrics=found, created_ms=1))["state"])
    assert {"metrics.`score`", "metrics.`compliant`", "metrics.`cpu_s`"} <= set(view["selectedColumns"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"view": "announced", "periods": 12.0}, ""),
        ({"view": "anounced"}, "must be one of ['myopic', 'announced', 'law', 'clairvoyant']"),
        ({"view": 3.0}, "must be one of"),
        ({"view": "law", "periods": "12"}, "must be a number"),
    ],
)
def test_a_view_is_a_text_of_a_closed_list(parameters: dict[str, Any], message: str):
    tree = {"entries": [{"name": "a", "controller": "mpc", "parameters": parameters}], "reference": "a"}
    found = [one for one in entry_objections(tree) if one.path[2:3] == ("parameters",) and len(one.path) == 4]
    assert [one.message.startswith(message) for one in found] == ([True] if message else [])


def test_costs_of_a_small_system_are_shown_in_eur():
    small = printed(leaderboard_table([entry(1, "a", 0.3, cost=8686.2)]))
    large = printed(leaderboard_table([entry(1, "a", 0.3, cost=8686.2e6)]))
    assert "8,686.200" in small and "M EUR" not in small
    assert "8,686.200" in large and "M EUR" in large
