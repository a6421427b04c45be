"""What people read on the terminal: the leaderboard and the plan as tables.

All text from an experiment file is printed as it is, never read as markup.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
