"""The report's facts about scores, compliance, the foresight ladder and the metrics beyond cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.report_charts import score_bars
from orchestrator.report_numbers import DASH, limits, money, number

_METRICS = (
    ("service", ".3f"),
    ("handprint", ",.0f"),
    ("value_retained", ".1%"),
    ("resilience_loss", ".3f"),
    ("resilience_depth", ".1%"),
    ("time_to_recover", ".1f"),
    ("cpu_s", ",.1f"),
)


def score_facts(leaderboard: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Return what the page shows beside costs: `Leaderboard.to_json()` in words and bars. Money is divided by scale."""
    entries = leaderboard["entries"]
    bounded = bool(leaderboard.get("bounded"))
    return {
        "score_rows": _score_rows(entries) if bounded else [],
        "score_notes": _notes(leaderboard),
        "ladder": _ladder_rows(leaderboard, scale),
        "metric_rows": [_metric_row(row) for row in entries],
    }


def rank_basis(entries: Sequence[Mapping[str, Any]]) -> str:
    """Say what the ranks rest on."""
    if any(row.get("score") is not None for row in entries):
        return "Entries that comply rank first, then the score decides, higher is better."
    if any(row.get("compliant") is not None for row in entries):
        return "Entries that comply rank first, then mean cost J over the test scenarios decides, lower is better."
    return "Ranked by mean cost J over the test scenarios, lower is better."


def _score_rows(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    words = {True: "complies", False: "does not comply", None: DASH}
    return [
        {
            "name": row["name"],
            "score": number(row.get("score"), ".3f"),
            "limits": _interval(row.get("score_lo"), row.get("score_hi")),
            "bar": bar,
            "complies": words[row.get("compliant")],
            "avoidable": number(row.get("avoidable"), ".2%"),
            "avoidable_hi": number(row.get("avoidable_hi"), ".2%"),
        }
        for row, bar in zip(entries, score_bars(entries), strict=True)
    ]


def _notes(leaderboard: Mapping[str, Any]) -> list[str]:
    flat, unbounded = leaderboard.get("no_headroom") or (), leaderboard.get("unbounded") or ()
    notes: list[str] = []
    if leaderboard.get("bounded"):
        notes.append(
            f"{leaderboard['scored']:,} of {leaderboard['bounded']:,} scenarios that carry a bound are part of the "
            f"scores. No headroom, so left out: {', '.join(flat) or 'none'}."
        )
    if unbounded:
        notes.append(f"The bound of these scenarios could not be computed: {', '.join(unbounded)}.")
    return notes


def _ladder_rows(leaderboard: Mapping[str, Any], scale: float) -> list[dict[str, str]]:
    """Return the steps between the reference and the bound; nothing with fewer than two of them."""
    steps = leaderboard.get("ladder") or []
    if len(steps) < 2:
        return []
    rows = [
        {
            "view": step["view"],
            "entry": step["entry"],
            "cost": money(step["cost"], scale),
            "score": number(step["score"], ".3f"),
            "gain": money(step["gain"], scale),
            "limits": limits(step["gain_lo"], step["gain_hi"], scale),
        }
        for step in steps
    ]
    ends = [("reference", "reference_cost", 0.0), ("bound", "bound_cost", 1.0)]
    first, last = (
        {
            "view": word,
            "entry": DASH,
            "cost": money(leaderboard.get(name), scale),
            "score": number(value, ".3f"),
            "gain": DASH,
            "limits": DASH,
        }
        for word, name, value in ends
    )
    return [first, *rows, last] if leaderboard.get("bound_cost") is not None else rows


def _metric_row(row: Mapping[str, Any]) -> dict[str, Any]:
    values = [number(row.get(name), form) for name, form in _METRICS]
    return {"name": row["name"], "front": "yes" if row.get("pareto") else "no", "cells": values}


def _interval(lo: float | None, hi: float | None) -> str:
    return DASH if lo is None or hi is None else f"{number(lo, '.3f')} to {number(hi, '.3f')}"
