"""Replay: a programme's solution acted out in the engine by flows, to see that both count the same.

Flows name no class and no origin of used units: stocks leave in proportion there, while the programme may choose. The
two agree exactly where each stock holds one class and one origin, and no lever is relaxed.
"""

from dataclasses import replace

import numpy as np

from sim_core.bound import levers
from sim_core.bound.model import Model
from sim_core.bound.origins import alike, apart
from sim_core.bound.outlook import Array
from sim_core.bound.production import feed_arrivals
from sim_core.bound.program import Index
from sim_core.control import Control, Observation
from sim_core.engine.flows import flow_index
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.settings import MOST_FLOW
from sim_core.scenario import Scenario

_BY_CLASS = ("collect", "inspect", "reuse", "remanufacture", "transfer", "goods", "purchase")


class FlowReplay:
    """A controller that acts by given flows, (periods, F), and levers, (periods, levers), month by month."""

    def __init__(self, layout: Layout, flows: Array, settings: Array, cells: int) -> None:
        self._shape = (3, len(layout.network.nodes), cells)
        self._flows, self._settings, self._cells = flows, settings, cells

    def decide(self, observation: Observation) -> Control:
        """Return the flows of the period, the same for all cells."""
        t = min(observation.period, len(self._flows) - 1)
        return Control(
            targets=np.zeros(self._shape),
            levers=np.repeat(self._settings[t][:, None], self._cells, axis=1),
            flows=np.repeat(self._flows[t][:, None], self._cells, axis=1),
        )


def replayed_cost(model: Model, scenario: Scenario, values: Array) -> float:
    """Return J of a solution's flows in the engine, EUR. model: of a whole scenario. values: of its columns."""
    layout = model.layout
    monthly = build_layout(replace(layout.suite, epoch_months=1))
    flows, settings = flows_of(model, values), settings_of(model, values)
    run = Simulation(
        monthly,
        [scenario],
        np.zeros(LANE_WIDTH, dtype=np.intp),
        FlowReplay(monthly, flows, settings, LANE_WIDTH),
        [scenario.id] * LANE_WIDTH,
    )
    run.advance()
    return float(run.ledger.objective()[0])


def flows_of(model: Model, values: Array) -> Array:
    """Return a solution as flows, (T, F), in the rows of sim_core.engine.flows."""
    layout, columns, outlook = model.layout, model.columns, model.outlook
    index = flow_index(layout)
    flows = np.zeros((outlook.periods, index.rows, 1))
    feed = _feed_by_origin(model, values) if "recycled" in columns else {}
    for name in index.blocks:
        if name not in columns:
            continue
        found = feed[name] if name in feed else values[columns[name]]
        if name in _BY_CLASS:
            found = found.sum(axis=3)
        elif name == "sell":
            found = (found * outlook.lives.health).sum(axis=3)
        elif name == "reman_surplus":
            found = _beside_excess(layout, columns, values, found.sum(axis=3))
        elif name in ("route", "landfill"):
            found = found.sum(axis=-1)
        index.block(flows, name)[..., 0] = found
    return np.clip(flows[..., 0], 0.0, MOST_FLOW)


def _feed_by_origin(model: Model, values: Array) -> dict[str, Array]:
    """Return recycled feed that is used and sold by its true origin, where the programme has some together."""
    outlook = model.outlook
    arrived, start = feed_arrivals(model).value(values)[..., 1:], outlook.start(outlook.state.feed)[..., 1:]
    together = values[model.columns["recycled"]], values[model.columns["sell_feed"]]
    used, sold = apart(together, start, arrived, alike(outlook.obligations, model.materials))
    return {"recycled": used, "sell_feed": sold}


def _beside_excess(layout: Layout, columns: dict[str, Index], values: Array, passed: Array) -> Array:
    """Return what is passed on of cores, (T, R, P), less what lies beyond storage and goes first anyway."""
    there = values[columns["cores"]].sum(axis=3) + values[columns["remanufacture"]].sum(axis=3) + passed
    return np.maximum(0.0, passed - np.maximum(0.0, there - layout.rates.storage))


def settings_of(model: Model, values: Array) -> Array:
    """Return the levers of a solution, (T, levers): investments at reviews, others as shares of what they act on."""
    suite, columns, outlook = model.layout.suite, model.columns, model.outlook
    settings = np.zeros((outlook.periods, len(suite.levers)))
    when = np.arange(-outlook.first % suite.epoch_months, outlook.periods, suite.epoch_months)
    for lever in levers.INVESTMENTS.values():
        if lever in columns:
            settings[when, suite.levers.index(lever)] = values[columns[lever]]
    for lever, whole in (("buy_back", "out"), ("premium_inspection", "inspect")):
        if lever in columns:
            part, total = (values[columns[name]].sum(axis=(1, 2, 3)) for name in (lever, whole))
            share = np.divide(part, total, out=np.zeros_like(part), where=total > 0.0)
            settings[:, suite.levers.index(lever)] = np.clip(share, 0.0, 1.0)
    if "design_for_disassembly" in columns:
        chosen = values[columns["design_for_disassembly"]]
        review = np.cumsum(np.isin(np.arange(outlook.periods), when)) - 1
        settings[:, suite.levers.index("design_for_disassembly")] = np.where(review >= 0, chosen[review], 0.0)
    return np.clip(settings, 0.0, 1.0)
