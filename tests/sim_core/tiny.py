"""Tiny models whose every number can be worked out by hand: a few nodes, one or two products, one period or a few."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.period import Period
from sim_core.engine.period import begin as begin_period
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.settings import Capacity, Settings
from sim_core.engine.state import State, initial_state
from sim_core.engine.terms import TermsTable
from sim_core.exogenous import Process
from sim_core.ledger import Ledger
from sim_core.network import TARGETS, Lane, LaneGroup, Network, Node, NodeKind, arrange, group_of
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

PLAIN = (ProductShare(archetype="plain"),)


def suite(network: Network | str, products: Sequence[ProductShare] = PLAIN, **changes: Any) -> SuiteDefinition:
    """A suite without law: 12 scored months from 2032, undiscounted; a target of 1 means a month's demand."""
    usual: dict[str, Any] = {
        "name": "tiny",
        "products": tuple(products),
        "network": network,
        "seed": 1,
        "start": "2032-01",
        "warm_up": 0,
        "scored": 12,
        "run_out": 0,
        "splits": {"test": SplitDefinition(families=("none",), scenarios=1)},
        "discount_rate": 0.0,
        "epoch_months": 12,
        "max_cover": 1.0,
    }
    return SuiteDefinition(**{**usual, **changes})


def plain(**overrides: float) -> ProductShare:
    """The plain product with parameters of its own, dots written as double underscores."""
    return ProductShare(archetype="plain", overrides=dotted(overrides))


def dotted(overrides: Mapping[str, float]) -> dict[str, float]:
    return {name.replace("__", "."): value for name, value in overrides.items()}


def net(nodes: Mapping[str, str | tuple[str, Mapping[str, Any]]], lanes: Mapping[str, Mapping[str, Any]]) -> Network:
    """A network from {"name": kind or (kind, fields)} and {"sender > receiver": fields}; shares are 1 unless given."""
    found = []
    for name, said in nodes.items():
        kind, fields = (said, {}) if isinstance(said, str) else said
        found.append(Node(name=name, kind=NodeKind(kind), **fields))
    place = {node.name: i for i, node in enumerate(found)}
    return arrange(found, [_lane(found, place, text, dict(fields)) for text, fields in lanes.items()])


def _lane(nodes: list[Node], place: dict[str, int], text: str, fields: dict[str, Any]) -> Lane:
    sender, receiver = (place[name.strip()] for name in text.split(">"))
    lateral = fields.pop("lateral", False)
    group = group_of(nodes[sender].kind, nodes[receiver].kind, lateral=lateral)
    assert group is not None, text
    return Lane(**{"group": group, "sender": sender, "receiver": receiver, "lead": 0, "share": 1.0, **fields})


def demand(*values: float) -> Process:
    """Demand of these units in turn, the last for ever."""
    return Process(kind="series", values=values)


class Fixed:
    """Targets as they are stated, 0 elsewhere, and levers that are on in every review, for every cell."""

    def __init__(self, layout: Layout, targets: Mapping[str, float], levers: Sequence[str] = ()) -> None:
        """targets: {"node.S": level in [0, 1]}, or in units where the node states a max_target."""
        places = {node.name: i for i, node in enumerate(layout.network.nodes)}
        self._targets = np.zeros((len(TARGETS), len(places), LANE_WIDTH))
        for key, level in targets.items():
            name, letter = key.rsplit(".", 1)
            row, column = TARGETS.index(letter), places[name]
            most = layout.absolute[row, column]
            self._targets[row, column] = level if np.isnan(most) else level / most
        on = [float(name in levers) for name in layout.suite.levers]
        self._levers = np.repeat(np.array(on)[:, None], LANE_WIDTH, axis=1)

    def decide(self, observation: Observation) -> Control:
        return Control(targets=self._targets, levers=self._levers)


def begin(
    network: Network | Layout,
    targets: Mapping[str, float],
    levers: Sequence[str] = (),
    *,
    products: Sequence[ProductShare] = PLAIN,
    empty: bool = True,
    **changes: Any,
) -> Simulation:
    """A simulation at its start, without any stock unless said."""
    layout = network if isinstance(network, Layout) else build_layout(suite(network, products, **changes))
    one = build_scenario(layout, "none/0")
    cells = [f"cell {i}" for i in range(LANE_WIDTH)]
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    found = Simulation(layout, [one], rows, Fixed(layout, targets, levers), cells, trace=True)
    if empty:
        clear(found.state)
    return found


