"""What people read on the terminal: the leaderboard and the plan as tables.

All text from an experiment file is printed as it is, never read as markup.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from orchestrator.simulate import Simulation

_WAVE_MEANING = {
    "search": "search controllers on train scenarios",
    "choose": "choose on validation scenarios",
    "score": "score once on test scenarios",
}


def make_console(*, stderr: bool) -> Console:
    """Return a console on stdout or stderr that wraps nothing when it is not a terminal."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=160)
    return console


def leaderboard_table(entries: Sequence[Mapping[str, Any]]) -> Table | Text:
    """Return the leaderboard as a table, from the entries of its JSON form.

    Cost and difference in millions of EUR, carbon in thousands of tonnes of CO2e, compliance in per cent.
    """
    if not entries:
        return Text("no Entry has been scored yet; repeat the command `circularbench run` to go on")
    table = Table(title="Leaderboard", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("entry", overflow="fold")
    for heading in (
        "cost\nM EUR",
        "difference to reference\nM EUR [interval]",
        "carbon\nkt CO2e",
        "circularity\nMCI",
        "compliance\n%",
        "n",
    ):
        table.add_column(heading, justify="right")
    against_random = any("random_diff" in entry for entry in entries)
    if against_random:
        table.add_column("difference to random\nM EUR [interval]", justify="right")
    for entry in entries:
        table.add_row(
            _number(entry["rank"], 1, 0),
            Text(str(entry["name"])),
            _number(entry["cost"], 1e-6, 3),
            _difference(entry),
            _number(entry["carbon"], 1e-3, 2),
            _number(entry["circularity"], 1, 4),
            _number(entry["compliance"], 100, 1),
            _number(entry["n"], 1, 0),
            *([_difference(entry, "random_diff")] if against_random else []),
        )
    return table


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


def _difference(entry: Mapping[str, Any], name: str = "cost_diff") -> str:
    """Format a paired difference with its limits."""
    if entry.get(name) is None:
        return "-"
    low, high = (_number(entry[f"{name}_{limit}"], 1e-6, 3, sign=True) for limit in ("lo", "hi"))
    return f"{_number(entry[name], 1e-6, 3, sign=True)} [{low}, {high}]"


def _number(value: float | None, factor: float, digits: int, *, sign: bool = False) -> str:
    """Format a value in its display unit; an undefined one is a dash, never a zero."""
    if value is None:
        return "-"
    return f"{value * factor:{'+' if sign else ''},.{digits}f}"
