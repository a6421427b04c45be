"""Planning: the linear programme of the coming months from a situation.

The programme is the bound's (docs/bound.md) over a stretch of months, closer to what targets and levers can do in two
things. `design_for_disassembly` is left out and stays off: the bound has it almost free, and would always take it.
Virgin feed comes by the lanes' usual shares, or by those with `second_source` on, or a mix of the two, in months in
which all lanes and suppliers are open: free to choose its lanes, the programme would trade prices month by month.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_core.bound import build
from sim_core.bound.levers import has
from sim_core.bound.model import Model
from sim_core.bound.outlook import Outlook, of_situation
from sim_core.bound.solver import problem_of, solve
from sim_core.engine.layout import Layout
from sim_core.engine.situation import Situation
from sim_core.network import LaneGroup

Array = NDArray[np.float64]
LEFT_OUT = "design_for_disassembly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A solved programme of one cell. values: of its columns. model: what the columns mean."""

    model: Model
    values: Array

    @property
    def months(self) -> int:
        """The months of the coming epoch that the plan covers."""
        return min(self.model.layout.suite.epoch_months, self.model.periods)

    def flow(self, name: str) -> Array:
        """Return a decision over the coming epoch, (months, ...), 0 where the programme has no such decision."""
        columns = self.model.columns.get(name)
        return np.zeros((self.months, 1)) if columns is None else np.maximum(0.0, self.values[columns[: self.months]])

    def share(self, part: str, whole: str) -> float:
        """Return part / whole over the coming epoch, 0 where whole is nothing."""
        total = float(self.flow(whole).sum())
        return float(self.flow(part).sum()) / total if total > 0.0 else 0.0


def planned_layout(layout: Layout) -> Layout:
    """Return the layout that plans are made with: without the lever that is left out."""
    levers = tuple(lever for lever in layout.suite.levers if lever != LEFT_OUT)
    return replace(layout, suite=replace(layout.suite, levers=levers))


def outlook_of(situation: Situation, cell: int, terms: Mapping[str, Array], last: int) -> Outlook:
    """Return the outlook of one engine cell, which runs on as if all months counted until the scored ones end."""
    own = replace(situation, layout=planned_layout(situation.layout))
    return of_situation(own, cell, terms, last, runs_on=True)


def plan_of(outlook: Outlook) -> Plan:
    """Solve the programme of an outlook. Raises ModelError where it has no solution."""
    built = build(outlook)
    source(built.model)
    found = solve(problem_of(built.model.program), unit=built.unit)
    return Plan(model=built.model, values=found.values)


def source(model: Model) -> None:
    """Hold virgin feed to the lanes' shares with the lever second_source off, on, or between."""
    lanes, program = model.layout.lanes[LaneGroup.VIRGIN], model.program
    term = model.outlook.term
    whole = (term("virgin_open") > 0.0).all(axis=1) & (term("supplier_available") == 1.0).all(axis=1)
    months = np.flatnonzero(whole)
    if not lanes.count or not len(months):  # no lane, or none that is as usual in any month: shares hold nothing
        return
    usual, second = program.columns(2, len(months), model.layout.plants, model.materials)
    model.columns |= {"first_source": usual, "second_source": second}
    rows = program.rows(len(months), lanes.count, model.materials)
    for name in ("virgin", "virgin_fast"):
        program.put(rows, model.columns[name][months], 1.0)
    for columns, lever in ((usual, 0.0), (second, 1.0)):
        share = lane_shares(model.layout, term("import_legal")[months], lever * has(model, "second_source"))
        program.put(rows, columns[:, lanes.receiver], -share)


def lane_shares(layout: Layout, legal: Array, lever: float) -> Array:
    """Return each virgin lane's share of its plant's orders, (T, E, M), as sim_core.engine.orders has it.

    legal: (T, M) 1.0 where imports are. lever: of second_source.
    """
    lanes = layout.lanes[LaneGroup.VIRGIN]
    near = 1.0 - lanes.overseas
    sites = (lanes.to_receiver @ near)[lanes.receiver]
    moved = lever * layout.common("second_source.share") * (sites > 0.0)
    share = lanes.share * (1.0 - moved) + near / np.maximum(1.0, sites) * moved
    open_to = share[:, None] * (1.0 - lanes.overseas[:, None] * (1.0 - legal[:, None]))
    total = np.stack([lanes.to_receiver @ month for month in open_to])[:, lanes.receiver]
    return np.divide(open_to, total, out=np.zeros_like(open_to), where=total > 0.0)
