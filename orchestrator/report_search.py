"""How the searches went, in the report: best-so-far with limits over seeds, as inline SVG and as a table.

Every text that enters the drawing is escaped by `Markup.format`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from orchestrator.report_numbers import DASH, limits, money

_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 12, 40
# Okabe and Ito's palette for all kinds of colour vision, without its yellow; dashes tell repeats apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_GRID_LINE = Markup(
    '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>'
)
_DASHES = ("none", "7 3", "2 3")


def convergence_chart(searches: Sequence[Mapping[str, Any]], *, scale: float, unit: str) -> Markup:
    """Return best-so-far against evaluations for searches of {entry, points: [(evaluations, best)]}.

    low, high: limits at these points, drawn as a band where they are given. Searches that all give `node_periods` and
    spend other numbers of them on an evaluation are drawn against them. Costs are divided by `scale`, whose name is
    `unit`. Searches without a point are left out; none at all: "".
    """
    drawn = [search for search in searches if search["points"]]
    if not drawn:
        return Markup("")
    axis, curves = _curves(drawn)
    x_ticks = _ticks(0.0, max(curve[-1][0] for curve in curves))
    values = [y / scale for search, curve in zip(drawn, curves, strict=True) for y in _heights(search, curve)]
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
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text><text x="0" y="{}">{}</text>').format(
            (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, axis, _HEIGHT - 4, unit
        ),
    ]
    for number, (search, curve) in enumerate(zip(drawn, curves, strict=True)):
        if search.get("low"):
            below, above = (
                _corners([(across(x), down(y / scale)) for (x, _), y in zip(curve, search[name], strict=True)])
                for name in ("low", "high")
            )
            shape = Markup('<polygon points="{}" fill="{}" fill-opacity="0.15"/>')
            parts.append(shape.format(_text([*below, *reversed(above)]), stroke(number)[0]))
    for number, curve in enumerate(curves):
        steps = _text(_corners([(across(x), down(y / scale)) for x, y in curve]))
        parts.append(
            Markup('<polyline points="{}" fill="none" stroke="{}" stroke-dasharray="{}" stroke-width="2"/>').format(
                steps, *stroke(number)
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def stroke(number: int) -> tuple[str, str]:
    """Return the colour and the dash pattern of the search drawn as the `number`-th."""
    return _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]


def search_rows(searches: Sequence[Mapping[str, Any]], scale: float) -> list[dict[str, Any]]:
    """Return the table beside the drawing: one row a search that has a point, with the stroke that it is drawn in."""
    drawn = [search for search in searches if search["points"]]
    return [_search_row(number, search, scale) for number, search in enumerate(drawn)]


def _search_row(number: int, search: Mapping[str, Any], scale: float) -> dict[str, Any]:
    colour, dash = stroke(number)
    evaluations, best = search["points"][-1]
    coverage, seeds, early = search.get("coverage"), search.get("seeds", 1), search.get("early", 0)
    node_periods = search.get("node_periods")
    return {
        "entry": search["entry"],
        "colour": colour,
        "dash": dash,
        "seeds": f"{seeds:,}",
        "best": money(best, scale),
        "limits": DASH if coverage is None else limits(search["low"][-1], search["high"][-1], scale),
        "coverage": DASH if coverage is None else f"{coverage:.1%}",
        "evaluations": f"{evaluations:,}",
        "node_periods": f"{node_periods[-1]:,}" if node_periods else DASH,
        "early": f"{early} of {seeds}" if early else "none",
    }


def _curves(drawn: Sequence[Mapping[str, Any]]) -> tuple[str, list[list[tuple[float, float]]]]:
    """Return the axis's name and the searches' points on it."""
    by_evaluations = [list(search["points"]) for search in drawn]
    costs = {
        search["node_periods"][-1] / search["points"][-1][0] if search.get("node_periods") else None for search in drawn
    }
    if None in costs or len(costs) == 1:
        return "evaluations", by_evaluations
    spent = [
        [(x, best) for x, (_, best) in zip(search["node_periods"], search["points"], strict=True)] for search in drawn
    ]
    return "node-periods", spent


def _heights(search: Mapping[str, Any], curve: Sequence[tuple[float, float]]) -> list[float]:
    return [*(y for _, y in curve), *(search.get("low") or ()), *(search.get("high") or ())]


def _corners(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of a line that holds each value until the next: best-so-far changes in steps."""
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _text(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in corners)


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers whose first and last enclose [low, high]."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [count * step for count in range(first, max(last, first + 1) + 1)]
