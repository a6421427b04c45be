"""Random models for property tests: networks, law and controls, anywhere in what the rules allow.

Hypothesis draws how many nodes, products and instruments there are, and a seed; all numbers follow from the seed, so
that a failure is repeated by its Size.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from typing import Any
from zlib import crc32

import numpy as np
from hypothesis import strategies as st

from sim_core.catalogue import archetype
from sim_core.control import Control, Observation
from sim_core.engine.lanes import Lanes
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.exogenous import Process
from sim_core.generate.families import FAMILIES
from sim_core.generate.family import BASE_LAW
from sim_core.network import (
    FIELD_KINDS,
    IMMEDIATE,
    LIMITED,
    ORDERED,
    TARGET_KINDS,
    Lane,
    LaneGroup,
    Network,
    Node,
    NodeKind,
    arrange,
    least_lead,
    shared_among,
)
from sim_core.policy.kinds import AT_MOST, TYPES
from sim_core.scenario import build_scenario
from sim_core.suite import Forecast, ProductShare, SplitDefinition, SuiteDefinition
from sim_core.units import month_start, parse_month

ARCHETYPES = ("ev_battery", "plain", "smartphone", "pv_module")
PERIODS = 20
NEEDED = (LaneGroup.GOODS, LaneGroup.SALES, LaneGroup.REMAN_GOODS)  # without them some node is refused
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything."""

    nodes: Mapping[NodeKind, int]
    products: int
    instruments: int
    seed: int


SIZES = st.builds(
    Size,
    st.fixed_dictionaries(
        {kind: st.sampled_from((1, 2) if kind is NodeKind.MARKET else (1, 2, 0)) for kind in NodeKind}
    ),
    st.integers(1, 2),
    st.integers(0, 6),
    st.integers(0, 2**32 - 1),
)

# ---- networks


def network(size: Size, draw: Random) -> Network:
    """Any network of the size that the rules allow; goods points are added where a market would have none."""
    count = dict(size.nodes)
    if not count[NodeKind.PLANT]:
        count[NodeKind.SUPPLIER] = max(1, count[NodeKind.SUPPLIER])
        count[NodeKind.WAREHOUSE] = max(1, count[NodeKind.WAREHOUSE])
    nodes = [node(kind, i, draw) for kind in NodeKind for i in range(count[kind])]
    return arrange(nodes, list(lanes_of(nodes, draw)))


def node(kind: NodeKind, number: int, draw: Random) -> Node:
    """A node with some numbers of its own."""
    values: dict[str, Any] = {
        "capacity": float(10 ** draw.uniform(0, 7)),
        "holding": float(draw.uniform(0, 3)),
        "cost": float(draw.uniform(0, 50)),
        "storage": float(10 ** draw.uniform(0, 4)),
        "demand": process(draw),
        "returns": process(draw),
        "backlog": True,
        "shortage_cost": float(draw.uniform(0, 100)),
        "max_target": {
            letter: float(10 ** draw.uniform(0, 5)) for letter, kinds in TARGET_KINDS.items() if kind in kinds
        },
        "u_basis": "total",
    }
    own = {name: value for name, value in values.items() if kind in FIELD_KINDS[name] and draw.random() < 0.3}
    return Node(name=f"{kind} {number}", kind=kind, **own)


def process(draw: Random) -> Process:
    mean = float(10 ** draw.uniform(0, 4))
    choices = (
        Process(kind="constant", mean=mean),
        Process(kind="series", values=(0.0, mean, 2.0 * mean)),
        Process(kind="normal", mean=mean, sd=0.5 * mean),
        Process(kind="poisson", mean=mean),
        Process(kind="pmf", values=(0.0, mean), probabilities=(0.3, 0.7)),
        Process(kind="ar1", mean=mean, sd=0.3 * mean, rho=float(draw.uniform(-0.9, 0.9))),
    )
    return choices[draw.integers(len(choices))]


def lanes_of(nodes: list[Node], draw: Random) -> Iterator[Lane]:
    """Any lanes. Orders of goods go from lower to higher indices, so that none run in a circle."""
    together: dict[tuple[LaneGroup, int], list[tuple[LaneGroup, int, int]]] = {}
    for group in LaneGroup:
        for i, a in enumerate(nodes):
            for j, b in enumerate(nodes):
                joins = a.kind in group.senders and b.kind in group.receivers
                if joins and i != j and (group is not LaneGroup.GOODS or i < j):
                    together.setdefault(shared_among(group, i, j), []).append((group, i, j))
    for (group, _), possible in together.items():
        if group not in NEEDED and draw.random() < 0.15:
            continue
        chosen = [ends for ends in possible if draw.random() < 0.7] or possible[:1]
        for (own, i, j), share in zip(chosen, draw.dirichlet(np.ones(len(chosen))), strict=True):
            yield lane(own, i, j, float(share), draw)


