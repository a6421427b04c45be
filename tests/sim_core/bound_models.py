"""Models for the tests and the benchmark of the bound: random ones, those that replay exactly, a loop of batteries.

A replay is exact where each stock holds one class and one origin (no remanufacture, no reuse as it is, no scrap lane),
no order takes time to reach its supplier, no lever is relaxed, no law is flexible, and no month is simulated unscored
after the horizon.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim_core.bound import Built, build, of_scenario
from sim_core.bound.outlook import Outlook
from sim_core.bound.replay import replayed_cost
from sim_core.bound.solver import Solution, solve
from sim_core.control import LEVERS
from sim_core.engine.layout import Layout, build_layout
from sim_core.network import LaneGroup, Network, NodeKind, arrange
from sim_core.scenario import Scenario, build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from tests.sim_core.random_models import PERIODS, Case, Size, case

RELAXED_LEVERS = ("buy_back", "premium_inspection", "design_for_disassembly")
EXACT_LEVERS = tuple(lever for lever in LEVERS if lever not in RELAXED_LEVERS)
TOLERANCE = 1e-6  # relative
_AMPLE = 1e4  # units or kg: of a supplier without a capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A scenario's programme and its solution."""

    layout: Layout
    scenario: Scenario
    outlook: Outlook
    built: Built
    found: Solution

    def replay(self) -> float:
        """J of the solution's flows in the engine, EUR."""
        return replayed_cost(self.built.model, self.scenario, self.found.values)

    def error(self) -> float:
        """How far the engine's count of the solution is from the programme's, relative."""
        return abs(self.replay() - self.found.cost) / max(1.0, abs(self.found.cost))


def solved(layout: Layout, name: str, *, vertex: bool = False) -> Solved:
    """Solve the programme of a scenario. vertex: by simplex, to the last digit. Raises ModelError without solution."""
    scenario = build_scenario(layout, name)
    outlook = of_scenario(layout, scenario)
    built = build(outlook)
    found = solve(built.problem, unit=built.unit, simplex=vertex)
    return Solved(layout=layout, scenario=scenario, outlook=outlook, built=built, found=found)


def size_of(seed: int) -> Size:
    """A size drawn from a seed, as the strategy SIZES draws them."""
    draw = np.random.default_rng(seed + 10**6)
    nodes = {kind: int(draw.choice((1, 2) if kind is NodeKind.MARKET else (1, 2, 0))) for kind in NodeKind}
    return Size(nodes, int(draw.integers(1, 3)), int(draw.integers(0, 7)), seed)


def supplied(size: Size, **changes: Any) -> Case:
    """A random case whose suppliers have a capacity: without one, a price that rises can make hoarding pay for ever."""
    network = case(size, **changes).layout.network
    nodes = [replace(n, capacity=n.capacity or _AMPLE) if n.kind is NodeKind.SUPPLIER else n for n in network.nodes]
    return case(size, **{**changes, "network": replace(network, nodes=tuple(nodes))})


def exact(size: Size) -> Case | None:
    """A random case that replays exactly; None where tiers of warehouses share a supplier, which is relaxed."""
    size = replace(size, nodes={**size.nodes, NodeKind.REMANUFACTURER: 0})
    found = supplied(size, levers=EXACT_LEVERS)
    suite = found.layout.suite
    found = case(
        size,
        network=one_class(found.layout.network),
        instruments=tuple({k: v for k, v in one.items() if k != "flexibility"} for one in suite.instruments),
        levers=EXACT_LEVERS,
        run_out=0,
        scored=PERIODS - suite.warm_up,
    )
    tiers = found.layout.level.max(initial=0) > 0 and found.layout.lanes[LaneGroup.PURCHASE].count
    return None if tiers else found


def one_class(network: Network) -> Network:
    """A network without what gives a stock more than one class or origin, where orders arrive at once."""
    mixing = (LaneGroup.REUSE, LaneGroup.SCRAP, LaneGroup.REMAN_FEED, LaneGroup.REMAN_GOODS, LaneGroup.REJECTS)
    lanes = [replace(lane, information=0) for lane in network.lanes if lane.group not in mixing]
    if all(node.kind is not NodeKind.REMANUFACTURER for node in network.nodes):
        return arrange(list(network.nodes), lanes)
    kept = [i for i, node in enumerate(network.nodes) if node.kind is not NodeKind.REMANUFACTURER]
    place = {old: new for new, old in enumerate(kept)}
    moved = [replace(lane, sender=place[lane.sender], receiver=place[lane.receiver]) for lane in lanes]
    return arrange([network.nodes[i] for i in kept], moved)


def batteries(
    *instruments: Mapping[str, Any],
    template: str = "loop",
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
    lanes: Mapping[LaneGroup, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Layout:
    """Vehicle batteries that live some years, without remanufacture, over 24 scored months from 2032.

    nodes, lanes: fields of all nodes of a kind, and of all lanes of a group.
    """
    usual: dict[str, Any] = {
        "name": "batteries",
        "products": (ProductShare(archetype="ev_battery", overrides={"lifetime.scale": 0.2}),),
        "network": template,
        "seed": 7,
        "start": "2032-01",
        "warm_up": 3,
        "scored": 24,
        "run_out": 0,
        "splits": {"test": SplitDefinition(families=("none",), scenarios=1)},
        "shortfall_price": {"cobalt": 150.0, "nickel": 40.0, "lithium": 120.0},
        "epoch_months": 6,
        "levers": EXACT_LEVERS,
        "instruments": tuple(dict(one) for one in instruments),
    }
    suite = SuiteDefinition(**{**usual, **changes})
    whole = one_class(build_layout(suite).network)
    network = replace(
        whole,
        nodes=tuple(replace(node, **(nodes or {}).get(node.kind, {})) for node in whole.nodes),
        lanes=tuple(replace(lane, **(lanes or {}).get(lane.group, {})) for lane in whole.lanes),
    )
    return build_layout(replace(suite, network=network))
