"""The report's drawings, as inline SVG: an interval beside zero, a score between its anchors, best-so-far by
evaluations.

Every text that enters a drawing is escaped by `Markup.format`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

_BAR_WIDTH, _BAR_HEIGHT, _BAR_MARGIN = 180, 22, 6
_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 12, 40
# Okabe and Ito's palette for all kinds of colour vision, without its yellow; dashes tell repeats apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_GRID_LINE = Markup(
    '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>'
)
_DASHES = ("none", "7 3", "2 3")


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


def convergence_chart(searches: Sequence[Mapping[str, Any]], *, scale: float, unit: str) -> Markup:
    """Return best-so-far against evaluations for searches of {entry, points: [(evaluations, best)]}.

    Costs are divided by `scale`, whose name is `unit`. Searches without a point are left out; none at all: "".
    """
    drawn = [search for search in searches if search["points"]]
    if not drawn:
        return Markup("")
    x_ticks = _ticks(0.0, max(x for search in drawn for x, _ in search["points"]))
    values = [y / scale for search in drawn for _, y in search["points"]]
    y_ticks = _ticks(min(values), max(values))

    def across(x: float) -> float:
        return round(_LEFT + (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(y: float) -> float:
        return round(_TOP + (y_ticks[-1] - y) / (y_ticks[-1] - y_ticks[0]) * (_HEIGHT - _TOP - _BOTTOM), 1)

    floor = _HEIGHT - _BOTTOM
    grid = [(_LEFT, _WIDTH - _RIGHT, down(tick), _LEFT - 8, down(tick) + 4, f"{tick:,.6g}") for tick in y_ticks]
    counts = [(across(tick), floor + 18, f"{tick:,.0f}") for tick in x_ticks]
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="best cost by evaluations">').format(
            _WIDTH, _HEIGHT
        ),
        *(_GRID_LINE.format(*place) for place in grid),
        *(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(*place) for place in counts),
        Markup('<text x="{}" y="{}" text-anchor="middle">evaluations</text><text x="0" y="{}">{}</text>').format(
            (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, _HEIGHT - 4, unit
        ),
    ]
    for number, search in enumerate(drawn):
        steps = _staircase([(across(x), down(y / scale)) for x, y in search["points"]])
        parts.append(
            Markup('<polyline points="{}" fill="none" stroke="{}" stroke-dasharray="{}" stroke-width="2"/>').format(
                steps, *stroke(number)
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def stroke(number: int) -> tuple[str, str]:
    """Return the colour and the dash pattern of the search drawn as the `number`-th."""
    return _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]


def _staircase(points: Sequence[tuple[float, float]]) -> str:
    """Return a polyline that holds each value until the next: best-so-far changes in steps."""
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return " ".join(f"{x},{y}" for x, y in corners)


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers whose first and last enclose [low, high]."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [count * step for count in range(first, max(last, first + 1) + 1)]
