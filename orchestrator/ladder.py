"""The foresight ladder: what a rolling-horizon controller gains by knowing more of the law and of the future.

Entries of the kind "mpc" differ in their view alone: myopic (the law in force), announced (what may be known today),
law (what the law will be), clairvoyant (demand and prices too). Each step is paired with the one below it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.entry_checks import VIEWS
from orchestrator.statistics import ScenarioBootstrap
from sim_core.control import ControllerRecord

CLIMBER = "mpc"  # the kind of controller whose views make the ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One view. cost: mean J, EUR. gain: paired difference in J to the step below; negative is better."""

    view: str
    entry: str
    cost: float | None
    score: float | None
    gain: float | None = None
    gain_lo: float | None = None
    gain_hi: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Climber:
    """An Entry as the ladder needs it: its J by scenario, over those that it completed."""

    entry: str
    controller: ControllerRecord
    cost: float | None
    score: float | None
    costs: Mapping[str, float]


def foresight_ladder(entries: Sequence[Climber], bootstrap: ScenarioBootstrap) -> tuple[Step, ...]:
    """Return the steps in the order of views. entries: in the order of rank; of several with one view the first."""
    views: dict[str, Climber] = {}
    for one in entries:
        if one.controller.kind == CLIMBER:
            views.setdefault(str(one.controller.parameters.get("view")), one)
    steps: list[Step] = []
    below: Climber | None = None
    for view in VIEWS:
        one = views.get(view)
        if one is None:
            continue
        gain = bootstrap.difference(one.costs, below.costs) if below else None
        steps.append(
            Step(
                view=view,
                entry=one.entry,
                cost=one.cost,
                score=one.score,
                gain=gain.estimate if gain else None,
                gain_lo=gain.low if gain else None,
                gain_hi=gain.high if gain else None,
            )
        )
        below = one
    return tuple(steps)
