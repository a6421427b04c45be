"""What people read on the terminal: the leaderboard and the plan as tables.

All text from an experiment file is printed as it is, never read as markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from orchestrator.simulate import Simulation

_MILLIONS = 1e5  # EUR: costs below are shown in EUR
_WAVE_MEANING = {
    "search": "search controllers on train scenarios",
    "choose": "choose on validation scenarios",
    "score": "score once on test scenarios",
    "bound": "bound the cost of test scenarios",
    "pair": "run test scenarios without shocks, and without recovery",
}


def make_console(*, stderr: bool) -> Console:
    """Return a console on stdout or stderr that wraps nothing when it is not a terminal."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=200)
    return console


def leaderboard_table(entries: Sequence[Mapping[str, Any]]) -> Table | Text:
    """Return the leaderboard as a table, from the entries of its JSON form.

    Score with its interval where scenarios carry bounds. Cost and difference in millions of EUR (small systems: EUR),
    carbon in thousands of tonnes of CO2e, compliance in per cent. A star marks what no Entry beats in cost, carbon and
    circularity together.
    """
    if not entries:
        return Text("no Entry has been scored yet; repeat the command `circularbench run` to go on")
    table = Table(title="Leaderboard", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("entry", overflow="fold")
    scale, euro = _money(entry["cost"] for entry in entries)
    scored = any(entry.get("score") is not None or entry.get("compliant") is not None for entry in entries)
    for heading in (
        *(("score\n[interval]", "complies\n(avoidable)") if scored else ()),
        f"cost\n{euro}",
        f"difference to reference\n{euro} [interval]",
        "carbon\nkt CO2e",
        "circularity\nMCI",
        "compliance\n%",
        "n",
    ):
        table.add_column(heading, justify="right")
    timed = any(entry.get("cpu_s") is not None for entry in entries)
    if timed:
        table.add_column("CPU\ns", justify="right")
    against_random = any("random_diff" in entry for entry in entries)
    if against_random:
        table.add_column(f"difference to random\n{euro} [interval]", justify="right")
    for entry in entries:
        table.add_row(
            _number(entry["rank"], 1, 0),
            Text(f"{entry['name']} *" if entry.get("pareto") else str(entry["name"])),
            *((_score(entry), _verdict(entry)) if scored else ()),
            _number(entry["cost"], scale, 3),
            _difference(entry, "cost_diff", scale),
            _number(entry["carbon"], 1e-3, 2),
            _number(entry["circularity"], 1, 4),
            _number(entry["compliance"], 100, 1),
            _number(entry["n"], 1, 0),
            *([_number(entry.get("cpu_s"), 1, 1)] if timed else []),
            *([_difference(entry, "random_diff", scale)] if against_random else []),
        )
    return table


def ladder_table(board: Mapping[str, Any]) -> Table | None:
    """Return the foresight ladder between the reference and the bound; None with fewer than two steps.

    The bound's and the reference's costs are means over the scored scenarios.
    """
    steps = board.get("ladder") or []
    if len(steps) < 2:
        return None
    scale, euro = _money(step["cost"] for step in steps)
    table = Table(title="Foresight ladder", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("view")
    table.add_column("entry", overflow="fold")
    for heading in ("score", f"cost\n{euro}", f"gain on the step below\n{euro} [interval]"):
        table.add_column(heading, justify="right")
    ends = board.get("bound_cost") is not None
    if ends:
        table.add_row("", "(reference)", _number(0.0, 1, 3), _number(board["reference_cost"], scale, 3), "")
    for step in steps:
        score, cost = _number(step["score"], 1, 3), _number(step["cost"], scale, 3)
        table.add_row(Text(step["view"]), Text(step["entry"]), score, cost, _difference(step, "gain", scale))
    if ends:
        table.add_row("", "(bound)", _number(1.0, 1, 3), _number(board["bound_cost"], scale, 3), "")
    return table


def score_notes(board: Mapping[str, Any]) -> list[str]:
    """Return what must be known to read the scores: on how many scenarios they rest, and which are left out."""
    if not board["entries"] or "bounded" not in board:
        return []
    unbounded, flat = board["unbounded"], board["no_headroom"]
    if not board["bounded"] and not unbounded:
        return ["no scenario carries a bound: set bound.scenarios in the experiment to get scores"]
    notes = [f"scores rest on {board['scored']:,} of {board['bounded']:,} bounded scenarios"]
    if flat:
        notes.append(f"no headroom: on {len(flat):,} the reference is within 1 % of the bound, so they are left out")
    if unbounded:
        notes.append(f"unbounded: the bound of {', '.join(unbounded)} could not be computed")
    if all(entry["score"] is None for entry in board["entries"]):
        notes.append("no score: a family has no scenario that could be scored, or every Entry failed somewhere")
    return notes


def simulation_table(simulation: "Simulation") -> Table:
    """Return an Entry's simulation: its cost with interval, EUR a period, then the means of its metrics."""
    cost = simulation.cost
    limits = "" if cost.low is None or cost.high is None else f"  [{cost.low:,.6g}, {cost.high:,.6g}] 95 %"
    title = (
        f"entry {simulation.entry}: {cost.n:,} runs of {simulation.periods:,} scored periods "
        f"({simulation.simulated:,} runs simulated now)"
    )
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("metric")
    table.add_column("mean over runs", justify="right")
    table.add_row("mean cost, EUR a period", f"{cost.estimate:,.6g}{limits}")
    for name, value in simulation.metrics.items():
        table.add_row(name, "-" if value is None else f"{value:,.6g}")
    return table


def waves_table(plan: Mapping[str, Any]) -> Table:
    """Return the plan's waves: how many runs, how many of them are done, which numbers are upper bounds."""
    table = Table(title="Plan", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("wave")
    table.add_column("what it does")
    table.add_column("runs", justify="right")
    table.add_column("done", justify="right")
    for wave in plan["waves"]:
        bound = "<= " if wave["upper_bound"] else ""
        name = str(wave["name"])
        table.add_row(name, _WAVE_MEANING.get(name, ""), f"{bound}{wave['cells']:,}", f"{wave['done']:,}")
    return table


def instruments_table(plan: Mapping[str, Any]) -> Table | Text:
    """Return the plan's policy instruments: which bind on this network, and how well each is sourced."""
    if not plan["instruments"]:
        return Text("no policy instrument applies to this experiment")
    table = Table(title="Policy instruments", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("id", "instrument", "binds", "source", "verification"):
        table.add_column(heading, overflow="fold")
    for instrument in plan["instruments"]:
        binds = instrument.get("binds_in") or ("yes" if instrument["binds"] else "no")
        cells = [instrument["id"], instrument["name"], binds]
        table.add_row(*(Text(str(cell)) for cell in [*cells, instrument["source"], instrument["verification"]]))
    return table


def passport_table(passport: Mapping[str, Any]) -> Table:
    """Return a unit's passport, from its JSON form: carbon in kg of CO2e so far, quality in [0, 1]."""
    lives = f"{passport['lives']} {'life' if passport['lives'] == 1 else 'lives'}"
    head = f"unit {passport['unit']}: {passport['product']}, born {passport['born']}, {lives}, now {passport['state']}"
    table = Table(title=Text(f"{head}\n{passport['run']}"), box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("month", "event", "state", "place"):
        table.add_column(heading, overflow="fold")
    for heading in ("life", "quality", "carbon\nkg CO2e"):
        table.add_column(heading, justify="right")
    for event in passport["events"]:
        words = (Text(str(event[name])) for name in ("month", "event", "state", "place"))
        numbers = (_number(event[name], 1, digits) for name, digits in (("life", 0), ("quality", 3), ("carbon", 1)))
        table.add_row(*words, *numbers)
    return table


def _score(entry: Mapping[str, Any]) -> str:
    """Format a score with its limits."""
    if entry["score"] is None:
        return "-"
    value = _number(entry["score"], 1, 3)
    if entry["score_lo"] is None:
        return value
    return f"{value} [{_number(entry['score_lo'], 1, 3)}, {_number(entry['score_hi'], 1, 3)}]"


def _verdict(entry: Mapping[str, Any]) -> str:
    """Say whether an Entry complies, with the upper limit of what it could have avoided where it does not."""
    if entry["compliant"] is None:
        return "-"
    return "yes" if entry["compliant"] else f"no ({entry['avoidable_hi']:.1%})"


def _money(costs: Iterable[float | None]) -> tuple[float, str]:
    """Return the factor and name of the unit that shows costs in readable numbers."""
    most = max((abs(cost) for cost in costs if cost is not None), default=_MILLIONS)
    return (1e-6, "M EUR") if most >= _MILLIONS else (1.0, "EUR")


def _difference(entry: Mapping[str, Any], name: str, scale: float) -> str:
    """Format a paired difference with its limits."""
    if entry.get(name) is None:
        return "-"
    low, high = (_number(entry[f"{name}_{limit}"], scale, 3, sign=True) for limit in ("lo", "hi"))
    return f"{_number(entry[name], scale, 3, sign=True)} [{low}, {high}]"


def _number(value: float | None, factor: float, digits: int, *, sign: bool = False) -> str:
    """Format a value in its display unit; an undefined one is a dash, never a zero."""
    if value is None:
        return "-"
    return f"{value * factor:{'+' if sign else ''},.{digits}f}"