def lane(group: LaneGroup, sender: int, receiver: int, share: float, draw: Random) -> Lane:
    least = least_lead(group)
    return Lane(
        group=group,
        sender=sender,
        receiver=receiver,
        lead=0 if group in IMMEDIATE else int(draw.integers(least, least + 4)),
        share=share,
        km=float(draw.uniform(0, 9000)),
        overseas=bool(draw.random() < 0.4),
        information=int(draw.integers(0, 3)) if group in ORDERED and draw.random() < 0.4 else 0,
        cost=float(draw.uniform(0, 5)) if draw.random() < 0.3 else None,
        capacity=float(10 ** draw.uniform(0, 5)) if group in LIMITED and draw.random() < 0.3 else None,
    )


# ---- law and controls


def instrument(name: str, draw: Random, first_month: int, products: tuple[ProductShare, ...]) -> dict[str, Any]:
    """Any instrument that means something in the suite, in the form that users write."""
    solid = [product.label for product in products if archetype(product.archetype).materials]
    kinds = [name for name in sorted(TYPES) if solid or not TYPES[name].needs_material]
    kind = kinds[draw.integers(len(kinds))]
    facts = TYPES[kind]
    subjects = solid if facts.needs_material else [product.label for product in products]
    sense = facts.senses[draw.integers(len(facts.senses))]
    unit = facts.units[draw.integers(len(facts.units))]
    most = {"fraction": 1.0, "bool": 1.0, "EUR/t": 300.0, "EUR/kg": 2.0, "EUR/unit": 50.0, "multiple": 2.0}

    def level() -> float:
        return 1.0 if unit == "bool" else float(draw.uniform(0.0, most.get(unit, 1000.0)))

    def day_in(period: float) -> str:
        return date.fromordinal(month_start(first_month) + int(30 * period)).isoformat()

    starts = sorted({int(x) for x in draw.integers(0, PERIODS + 6, size=3)})
    form: dict[str, Any] = {
        "id": name,
        "type": kind,
        "unit": unit,
        "sense": sense,
        "schedule": {"shape": "staircase", "steps": [[day_in(start + 0.4), level()] for start in starts]},
    }
    if draw.random() < 0.5:
        form["scope"] = {"product": [subjects[draw.integers(len(subjects))]]}
    if facts.acts == "duty":
        form["window"] = ("calendar_year", "month", {"months": 5})[draw.integers(3)]
        form["flexibility"] = {
            "banking": {"windows": 2, "share": 0.8},
            "carry_forward": {"share": 0.5},
            "certificates": {"price": 3.0, "limit": 0.3},
        }
    if draw.random() < 0.5:
        form["revisions"] = [revision(draw, day_in, sense == AT_MOST)]
    return form


def revision(draw: Random, day_in: Any, at_most: bool) -> dict[str, Any]:
    announced = float(draw.uniform(0.0, PERIODS))
    kind = ("delay", "freeze", "weaken", "strengthen", "repeal")[draw.integers(5)]
    amount = {"delay": float(draw.integers(1, 9)), "weaken": 0.6, "strengthen": 1.4}.get(kind)
    if at_most and kind in ("weaken", "strengthen"):
        amount = 1.0 / (amount or 1.0)
    form: dict[str, Any] = {
        "kind": kind,
        "announced": day_in(announced),
        "adopted": day_in(announced + float(draw.uniform(0.0, 6.0))),
    }
    return form if amount is None else {**form, "amount": amount}


def changed_from(suite: SuiteDefinition, t: int, draw: Random) -> tuple[dict[str, Any], ...]:
    """The suite's law with one more instrument, and maybe a revision of another, announced in period t or later."""
    first = parse_month(suite.start)
    from_day = month_start(first + t) + int(draw.integers(0, 28))
    announced = date.fromordinal(from_day).isoformat()
    new = instrument("new law", draw, first, suite.products)
    steps = [step for step in new["schedule"]["steps"] if step[0] > announced]
    steps = steps or [[announced, new["schedule"]["steps"][-1][1]]]
    new = {**new, "schedule": {**new["schedule"], "steps": steps}, "announced": announced, "adopted": announced}
    new.pop("revisions", None)
    frozen = {"kind": "freeze", "announced": announced}
    law = [
        {**one, "revisions": [frozen]} if "revisions" not in one and draw.random() < 0.5 else dict(one)
        for one in suite.instruments
    ]
    return (*law, new)


def relative(suite: SuiteDefinition, draw: Random) -> dict[str, Any]:
    """An instrument whose dates count from its entry into force."""
    new = instrument("new law", draw, parse_month(suite.start), suite.products)
    steps = [[f"EIF+{i * 3}m", value] for i, (_, value) in enumerate(new["schedule"]["steps"])]
    new.pop("revisions", None)
    return {**new, "schedule": {**new["schedule"], "steps": steps}}


