"""The drawings of the report's tables, as inline SVG: an interval beside zero, a score between its anchors.

Every text that enters a drawing is escaped by `Markup.format`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

_BAR_WIDTH, _BAR_HEIGHT, _BAR_MARGIN = 180, 22, 6


def verdict(lo: float | None, hi: float | None) -> str:
    """Say what the limits of a difference in cost allow: "better", "worse", "undecided" or "not compared"."""
    if lo is None or hi is None:
        return "not compared"
    if hi < 0:
        return "better"
    return "worse" if lo > 0 else "undecided"


def interval_bars(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return one drawing per row of (cost_diff, cost_diff_lo, cost_diff_hi) on a common axis that holds zero."""
    limits = [row[name] for row in rows for name in ("cost_diff_lo", "cost_diff_hi") if row.get(name) is not None]
    low, high = min([0.0, *limits]), max([0.0, *limits])
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(_BAR_MARGIN + (value - low) / span * (_BAR_WIDTH - 2 * _BAR_MARGIN), 1)

    return [_interval_bar(row, place) for row in rows]


def _interval_bar(row: Mapping[str, Any], place: Callable[[float], float]) -> Markup:
    middle, lo, hi = (row.get(name) for name in ("cost_diff", "cost_diff_lo", "cost_diff_hi"))
    if middle is None or lo is None or hi is None:
        return Markup('<span class="muted">not compared</span>')
    call = verdict(lo, hi)
    y = _BAR_HEIGHT // 2
    label = f"{call}: {middle:,.0f} EUR, limits {lo:,.0f} to {hi:,.0f}"
    return Markup(
        '<svg class="bar {call}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        '<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{h}"/>'
        '<line class="whisker" x1="{lo}" x2="{hi}" y1="{y}" y2="{y}"/><circle cx="{mid}" cy="{y}" r="4.5"/></svg>'
    ).format(
        call=call.replace(" ", "-"), w=_BAR_WIDTH, h=_BAR_HEIGHT, label=label, y=y,
        zero=place(0.0), lo=place(lo), hi=place(hi), mid=place(middle),
    )  # fmt: skip


def score_bars(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return one drawing per row of (score, score_lo, score_hi), with lines at the reference, 0, and the bound, 1."""
    names = ("score", "score_lo", "score_hi")
    values = [row[name] for row in rows for name in names if row.get(name) is not None]
    low, high = min([0.0, *values]), max([1.0, *values])

    def place(value: float) -> float:
        return round(_BAR_MARGIN + (value - low) / (high - low) * (_BAR_WIDTH - 2 * _BAR_MARGIN), 1)

    return [_score_bar(row, place) for row in rows]


def _score_bar(row: Mapping[str, Any], place: Callable[[float], float]) -> Markup:
    score = row.get("score")
    if score is None:
        return Markup('<span class="muted">no score</span>')
    lo, hi = (score if row.get(name) is None else row[name] for name in ("score_lo", "score_hi"))
    return Markup(
        '<svg class="bar {call}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        '<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{h}"/><line class="zero" x1="{one}" x2="{one}" y1="0" '
        'y2="{h}"/><line class="whisker" x1="{lo}" x2="{hi}" y1="{y}" y2="{y}"/><circle cx="{mid}" cy="{y}" r="4.5"/>'
        "</svg>"
    ).format(
        call=verdict(-hi, -lo), w=_BAR_WIDTH, h=_BAR_HEIGHT, y=_BAR_HEIGHT // 2,
        label=f"score {score:.3f}, limits {lo:.3f} to {hi:.3f}",
        zero=place(0.0), one=place(1.0), lo=place(lo), hi=place(hi), mid=place(score),
    )  # fmt: skip
