"""Pictures of single scenarios: the law that applies, what was announced and adopted when, and two prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim_core.engine.layout import Layout
from sim_core.generate.events import Event
from sim_core.generate.recipe import law_of
from sim_core.generate.tiers import horizon
from sim_core.policy.arithmetic import Steps, value_on
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.revisions import IN_MONTHS
from sim_core.policy.views import realised
from sim_core.scenario import Scenario
from sim_core.units import day, month_starts, parse_month

# Okabe and Ito's palette, which colour-blind readers can tell apart.
_LAW, _BEFORE, _ANNOUNCED, _ADOPTED = "#0072B2", "#767676", "#E69F00", "#D55E00"
_CARBON, _METAL, _UNSCORED = "#009E73", "#CC79A7", "#EDEDED"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 9.0,
    "svg.hashsalt": "circularbench",  # ids in the SVG are random otherwise
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_DPI = 100
_WIDTH = 12.0  # inches, as all lengths here: 1,200 pixels
_LEFT, _RIGHT = 0.95, 8.1  # where the time axis begins and ends; what was revised is told to its right
_HEAD, _FOOT, _GAP = 0.85, 0.4, 0.42
_STAIR, _ROW, _PRICES = 0.62, 0.2, 1.3  # heights of a staircase, of each event above it, and of the prices
_MOST_STRIPS, _LEAST_STRIPS = 7, 3
_LONGEST_NAME = 92


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """An instrument as it is drawn. first: its staircase without the scenario's revisions."""

    instrument: PolicyInstrument
    first: Steps
    events: tuple[Event, ...]

    @property
    def height(self) -> float:
        return _STAIR + _ROW * len(self.events)


def draw_picture(layout: Layout, scenario: Scenario, title: str, stem: Path) -> tuple[Path, Path]:
    """Draw a scenario as stem.png and stem.svg and return their paths; equal scenarios give equal bytes."""
    strips = _strips(layout, scenario)
    height = _HEAD + sum(strip.height + _GAP for strip in strips) + _PRICES + _FOOT
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        _head(figure, height, title)
        top = height - _HEAD
        for strip in strips:
            _draw_strip(_axes(figure, height, top, strip.height, layout), layout, strip)
            top -= strip.height + _GAP
        _draw_prices(_axes(figure, height, top, _PRICES, layout), layout, scenario)
        paths = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    return paths


def told(event: Event) -> str:
    """Return an event in words."""
    if event.kind in IN_MONTHS:
        what = f"{event.kind} {round(event.amount)} months"
    elif event.kind in ("repeal", "freeze"):
        what = event.kind
    else:
        what = f"{event.kind} \N{MULTIPLICATION SIGN} {event.amount:.3g}"
    until = f" until {event.ends[:7]}" if event.ends else ""
    return f"{what}{until} ({event.announced} to {event.adopted})"


def _strips(layout: Layout, scenario: Scenario) -> list[_Strip]:
    """Return what to draw: the instruments that the scenario revises, then others that change on the way."""
    suite, recipe = layout.suite, scenario.recipe
    family = suite.family(recipe.family)
    stood = {key: realised(one) for key, one in law_of(family).items() if key not in family.proposed}
    begin, end = horizon(suite)
    revised: list[_Strip] = []
    others: list[_Strip] = []
    for one in scenario.instruments:
        events = tuple(event for event in recipe.events if one.id in event.targets and day(event.announced) < end)
        strip = _Strip(instrument=one, first=stood.get(one.id, () if events else realised(one)), events=events)
        if events:
            revised.append(strip)
        elif any(begin < first < end for first, _ in realised(one)):
            others.append(strip)
    return [*revised, *others[: max(0, _LEAST_STRIPS - len(revised))]][:_MOST_STRIPS]


