"""Ours on a problem of this folder: `python -m benchmarks.peers.ours NAME`, for NAME.yaml.

Settings: the kernel in float64, balance checks on as always. A thousand candidates around the reference levels are
tried on the problem's 32 scenarios, as a search tries them: demand is drawn once a scenario, ahead, and the drawing
counts. So do starting the batch and adding up the objective; reading the file and compiling the kernel come before.
"""

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.stopwatch import answer, arguments, measure
from optimizers.controllers.fixed_base_stock import fixed_schedule
from orchestrator.plan import make_plan
from orchestrator.spec import load
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.ledger import Ledger
from sim_core.network import GOODS_POINTS
from sim_core.scenario import Scenario, build_scenario

CANDIDATES = {"kernel": 1024, "numpy": 16}  # a batch of the NumPy engine that is larger leaves the cache
SPREAD = 0.2  # candidates' levels lie this far around the reference
Rows = NDArray[np.intp]


class Levels:
    """Base-stock levels that stay as they are: (3, nodes, B)."""

    def __init__(self, targets: NDArray[np.float64], levers: int) -> None:
        self._control = Control(targets=targets, levers=np.zeros((levers, targets.shape[-1])))

    def decide(self, observation: Observation) -> Control:  # noqa: ARG002, part of the protocol
        return self._control


def simulate(engine: str, layout: Layout, scenarios: list[Scenario], rows: Rows, levels: Levels) -> Ledger:
    """Return the closed ledger of a batch. Raises ImportError where the engine isn't there."""
    labels = ["benchmark"] * len(rows)
    if engine == "kernel":
        from sim_core.kernel.simulation import KernelSimulation

        run = KernelSimulation(layout, scenarios, rows, levels, labels, dtype=np.float64)
    else:
        from sim_core.engine.rollout import Simulation

        run = Simulation(layout, scenarios, rows, levels, labels)
    run.advance()
    return run.ledger


def main() -> None:
    parser = arguments()
    parser.add_argument("name")
    parser.add_argument("--engine", choices=sorted(CANDIDATES), default="kernel")
    told = parser.parse_args()
    plan = make_plan(load(Path(__file__).with_name(f"{told.name}.yaml")))
    suite, layout = plan.suite, build_layout(plan.suite)
    names = suite.scenarios("test")
    reference = fixed_schedule(layout, plan.fixed["reference"].parameters).targets
    # The reference comes first: its cells say whether the problem is the peer's.
    factors = np.concatenate([[1.0], np.linspace(1.0 - SPREAD, 1.0 + SPREAD, CANDIDATES[told.engine] - 1)])
    rows = np.tile(np.arange(len(names)), len(factors))
    targets = reference[:, :, None] * np.repeat(factors, len(names))
    levels = Levels(targets, len(suite.levers))
    stocks = len(layout.network.of_kind(*GOODS_POINTS))
    costs, drawing = np.zeros(len(names)), [0.0]

    def work() -> float:
        start = time.process_time()
        scenarios = [build_scenario(layout, name) for name in names]
        drawing.append(time.process_time() - start)
        ledger = simulate(told.engine, layout, scenarios, rows, levels)
        costs[:] = ledger.objective()[: len(names)] / suite.scored
        return float(stocks * suite.periods * len(rows))

    work()
    answer(
        "circularbench",
        *measure(work, told.seconds),
        cost=float(costs.mean()),
        standard_error=float(costs.std(ddof=1) / np.sqrt(len(costs))),
        drawing_seconds=drawing[-1],
        cells=len(rows),
        engine=told.engine,
    )


if __name__ == "__main__":
    sys.exit(main())
