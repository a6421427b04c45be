"""report.html: one small page of what a sweep found, on what suite, resting on which assumptions.

The page loads nothing from outside (its own policy forbids it) and every name in it is escaped.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.report_charts import interval_bars, verdict
from orchestrator.report_numbers import DASH, limits, money, number
from orchestrator.report_score import rank_basis, score_facts
from orchestrator.report_search import convergence_chart, search_rows
from orchestrator.report_template import TEMPLATE

# From which largest cost on a unit is used; differences are small parts of it, so billions begin late.
_SCALES = ((1e11, 1e9, "billion EUR"), (1e6, 1e6, "million EUR"), (1e3, 1e3, "thousand EUR"))


def write_report(
    path: Path,
    *,
    title: str,
    leaderboard: Mapping[str, Any],
    reference: str = "reference",
    confidence: float = 0.95,
    against_random: Sequence[Mapping[str, Any]] = (),
    searches: Sequence[Mapping[str, Any]] = (),
    suite: Mapping[str, Any] | None = None,
    instruments: Sequence[Mapping[str, Any]] = (),
    assumptions: Sequence[Mapping[str, Any]] = (),
    assumption_shares: Mapping[str, float] | None = None,
    reproduce: Mapping[str, Any] | None = None,
) -> None:
    """Write the report to `path`, whole or not at all. What is missing is said to be missing.

    leaderboard: `Leaderboard.to_json()`, with or without timings. against_random: {name, cost_diff, cost_diff_lo,
    cost_diff_hi} per Entry. searches: {entry, points: [(evaluations, best J)]}, and what
    orchestrator.report_search shows beside. suite: label -> text or list.
    instruments: {name, jurisdiction, type, reference, source, confidence, verification, assumed: [column]}.
    assumptions: {parameter, value, range, unit, note}. assumption_shares: what ("cost", "carbon") -> share in [0, 1].
    reproduce: label -> text. Raises OSError when `path` can't be written.
    """
    entries = leaderboard["entries"]
    scale, unit = _scale(entries)
    facts = {
        "title": title,
        "headline": _headline(entries, reference, scale, unit),
        "unit": unit,
        "reference": reference,
        "confidence": f"{confidence:.0%} bootstrap limits over scenarios",
        "basis": rank_basis(entries),
        "entries": _leaderboard_rows(entries, scale),
        **score_facts(leaderboard, scale),
        "random_rows": _difference_rows(against_random, scale),
        **_families(entries, scale),
        "shortfall": _shortfall_rows(entries, scale),
        "chart": convergence_chart(searches, scale=scale, unit=unit),
        "searches": search_rows(searches, scale),
        "facts": [(label, _plain(value)) for label, value in (suite or {}).items()],
        "instruments": [_law(row) for row in instruments],
        "doubtful": sum(1 for row in instruments if _marks(row)),
        "assumptions": [_filled(row, "parameter value range unit note") for row in assumptions],
        "shares": ", ".join(f"{share:.0%} of {what}" for what, share in (assumption_shares or {}).items()),
        "digest": leaderboard["digest"],
        "reproduce": [(label, _plain(value)) for label, value in (reproduce or {}).items()],
    }
    _write_whole(path, _render(facts))


def _render(facts: Mapping[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE).render(facts)


def _write_whole(path: Path, text: str) -> None:
    """Write under another name, then move: a reader, or a kill, never meets half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _headline(entries: Sequence[Mapping[str, Any]], reference: str, scale: float, unit: str) -> str:
    if not entries:
        return "Nothing has been scored yet."
    if any(row["rank"] is None for row in entries):
        return "Nothing is ranked: the suite's product is a structural template, and its numbers are placeholders."
    best = min(entries, key=lambda row: row["rank"])
    if best["name"] == reference and any(_cheaper_by_falling_short(row) for row in entries):
        return f"{reference} ranks first of {len(entries)}: what costs less falls short of duties that could be met."
    if best["name"] == reference:
        return f"No Entry does better than {reference} on the test scenarios."
    difference, lo, hi = (best.get(name) for name in ("cost_diff", "cost_diff_lo", "cost_diff_hi"))
    if difference is None or lo is None or hi is None:
        return f"{best['name']} ranks first of {len(entries)}; it can't be compared with {reference}."
    words = {"better": "below", "worse": "above", "undecided": "not distinguishable from"}
    score = f" Its score is {best['score']:.3f}." if best.get("score") is not None else ""
    return (
        f"{best['name']} ranks first of {len(entries)}.{score} Over {best['n']} test scenarios its cost is "
        f"{words[verdict(lo, hi)]} that of {reference}: {money(difference, scale)} {unit} ({limits(lo, hi, scale)})."
    )