def lively(draw: Random) -> dict[str, float]:
    """Lives and times of building so short that all happens within the horizon."""
    return {
        "lifetime.scale": float(draw.uniform(0.3, 2.0)),
        "invest.build_months": float(draw.integers(1, 4)),
        "invest.life_months": float(draw.integers(2, 30)),
        "disruption.rate": float(draw.uniform(0.0, 1.0)),
        "lane_disruption.rate": float(draw.uniform(0.0, 1.0)),
        "purchase.months": float(draw.integers(1, 20)),
    }


def suite_of(size: Size, draw: Random) -> SuiteDefinition:
    names = draw.permutation(ARCHETYPES)[: size.products]
    products = tuple(
        ProductShare(
            archetype=str(name), name=f"product {i}", share=float(draw.uniform(0.2, 2.0)), overrides=lively(draw)
        )
        for i, name in enumerate(names)
    )
    start = f"{2026 + int(draw.integers(0, 12))}-{1 + int(draw.integers(0, 12)):02d}"
    warm_up = int(draw.integers(0, 6))
    run_out = int(draw.integers(0, 4))
    first = parse_month(start)
    return SuiteDefinition(
        name="any",
        products=products,
        network=network(size, draw),
        seed=size.seed,
        start=start,
        warm_up=warm_up,
        scored=PERIODS - warm_up - run_out,
        run_out=run_out,
        splits={"test": SplitDefinition(families=("none",), scenarios=1)},
        shortfall_price={"cobalt": 150.0, "new law": 70.0, **{f"law {i}": 50.0 for i in range(size.instruments)}},
        epoch_months=int(draw.integers(1, 8)),
        max_cover=float(draw.uniform(0.5, 6.0)),
        forecast=Forecast(method=("smoothing", "moving_average")[draw.integers(2)], periods=3),
        vintage_periods=(1, 5, 12)[draw.integers(3)],
        instruments=tuple(instrument(f"law {i}", draw, first, products) for i in range(size.instruments)),
    )


class Alert:
    """A controller that reacts to everything it sees: any bit of the observation changes all its targets.

    keys: (B,) the cell's own numbers, so that cells differ whatever row they are in.
    """

    def __init__(self, layout: Layout, keys: list[int]) -> None:
        self._shape = (3, len(layout.network.nodes))
        self._levers = len(layout.suite.levers)
        self._keys = keys

    def decide(self, observation: Observation) -> Control:
        targets = np.empty((*self._shape, len(self._keys)))
        levers = np.empty((self._levers, len(self._keys)))
        for cell, key in enumerate(self._keys):
            seen = [getattr(observation, one.name) for one in fields(observation)]
            words = [np.asarray(value)[..., cell] for value in seen if np.ndim(value)]
            digest = [crc32(word.tobytes()) for word in words]
            draw = np.random.default_rng([key, observation.period, *digest])
            targets[..., cell] = draw.random(self._shape)
            levers[:, cell] = draw.random(self._levers) < 0.5
        return Control(targets=targets, levers=levers)


@dataclass(frozen=True, slots=True)
class Case:
    """A random suite with two scenarios; the law of the families among them is the catalogue's."""

    layout: Layout
    names: tuple[str, str]

    def simulation(self, keys: list[int]) -> Simulation:
        """Cells with these keys, in turn over the scenarios by their key; no scenario is there that none is in."""
        used = sorted({key % len(self.names) for key in keys})
        rows = np.array([used.index(key % len(self.names)) for key in keys], dtype=np.intp)
        scenarios = [build_scenario(self.layout, self.names[i]) for i in used]
        return Simulation(self.layout, scenarios, rows, Alert(self.layout, keys), [f"cell {key}" for key in keys])


def case(size: Size, **changes: Any) -> Case:
    draw = np.random.default_rng(size.seed)
    suite = replace(suite_of(size, draw), **changes)
    families = draw.choice([one.name for one in FAMILIES if set(one.law) <= set(BASE_LAW)], size=2)
    return Case(build_layout(suite), (f"{families[0]}/0", f"{families[1]}/1"))


KEYS = list(range(LANE_WIDTH))


# ---- what was simulated, byte for byte


def arrays(value: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array that a state or ledger holds, however deep, with its path; layouts and lanes are constant."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from arrays(item, f"{name}.{key}")
    elif is_dataclass(value) and not isinstance(value, (type, Lanes, Layout)):
        for one in fields(value):
            yield from arrays(getattr(value, one.name), f"{name}.{one.name}")
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from arrays({key: item for key, item in vars(value).items() if key != "_suite"}, name)


def cell_bytes(run: Simulation, cell: int) -> dict[str, bytes]:
    """All that a cell's state and ledger hold. Amounts are floats; arrays of integers are positions of lanes."""
    cells = len(run.ledger.objective())
    held = {**dict(arrays(run.state, "state")), **dict(arrays(run.ledger, "ledger"))}
    amounts = {name: value for name, value in held.items() if value.ndim and value.dtype == np.float64}
    return {name: value[..., cell].tobytes() for name, value in amounts.items() if value.shape[-1] == cells}


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