def clear(state: State) -> None:
    """Take away every stock but what is in use."""
    for name in ("goods", "feed", "collected", "queue", "cores", "second_life", "recycler_feed", "backlog"):
        getattr(state, name)[...] = 0.0
    for pipe in state.pipes.values():
        pipe._slots[...] = 0.0
        pipe._on_lanes = pipe._inbound = None


def series(run: Simulation, name: str) -> list[float]:
    """A series of the first cell over the periods that were simulated."""
    assert run.trace is not None
    return run.trace[name][: run.t, 0].tolist()


def simulated(network: Network | Layout, targets: Mapping[str, float], **choices: Any) -> Simulation:
    """A simulation run to its end."""
    run = begin(network, targets, **choices)
    run.advance()
    return run


def period(
    layout: Layout, targets: Mapping[str, float] | None = None, levers: Sequence[str] = (), *, t: int = 0, **terms: Any
) -> Period:
    """A period on a state without stocks, before any of its steps; terms: what is given in it, in place of the path's.

    Scalars and arrays without cells are spread over all of them.
    """
    one = build_scenario(layout, "none/0")
    now = TermsTable(layout, [one], np.zeros(LANE_WIDTH, dtype=np.intp)).at(t)
    given = {name: np.broadcast_to(spread(value), getattr(now, name).shape) * 1.0 for name, value in terms.items()}
    ledger = Ledger(layout.suite, LANE_WIDTH)
    ledger.open_period(t)
    state = initial_state(layout, now.demand)
    clear(state)
    control = Fixed(layout, targets or {}, levers).decide
    settings = Settings(layout, control(None), LANE_WIDTH)  # pyright: ignore[reportArgumentType]
    return begin_period(
        t=t,
        layout=layout,
        state=state,
        terms=replace(now, **given),
        settings=settings,
        capacity=Capacity(layout, LANE_WIDTH),
        ledger=ledger,
    )


def spread(value: Any) -> np.ndarray:
    """An array with an axis of cells behind those of a value that has none."""
    return np.asarray(value, dtype=np.float64)[..., None]


def on_lanes(p: Period, group: LaneGroup) -> np.ndarray:
    """What is in transit in the first cell, by lane: (E, *cargo)."""
    return p.state.pipes[group].on_lanes()[..., 0]


def spy(p: Period) -> dict[str, np.ndarray]:
    """What the period measures for law, in the first cell."""
    return {name: value[..., 0] for name, value in p.register.items()}


# ---- a closed loop of one node of each kind that handles units

LOOP: dict[str, Any] = {
    "v": "supplier", "f": "plant", "w": "warehouse", "m": ("market", {"demand": demand(10.0)}), "c": "collector",
    "i": "inspection", "r": "remanufacturer", "y": "recycler", "z": ("second_life", {"capacity": 6.0}),
}  # fmt: skip
LOOP_LANES: dict[str, Any] = {
    "v > f": {"lead": 1}, "f > w": {"lead": 1}, "w > m": {}, "m > c": {}, "c > i": {}, "i > w": {}, "i > r": {},
    "i > z": {}, "i > y": {}, "r > w": {}, "r > y": {}, "z > y": {}, "f > y": {"lead": 1}, "y > f": {},
}  # fmt: skip
GRADED = plain(
    grade__A=0.4, grade__B=0.3, grade__C=0.2, grade__D=0.1, quality__loss=0.1, quality__spread=0.2, soh__life1=0.8
)


def loop(*products: ProductShare, without: str = "", **fields: Any) -> Layout:
    """The closed loop above, for one product unless said; without: nodes that are missing; fields: of named nodes."""
    nodes = {name: _with(said, fields.get(name, {})) for name, said in LOOP.items() if name not in without}
    lanes = {text: lane for text, lane in LOOP_LANES.items() if not set(text.split(" > ")) & set(without)}
    return build_layout(suite(net(nodes, lanes), products or (GRADED,)))


def _with(said: Any, fields: dict[str, Any]) -> Any:
    kind, own = (said, {}) if isinstance(said, str) else said
    return (kind, {**own, **fields})
