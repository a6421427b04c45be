"""Levers as columns in [0, 1]: one for each review in the stretch. Set-ups are proportional."""

import numpy as np

from sim_core.bound.model import Model
from sim_core.bound.program import Index, Sum
from sim_core.engine.settings import annuity_factor
from sim_core.network import NodeKind

INVESTMENTS = {
    NodeKind.RECYCLER: "invest_recycler",
    NodeKind.REMANUFACTURER: "invest_remanufacturer",
    NodeKind.COLLECTOR: "invest_collector",
}


def has(model: Model, lever: str) -> bool:
    """Return whether the suite offers a lever."""
    return lever in model.layout.suite.levers


def reviews(model: Model) -> Index:
    """Return the periods of the stretch, counted from its start, in which controls are reviewed."""
    first, epoch = model.outlook.first, model.layout.suite.epoch_months
    return np.arange(-first % epoch, model.periods, epoch, dtype=np.intp)


def capacity(model: Model, kind: NodeKind) -> Sum:
    """Return the capacity steps of a kind that stand in each period, (T,), and charge the annuity of new ones.

    A step decided at a review is there after the time of building, for its life.
    """
    layout, lever = model.layout, INVESTMENTS[kind]
    steps = Sum(model.periods)
    steps.constant += model.outlook.added(kind)
    if layout.count[kind] and has(model, lever):
        when = reviews(model)
        chosen = model.program.columns(len(when), upper=1.0)
        model.columns[lever] = chosen
        build, life = int(layout.common("invest.build_months")), int(layout.common("invest.life_months"))
        for start, column in zip(when + build, chosen, strict=True):
            steps.add(steps.at[start : start + life], column, 1.0)
    capex = layout.value(f"invest.{kind}.capex") * layout.value(f"invest.{kind}.step")
    model.pay(steps, annuity_factor(layout) * float(capex.sum()))
    return steps


def site_step(model: Model, kind: NodeKind) -> np.ndarray:
    """Return the capacity that a step adds at each site of a kind, (P,)."""
    return model.layout.value(f"invest.{kind}.step")[:, 0] / max(1, model.layout.count[kind])


def ever_on(model: Model, lever: str) -> Index:
    """Return columns (T,): at most 1, and at most the sum of a lever's settings so far, unless it was on before.

    The settings are in model.columns[lever], (reviews,). A stretch that begins between reviews may have it on already.
    """
    when = reviews(model)
    chosen = model.program.columns(len(when), upper=1.0)
    model.columns[lever] = chosen
    share = model.program.columns(model.periods, upper=1.0)
    outlook = model.outlook
    if outlook.first % model.layout.suite.epoch_months or outlook.state.use.of_cell(outlook.cell).any_easy():
        return share
    rows = model.program.rows(model.periods, lower=-np.inf)
    model.program.put(rows, share, 1.0)
    for start, column in zip(when, chosen, strict=True):
        model.program.put(rows[start:], column, -1.0)
    return share
