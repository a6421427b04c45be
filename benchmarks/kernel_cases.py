"""What the kernel is measured on: networks, suites and controls, and how a rate is taken.

"simple": rings of plain loops, as many lanes as nodes whatever the size, one product of one material, four instruments
of the user's own. "ev24": the generated region with ten levers and the law of the catalogue.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim_core.control import LEVERS, Control, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.exogenous import Process
from sim_core.kernel.simulation import KernelSimulation
from sim_core.network import Lane, LaneGroup, Network, Node, NodeKind, arrange
from sim_core.scenario import Scenario, build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SEED = 20260101
DISTINCT = 4  # scenarios; cells take them in turn
SIMPLE_NODES, SIMPLE_PERIODS, SIMPLE_CELLS = 32, 240, 4096
EV_PERIODS, EV_CELLS = 252, 1024
_LOOP = (
    NodeKind.SUPPLIER, NodeKind.PLANT, NodeKind.MARKET, NodeKind.COLLECTOR, NodeKind.INSPECTION, NodeKind.RECYCLER,
)  # fmt: skip
LAW: tuple[dict[str, Any], ...] = (
    {"id": "CARBON-TAX", "type": "carbon_tax", "schedule": {"shape": "step", "from": "2027-01-01", "value": 50}},
    {
        "id": "LANDFILL-TAX", "type": "landfill_tax", "unit": "EUR/t",
        "schedule": {"shape": "staircase", "steps": [["2026-01-01", 40], ["2030-01-01", 80]]},
    },
    {
        "id": "RECYCLED-CONTENT", "type": "recycled_content_mandate", "scope": {"material": "steel"},
        "schedule": {"shape": "staircase", "steps": [["2028-01-01", 0.15], ["2032-01-01", 0.3]]},
        "penalty": {"value": 0.5, "unit": "EUR/kg"},
    },
    {
        "id": "EPR", "type": "epr_fee", "scope": {"material": "steel"}, "unit": "EUR/t",
        "schedule": {"shape": "step", "from": "2026-01-01", "value": 5},
    },
)  # fmt: skip


def loop_network(nodes: int) -> Network:
    """Return rings of loops with as many lanes as nodes, 6 at least; each loop's recycler feeds the next loop's plant.

    A loop is supplier, plant, market, collector, inspection, recycler; what is left over of `nodes` are warehouses
    between a plant and its market. So nodes and lanes grow alike, and only the size differs. Raises ValueError for
    fewer nodes than a loop has, or a number of warehouses that there are no plants for.
    """
    loops, warehouses = divmod(nodes, len(_LOOP))
    if warehouses > loops:
        raise ValueError(f"{nodes} nodes make {loops} loops with {warehouses} warehouses; take one for a loop at most")
    demand = Process(kind="normal", mean=100.0, sd=20.0)
    made: list[Node] = []
    lanes: list[Lane] = []
    first = [loop * len(_LOOP) + min(loop, warehouses) for loop in range(loops)]
    for loop in range(loops):
        supplier = first[loop]
        plant, market, collector, inspection, recycler = range(supplier + 1, supplier + 6)
        made += [
            Node(name=f"{kind} {loop}", kind=kind, demand=demand if kind is NodeKind.MARKET else None) for kind in _LOOP
        ]
        seller = plant
        if loop < warehouses:
            made.append(Node(name=f"warehouse {loop}", kind=NodeKind.WAREHOUSE))
            seller = supplier + len(_LOOP)
            lanes.append(_lane(LaneGroup.GOODS, plant, seller, 1))
        following = first[(loop + 1) % loops] + 1
        lanes += [
            _lane(LaneGroup.VIRGIN, supplier, plant, 2),
            _lane(LaneGroup.SALES, seller, market, 0),
            _lane(LaneGroup.RETURNS, market, collector, 1),
            _lane(LaneGroup.CORES, collector, inspection, 1),
            _lane(LaneGroup.RECYCLE_FEED, inspection, recycler, 1),
            _lane(LaneGroup.SECONDARY, recycler, following, 1),
        ]
    return arrange(made, lanes)


def _lane(group: LaneGroup, sender: int, receiver: int, lead: int) -> Lane:
    return Lane(group=group, sender=sender, receiver=receiver, lead=lead, share=1.0, km=300.0)


def simple_layout(nodes: int = SIMPLE_NODES, periods: int = SIMPLE_PERIODS, *, epoch: int = 24) -> Layout:
    """Return the layout of the simple case; epoch: months between two decisions."""
    return build_layout(_suite("simple", "steel", loop_network(nodes), periods, epoch, levers=(), instruments=LAW))


def ev_layout(network: str = "regional", periods: int = EV_PERIODS) -> Layout:
    """Return the layout of the full model: vehicle batteries, the catalogue's law, every lever."""
    shortfall = {"cobalt": 1.0, "nickel": 1.0, "lithium": 1.0}
    return build_layout(_suite("ev", "ev_battery", network, periods, 24, levers=LEVERS, shortfall_price=shortfall))