def _cheaper_by_falling_short(row: Mapping[str, Any]) -> bool:
    difference = row.get("cost_diff")
    return row.get("compliant") is False and difference is not None and difference < 0.0


def _scale(entries: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    """Return the divisor and the name of the money unit that suits the largest cost."""
    largest = max((abs(row["cost"]) for row in entries if row.get("cost") is not None), default=0.0)
    return next(((size, name) for least, size, name in _SCALES if largest >= least), (1.0, "EUR"))


def _leaderboard_rows(entries: Sequence[Mapping[str, Any]], scale: float) -> list[dict[str, Any]]:
    differences = _difference_rows(entries, scale)
    return [
        {
            **difference,
            "rank": number(row["rank"], "d"),
            "rank_limits": _rank_limits(row),
            "cost": money(row.get("cost"), scale),
            "carbon": number(row.get("carbon"), ",.0f"),
            "circularity": number(row.get("circularity"), ".3f"),
            "compliance": number(row.get("compliance"), ".1%"),
            "n": number(row.get("n"), ",d"),
            "failed": number(row.get("failed"), ",d"),
        }
        for row, difference in zip(entries, differences, strict=True)
    ]


def _difference_rows(rows: Sequence[Mapping[str, Any]], scale: float) -> list[dict[str, Any]]:
    return [
        {
            "name": row["name"],
            "diff": money(row.get("cost_diff"), scale),
            "limits": limits(row.get("cost_diff_lo"), row.get("cost_diff_hi"), scale),
            "bar": bar,
            "verdict": verdict(row.get("cost_diff_lo"), row.get("cost_diff_hi")),
        }
        for row, bar in zip(rows, interval_bars(rows), strict=True)
    ]


def _families(entries: Sequence[Mapping[str, Any]], scale: float) -> dict[str, Any]:
    families = sorted({family for row in entries for family in row.get("per_family") or {}})

    def cell(row: Mapping[str, Any], family: str) -> dict[str, str]:
        value = (row.get("per_family") or {}).get(family, {})
        between = limits(value.get("cost_diff_lo"), value.get("cost_diff_hi"), scale)
        return {"diff": money(value.get("cost_diff"), scale), "limits": between}

    rows = [{"name": row["name"], "cells": [cell(row, family) for family in families]} for row in entries]
    return {"families": families, "family_rows": rows}


def _shortfall_rows(entries: Sequence[Mapping[str, Any]], scale: float) -> list[dict[str, Any]]:
    if all(row.get("cost_half_price") is None for row in entries):
        return []
    return [
        {
            "name": row["name"],
            "half": money(row.get("cost_half_price"), scale),
            "rank_half": number(row.get("rank_half_price"), "d"),
            "cost": money(row.get("cost"), scale),
            "rank": number(row["rank"], "d"),
            "double": money(row.get("cost_double_price"), scale),
            "rank_double": number(row.get("rank_double_price"), "d"),
        }
        for row in entries
    ]


def _filled(row: Mapping[str, Any], names: str) -> dict[str, str]:
    return {name: _plain(row.get(name)) for name in names.split()}


def _law(row: Mapping[str, Any]) -> dict[str, str]:
    filled = _filled(row, "name jurisdiction type confidence verification assumed reference source")
    return filled | {"marks": _marks(row)}


def _marks(row: Mapping[str, Any]) -> str:
    """Return the marks of doubt: "?" where no source was read, "*" where an assumption is part of it."""
    return ("?" if row.get("verification") == "unverified" else "") + ("*" if row.get("assumed") else "")


def _plain(value: Any) -> str:
    """Return a value as text: a dash for nothing, lists with commas, floats by at most six digits."""
    if value is None or value in ("", [], ()):
        return DASH
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rank_limits(row: Mapping[str, Any]) -> str:
    lo, hi = row.get("rank_lo"), row.get("rank_hi")
    return DASH if lo is None or hi is None else f"{lo} to {hi}"
