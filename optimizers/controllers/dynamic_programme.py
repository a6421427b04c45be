"""dynamic_programme: the exact optimum of one small stationary system, by its own table of decisions.

One product, one plant that serves one market which waits, one remanufacturer with returns of its own, whole units, no
lead times, no law: the hybrid system of docs/known_answers.md. Its state each month is serviceable net stock and
cores, this month's returns among them, as they lie there when the engine's remanufacturer decides. It acts through the
targets S, M and U of the month, so the suite reviews every month. Anything else is refused by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.controllers.hybrid_mdp import HybridProblem, Solution, solve
from optimizers.controllers.parameters import no_parameters
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, S, U
from sim_core.engine.situation import situation_of
from sim_core.errors import ModelError
from sim_core.exogenous import Process
from sim_core.network import LaneGroup, NodeKind
from sim_core.suite import WITHOUT_LAW

KIND = "dynamic_programme"
_ONE_EACH = (NodeKind.PLANT, NodeKind.MARKET, NodeKind.REMANUFACTURER)
_MOST_ROOM = 200  # cores; the table holds room x (demand + room) states


class DynamicProgramme:
    """B equal controllers of a suite that has an exact solution."""

    def __init__(self, layout: Layout, items: Sequence[Mapping[str, Any]]) -> None:
        """Solve the suite. Raises ModelError for parameters, and for a suite that this can't solve exactly."""
        for item in items:
            no_parameters(KIND, item)
        self._layout = layout
        self._problem = hybrid_problem(layout)
        self._solution = solve(self._problem)
        plant, shop = layout.targets[NodeKind.PLANT][0], layout.targets[NodeKind.REMANUFACTURER][0]
        self._nodes = plant, shop
        self._most = tuple(layout.absolute[row, node] for row, node in ((S, plant), (M, shop), (U, shop)))
        self._levels = self._as_targets(total=layout.rates.total_u[0] > 0.0)

    @property
    def solution(self) -> Solution:
        """The least mean cost a period and the decisions."""
        return self._solution

    def decide(self, observation: Observation) -> Control:
        """Set the month's S, M and U so that the engine does what the table says. Raises ModelError without a state."""
        situation = situation_of(observation, KIND)
        state, problem = situation.state, self._problem
        stock = situation.position()[0, 0]
        returns = situation.table.at(situation.t).remanufacturer_returns[0, 0]
        cores = np.minimum(problem.room, np.rint((state.cores[0, 0].sum(axis=0) + returns)[situation.cells]))
        row = np.clip(np.rint(stock), problem.low, problem.high).astype(np.intp) - problem.low
        levels = self._levels[:, row, cores.astype(np.intp)]
        plant, shop = self._nodes
        targets = np.zeros((3, len(self._layout.network.nodes), len(stock)))
        targets[S, plant], targets[M, shop], targets[U, shop] = levels
        return Control(targets=targets, levers=np.zeros((len(self._layout.suite.levers), len(stock))))

    def _as_targets(self, *, total: bool) -> NDArray[np.float64]:
        """Return the table as S, M and U in [0, 1], (3, n, room + 1). Raises ModelError where targets can't say it."""
        made = self._solution.decisions
        after = self._problem.levels[:, None] + made.remake
        up_to = np.stack([after + made.make, np.maximum(0, after), made.keep + total * after])
        cores = np.arange(self._problem.room + 1)
        possible = np.minimum(cores, np.maximum(0, up_to[1] - self._problem.levels[:, None]))
        if (possible != made.remake).any() or (up_to[0] < 0).any():
            raise ModelError(
                f"controller {KIND}: the optimum lets customers wait while there are cores, which targets can't say; "
                "raise the shortage_cost of the market"
            )
        most = np.array(self._most)[:, None, None]
        wanted = up_to.reshape(3, -1).max(axis=1)
        levels = np.maximum(0.0, up_to / most)
        if (levels > 1.0).any():
            raise ModelError(
                f"controller {KIND}: its levels of S, M and U go up to {wanted.tolist()}, max_target only to "
                f"{list(self._most)}: raise max_target"
            )
        return levels