def _axes(figure: Figure, whole: float, top: float, height: float, layout: Layout) -> Axes:
    """Return axes over the horizon, with what isn't scored shaded. whole: the figure's height; top: of the axes."""
    box = (_LEFT / _WIDTH, (top - height) / whole, (_RIGHT - _LEFT) / _WIDTH, height / whole)
    axes = figure.add_axes(box)
    suite = layout.suite
    starts = month_starts(parse_month(suite.start), suite.periods)
    for first, last in ((0, suite.warm_up), (suite.warm_up + suite.scored, suite.periods)):
        if last > first:
            axes.axvspan(_number(int(starts[first])), _number(int(starts[last])), color=_UNSCORED, zorder=0, lw=0)
    axes.set_xlim(_number(int(starts[0])), _number(int(starts[-1])))
    locator = AutoDateLocator(minticks=4, maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return axes


def _head(figure: Figure, whole: float, title: str) -> None:
    figure.text(0.2 / _WIDTH, 1.0 - 0.24 / whole, title, fontsize=12, fontweight="bold", va="center")
    marks = [
        Line2D([], [], color=_LAW, lw=2, label="law that applies"),
        Line2D([], [], color=_BEFORE, lw=1.2, ls="--", label="without the revisions"),
        Line2D([], [], color=_ANNOUNCED, marker="v", ls="", label="announced"),
        Line2D([], [], color=_ADOPTED, marker="o", ls="", label="adopted"),
        Patch(color=_UNSCORED, label="not scored"),
    ]
    figure.legend(
        handles=marks, loc="center left", bbox_to_anchor=(0.1 / _WIDTH, 1.0 - 0.5 / whole), ncols=5, frameon=False
    )


def _draw_strip(axes: Axes, layout: Layout, strip: _Strip) -> None:
    one = strip.instrument
    begin, end = horizon(layout.suite)
    levels = [
        _stairs(axes, strip.first, one.neutral, (begin, end), {"color": _BEFORE, "lw": 1.2, "ls": "--"}),
        _stairs(axes, realised(one), one.neutral, (begin, end), {"color": _LAW, "lw": 2.0}),
    ]
    top = max((float(np.nanmax(level)) for level in levels if np.isfinite(level).any()), default=1.0) or 1.0
    axes.set_ylim(-0.06 * top, 1.15 * top * strip.height / _STAIR)
    axes.set_yticks([0.0, top], ["off", "on"] if one.unit == "bool" else ["0", f"{top:.3g}"])
    axes.set_ylabel("" if one.unit == "bool" else one.unit, fontsize=8)
    axes.tick_params(labelbottom=False)
    name = f"{one.id}: {one.name or one.type}"
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
    axes.set_title(short, loc="left", fontsize=9.5, pad=3)
    for row, event in enumerate(strip.events):
        height = 1.0 - (row + 0.5) * _ROW / strip.height
        _draw_event(axes, event, height, (begin, end))


def _draw_event(axes: Axes, event: Event, height: float, span: tuple[int, int]) -> None:
    """Draw an event from its announcement to its adoption at a height of the axes, and tell it to their right."""
    days = {"v": (day(event.announced), _ANNOUNCED), "o": (day(event.adopted), _ADOPTED)}
    across = axes.get_xaxis_transform()
    first, last = (min(max(on, span[0]), span[1]) for on, _ in days.values())
    if first < last:
        axes.plot([_number(first), _number(last)], [height, height], transform=across, color=_ANNOUNCED, lw=1.2)
    for marker, (on, colour) in days.items():
        if span[0] <= on <= span[1]:
            axes.plot(
                [_number(on)], [height], transform=across, marker=marker, ms=6, color=colour, ls="", clip_on=False
            )
    axes.text(1.015, height, told(event), transform=axes.transAxes, va="center", fontsize=8.5)


def _stairs(
    axes: Axes, steps: Steps, neutral: float, span: tuple[int, int], style: Mapping[str, Any]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Draw a staircase and return its values; out of force it is 0, or a gap where 0 would be the strictest value."""
    begin, end = span
    days = np.array([begin, *(first for first, _ in steps if begin < first < end), end], dtype=np.int64)
    values = value_on(steps, days, neutral)
    values[~np.isfinite(values)] = np.nan
    axes.step([_number(int(one)) for one in days], values, where="post", **style)
    return values


def _draw_prices(axes: Axes, layout: Layout, scenario: Scenario) -> None:
    """Draw the carbon price, and the virgin price of the first material where there is one, on an axis of its own."""
    starts = month_starts(parse_month(layout.suite.start), layout.suite.periods)[:-1]
    months = [_number(int(one)) for one in starts]
    axes.set_title("Prices: carbon (left), virgin material (right)", loc="left", fontsize=9.5, pad=3)
    _draw_price(axes, months, scenario.paths.carbon_price, "carbon\nEUR/t", _CARBON)
    if layout.products.materials:
        right = axes.twinx()
        right.spines["right"].set_visible(True)
        name = layout.products.materials[0]
        _draw_price(right, months, scenario.paths.virgin_price[:, 0], f"{name}\nEUR/kg", _METAL)


def _draw_price(
    axes: Axes, months: Sequence[float], values: np.ndarray[Any, np.dtype[np.float64]], label: str, colour: str
) -> None:
    axes.plot(months, values, color=colour, lw=1.6)
    axes.set_ylim(0.0, 1.1 * float(values.max()) or 1.0)
    axes.set_ylabel(label, color=colour)
    axes.tick_params(axis="y", colors=colour)


def _number(ordinal: int) -> float:
    """Return matplotlib's number of a day."""
    return float(ordinal - date(1970, 1, 1).toordinal())
