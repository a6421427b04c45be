"""Resilience: how much service shocks cost, how deep and how long, against a paired run without them.

Source: Bruneau et al., "A Framework to Quantitatively Assess and Enhance the Seismic Resilience of Communities",
Earthquake Spectra 19 (2003) 733-752: the area between full and actual performance, from the shock to recovery.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.rollout import Simulation
from sim_core.engine.trace import Trace
from sim_core.generate.paths import Paths
from sim_core.scenario import Scenario, calm

Vector = NDArray[np.float64]
RECOVERED = 0.95  # of the calm performance: above it a system counts as recovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Resilience:
    """What shocks cost, (B,) each; all 0 where performance never falls.

    loss: lost-performance area, in time units of full performance. depth: largest relative drop, in [0, 1].
    time_to_recover: longest time below RECOVERED of the calm performance, in time units; one that lasts to the end
    counts up to there, which is a lower limit.
    """

    loss: Vector
    depth: Vector
    time_to_recover: Vector


def resilience(performance: Vector, calm_performance: Vector, step: float = 1.0) -> Resilience:
    """Compare a performance with that of the calm twin, both (T, B), means over steps of `step` time units.

    With Q = performance / calm performance (1 where the calm one is 0): loss = integral of max(0, 1 - Q), depth =
    max(0, 1 - Q) at its largest. A recovery begins with the first step below RECOVERED and ends where Q, a line between
    the middles of steps, is back at it.
    """
    ones = np.ones_like(performance)
    relative = np.divide(performance, calm_performance, out=ones, where=calm_performance > 0.0)
    lost = np.maximum(0.0, 1.0 - relative)
    return Resilience(
        loss=step * lost.sum(axis=0),
        depth=lost.max(axis=0, initial=0.0),
        time_to_recover=step * _longest_below(relative, RECOVERED),
    )


def _longest_below(values: Vector, level: float) -> Vector:
    """Return the longest stretch in which values (T, B) lie below a level, in steps, (B,)."""
    longest, began = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    below, last = np.zeros(values.shape[1], dtype=bool), values[:1].sum(axis=0)
    for t, now in enumerate(values):
        back = below & (now >= level)
        part = np.divide(level - last, now - last, out=np.zeros_like(longest), where=back)
        longest = np.where(back, np.maximum(longest, t - 0.5 + part - began), longest)
        began = np.where((now < level) & ~below, float(t), began)
        below, last = now < level, now
    return np.where(below, np.maximum(longest, len(values) - began), longest)


def pair_metrics(
    layout: Layout,
    scenarios: Sequence[Scenario],
    rows: NDArray[np.intp],
    controller: Callable[[], Controller],
    labels: list[str],
) -> dict[str, Vector]:
    """Simulate B cells in their scenarios and in the calm twins, with the NumPy engine, and return what shocks cost.

    Arguments as of Simulation; controller: makes one for each of the two runs. Performance is the service of a scored
    month, units x health served over demand. resilience_loss: months of full service. resilience_depth: share.
    time_to_recover: months; NaN where the scenario has no shock to recover from. Errors as of Simulation.
    """
    twins = [calm(layout, one) for one in scenarios]
    shocked = np.array([differ(layout, one, twin) for one, twin in zip(scenarios, twins, strict=True)])[rows]
    service, usual = (_service(layout, of, rows, controller(), labels) for of in (scenarios, twins))
    found = resilience(service, usual)
    return {
        "resilience_loss": found.loss,
        "resilience_depth": found.depth,
        "time_to_recover": np.where(shocked, found.time_to_recover, np.nan),
    }


def differ(layout: Layout, one: Scenario, twin: Scenario) -> bool:
    """Return whether any path of a scenario differs from its twin's up to the end of scoring."""
    end = layout.suite.warm_up + layout.suite.scored
    return any(
        not np.array_equal(getattr(one.paths, path.name)[:end], getattr(twin.paths, path.name)[:end])
        for path in fields(Paths)
    )


def _service(
    layout: Layout, scenarios: Sequence[Scenario], rows: NDArray[np.intp], controller: Controller, labels: list[str]
) -> Vector:
    """Return the service of the scored months, (scored, B); 1 in a month without demand."""
    run = Simulation(layout, scenarios, rows, controller, labels, trace=True)
    run.advance()
    suite = layout.suite
    scored = slice(suite.warm_up, suite.warm_up + suite.scored)
    series = run.trace or Trace(suite.periods, len(rows))  # asked for, so it is there
    served, demand = series["served"][scored], series["demand"][scored]
    return np.divide(served, demand, out=np.ones_like(served), where=demand > 0.0)