def hybrid_problem(layout: Layout) -> HybridProblem:
    """Read the decision process off a suite. Raises ModelError naming all that keeps it from being solved exactly."""
    wrong = [text for text, holds in _network_rules(layout) if not holds]
    if not wrong:  # then there is one node of each kind to read
        wrong = [text for text, holds in _cost_rules(layout) if not holds]
    if wrong:
        raise ModelError(f"controller {KIND} can't solve this suite exactly: {'; '.join(wrong)}")
    demand, returns = _processes(layout)
    rates, lanes = layout.rates, layout.lanes
    return HybridProblem(
        demand=_chances(demand),
        returns=_chances(returns),
        make=float(rates.production_cost[0, 0]),
        remake=float(rates.reman_cost[0, 0] + lanes[LaneGroup.REMAN_GOODS].cost[0, 0]),
        dispose=float(layout.products.mass[0] * layout.common("disposal.cost")),
        hold_goods=float(rates.holding[NodeKind.PLANT][0]),
        hold_cores=float(rates.holding[NodeKind.REMANUFACTURER][0]),
        shortage=float(rates.shortage[0]),
        room=int(rates.storage[0, 0]),
    )


def _network_rules(layout: Layout) -> Iterator[tuple[str, bool]]:
    """Yield what a suite must be before its numbers can be read."""
    suite = layout.suite
    families = {family for split in suite.splits.values() for family in split.families}
    yield "it takes one product without materials", len(layout.products.archetypes) == 1 and not layout.facts.materials
    for kind, count in layout.count.items():
        want = int(kind in _ONE_EACH)
        yield f"it takes {want or 'no'} {kind}, there are {count}", count == want
    yield "it takes no law", families <= {WITHOUT_LAW} and not suite.instruments
    yield f"reviews must come every month: epoch_months 1, not {suite.epoch_months}", suite.epoch_months == 1
    yield f"costs a period are not discounted: discount_rate 0, not {suite.discount_rate:g}", not suite.discount_rate


def _cost_rules(layout: Layout) -> Iterator[tuple[str, bool]]:
    """Yield what the nodes, lanes and parameters must be."""
    rates, room = layout.rates, layout.rates.storage[0, 0]
    lanes = [layout.lanes[group] for group in (LaneGroup.REMAN_GOODS, LaneGroup.SALES)]
    yield "lanes must have no lead time", not any(lane.lead.any() for lane in lanes)
    yield "lanes must have no capacity", not any(lane.limited for lane in lanes)
    yield (
        f"the remanufacturer must have storage for a whole number of up to {_MOST_ROOM} cores",
        room <= _MOST_ROOM and float(room).is_integer(),
    )
    yield "the market must wait at a shortage_cost", bool(rates.backlog[0]) and not np.isnan(rates.shortage[0])
    for name, process in zip(("demand", "returns"), _processes(layout), strict=True):
        yield f"{name} must be a pmf of whole units, or constant", _is_whole(process)
    for letter, kind in (("S", NodeKind.PLANT), ("M", NodeKind.REMANUFACTURER), ("U", NodeKind.REMANUFACTURER)):
        known = not np.isnan(layout.absolute["SMU".index(letter), layout.targets[kind][0]])
        yield f"the {kind} must state max_target {letter}", known
    least = 4.0 * _MOST_ROOM
    capacity = min(rates.production[0, 0], rates.reman[0, 0])
    yield f"plant and remanufacturer must have a capacity of at least {least:g}", capacity >= least
    yield "units must be as good as new", bool((layout.products.health == 1.0).all() and layout.products.again[0, 0])
    for name, value in (("reman.yield", 1.0), ("holding.rate", 0.0), ("disruption.rate", 0.0)):
        yield f"{name} must be {value:g}", layout.common(name) == value


def _processes(layout: Layout) -> tuple[Process | None, Process | None]:
    nodes = layout.network.nodes
    market, shop = layout.targets[NodeKind.MARKET][0], layout.targets[NodeKind.REMANUFACTURER][0]
    return nodes[market].demand, nodes[shop].returns


def _is_whole(process: Process | None) -> bool:
    if process is None or process.kind not in ("pmf", "constant"):
        return False
    values = process.values or (process.mean,)
    return all(float(value).is_integer() and value <= _MOST_ROOM for value in values)


def _chances(process: Process | None) -> tuple[float, ...]:
    """Return the probabilities of 0, 1, 2, ... units a period."""
    if process is None:
        return (1.0,)
    values, chances = (process.values, process.probabilities) if process.values else ((process.mean,), (1.0,))
    found = np.zeros(int(max(values)) + 1)
    np.add.at(found, np.array(values, dtype=np.intp), chances)
    return tuple(found.tolist())
