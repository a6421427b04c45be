import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.report import write_report
from orchestrator.report_charts import interval_bars, verdict

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}{% raw %}"


def entry(rank: int, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "rank": rank,
        "rank_lo": rank,
        "rank_hi": rank + 1,
        "score": None,
        "cost": 1.0e8 + rank * 2.0e6,
        "cost_diff": -4.0e6 + rank * 2.0e6,
        "cost_diff_lo": -5.0e6 + rank * 2.0e6,
        "cost_diff_hi": -3.0e6 + rank * 2.0e6,
        "carbon": 1234.5,
        "circularity": 0.61,
        "compliance": None,
        "n": 64,
        "failed": 0,
        "cost_half_price": 0.9e8,
        "cost_double_price": 1.3e8,
        "rank_half_price": rank,
        "rank_double_price": rank,
        "per_family": {"tariff": {"cost_diff": -2.5e6, "cost_diff_lo": -3.5e6, "cost_diff_hi": -1.5e6, "n": 8}},
    } | changes


def page(path: Path, name: str = "evolutionary", **more: Any) -> str:
    board = {"digest": "abc123", "entries": [entry(1, name), entry(2, "reference"), entry(3, "random")]}
    arguments: dict[str, Any] = {
        "title": f"sweep of {name}",
        "leaderboard": board,
        "against_random": [entry(1, name), entry(3, "random")],
        "searches": [{"entry": name, "points": [(16, 1.2e8), (32, 1.1e8)]}],
        "suite": {name: [name, "delay"]},
        "instruments": [{"name": name, "jurisdiction": name, "source": name, "verification": "unverified"}],
        "assumptions": [{"parameter": name, "value": 1.5, "range": [1.0, 2.0], "unit": name, "note": name}],
        "assumption_shares": {name: 0.41},
        "reproduce": {name: name},
    }
    write_report(path, **(arguments | more))
    return path.read_text(encoding="utf-8")


def test_every_name_is_escaped(tmp_path: Path) -> None:
    text = page(tmp_path / "report.html", HOSTILE)
    assert "<script" not in text
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in text
    assert text.count("&lt;script&gt;") >= 12


@pytest.mark.parametrize("load", ["http:", "https:", "src=", "url(", "href=", "@import", "<script", "<link", "<iframe"])
def test_the_page_loads_nothing(load: str, tmp_path: Path) -> None:
    text = page(tmp_path / "report.html")
    assert load not in text
    assert "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'" in text


def test_the_page_is_small_and_says_what_was_found(tmp_path: Path) -> None:
    text = page(tmp_path / "report.html")
    assert len(text.encode()) < 200_000
    assert "evolutionary ranks first of 3. Over 64 test scenarios its cost is below that of reference" in text
    for found in ("102.00", "\N{MINUS SIGN}3.00 to \N{MINUS SIGN}1.00", "0.610", "90.00", "130.00", "unverified"):
        assert found in text, found
    for found in ("<td>110.00</td>", "<td>32</td>", "41% of evolutionary", "abc123"):
        assert found in text, found


def test_an_empty_leaderboard_says_so_in_every_section(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", title="empty", leaderboard={"digest": "0", "entries": []})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing has been scored yet." in text
    assert text.count('class="empty"') == 12
    assert "<svg" not in text


def test_an_entry_without_a_result_has_dashes(tmp_path: Path) -> None:
    nothing = dict.fromkeys(["cost", "cost_diff", "cost_diff_lo", "cost_diff_hi", "carbon", "circularity"])
    board = {"digest": "0", "entries": [entry(1, "reference"), entry(2, "broken", **nothing, n=0, failed=9)]}
    text = page(tmp_path / "report.html", leaderboard=board)
    assert "No Entry does better than reference" in text
    assert "not compared" in text


def test_a_failed_write_leaves_the_old_page_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    before = page(path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        page(path, "another")
    assert path.read_text(encoding="utf-8") == before
    assert os.listdir(tmp_path) == ["report.html"]  # noqa: PTH208, hidden files count


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [(-2.0, -1.0, "better"), (1.0, 2.0, "worse"), (-1.0, 1.0, "undecided"), (0.0, 0.0, "undecided")],
)
def test_a_verdict_needs_limits_on_one_side_of_zero(lo: float, hi: float, word: str) -> None:
    assert verdict(lo, hi) == word
    assert verdict(None, hi) == "not compared"


def test_bars_share_one_axis_that_holds_zero() -> None:
    rows = [
        {"cost_diff": -8.0, "cost_diff_lo": -10.0, "cost_diff_hi": -6.0},
        {"cost_diff": -1.0, "cost_diff_lo": -2.0, "cost_diff_hi": -0.5},
    ]
    first, second = interval_bars(rows)
    zero = 'class="zero" x1="174.0"'
    assert zero in first
    assert zero in second
    assert 'x1="6.0"' in first