def _suite(name: str, archetype: str, network: str | Network, periods: int, epoch: int, **more: Any) -> SuiteDefinition:
    return SuiteDefinition(
        name=name,
        products=(ProductShare(archetype=archetype, name=archetype, share=1.0),),
        network=network,
        seed=SEED,
        start="2026-01",
        warm_up=12,
        scored=periods - 24,
        run_out=12,
        splits={"test": SplitDefinition(families=("none",), scenarios=DISTINCT)},
        epoch_months=epoch,
        **more,
    )


class Prepared:
    """A controller that does nothing but hand over numbers drawn before: (3, nodes, B) targets, (levers, B) levers."""

    def __init__(self, layout: Layout, cells: int, *, repeat: int = 1) -> None:
        """repeat: cells that follow one another have the same numbers."""
        draw = np.random.default_rng(SEED)
        different = -(-cells // repeat)
        targets = draw.random((3, len(layout.network.nodes), different))
        levers = (draw.random((len(layout.suite.levers), different)) < 0.2).astype(np.float64)
        self._control = Control(
            targets=np.repeat(targets, repeat, axis=-1)[..., :cells],
            levers=np.repeat(levers, repeat, axis=-1)[..., :cells],
        )

    def decide(self, observation: Observation) -> Control:  # noqa: ARG002, part of the protocol
        return self._control


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A layout with its scenarios, drawn; family: of the scenarios' law."""

    layout: Layout
    scenarios: list[Scenario]

    @property
    def nodes(self) -> int:
        return len(self.layout.network.nodes)

    def node_periods(self, cells: int) -> float:
        """Return what a whole rollout of so many cells counts."""
        return float(cells * self.nodes * self.layout.suite.periods)

    def rows(self, cells: int) -> NDArray[np.intp]:
        return np.arange(cells, dtype=np.intp) % len(self.scenarios)

    def start(
        self,
        cells: int,
        dtype: DTypeLike,
        *,
        controller: Prepared | None = None,
        lanes: int | None = None,
        inside: bool = True,
    ) -> KernelSimulation:
        """Return a batch at period 0; inside: demand of the markets' own is drawn in the kernel, for every cell."""
        return KernelSimulation(
            self.layout,
            self.scenarios,
            self.rows(cells),
            controller or Prepared(self.layout, cells),
            ["benchmark"] * cells,
            dtype=dtype,
            shocks=np.arange(cells, dtype=np.uint64) if inside else None,
            lanes=lanes,
        )


def simple_case(nodes: int = SIMPLE_NODES, periods: int = SIMPLE_PERIODS, *, epoch: int = 24) -> Case:
    return _case(simple_layout(nodes, periods, epoch=epoch), "none")


def ev_case(network: str = "regional", periods: int = EV_PERIODS) -> Case:
    return _case(ev_layout(network, periods), "eu_baseline")


def _case(layout: Layout, family: str) -> Case:
    return Case(layout=layout, scenarios=[build_scenario(layout, f"{family}/{i}") for i in range(DISTINCT)])


def whole_rollout(case: Case, cells: int, dtype: DTypeLike) -> Callable[[], float]:
    """Return what starts a batch and gives the CPU seconds of its rollout; starting is not counted."""
    controller = Prepared(case.layout, cells)

    def once() -> float:
        run = case.start(cells, dtype, controller=controller)
        return timed(run.advance)

    return once


def period_by_period(case: Case, cells: int, dtype: DTypeLike) -> Callable[[], float]:
    """Return what gives the CPU seconds of a rollout that is advanced period by period, all Python in it counted."""
    controller = Prepared(case.layout, cells)

    def once() -> float:
        run = case.start(cells, dtype, controller=controller)

        def all_periods() -> None:
            for t in range(case.layout.suite.periods):
                run.advance(t + 1)

        return timed(all_periods)

    return once


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def best(once: Callable[[], float], seconds: float) -> float:
    """Return the shortest of as many calls as fit into the time, three at least; one before them isn't counted."""
    once()
    return min(_calls(once, seconds))


def _calls(once: Callable[[], float], seconds: float) -> Iterator[float]:
    end, done = time.perf_counter() + seconds, 0
    while done < 3 or time.perf_counter() < end:
        yield once()
        done += 1
