"""What every controller owes: the same again, numbers in [0, 1], alone as in a batch, names refused, no look ahead."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizers.contract import Candidate
from optimizers.control_space import search_space, to_record
from optimizers.controllers import KINDS, NEEDS_STATE, TUNABLE, build
from sim_core.control import Control, Controller, ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.errors import ModelError
from sim_core.exogenous import Process
from sim_core.network import Network
from sim_core.scenario import Scenario, build_scenario, with_instrument
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from tests.sim_core import tiny

LATER = 12  # from here on the future is another one
DUTY: dict[str, Any] = {
    "id": "LATE-CONTENT", "type": "recycled_content_mandate", "scope": {"material": ["nickel"]},
    "schedule": {"value": 0.9}, "penalty": {"value": 90.0, "unit": "EUR/kg"},
}  # fmt: skip


@pytest.fixture(scope="module")
def loop() -> Layout:
    """Batteries in a loop of 12 nodes over two years of law, reviewed every quarter."""
    one = SplitDefinition(families=("eu_baseline",), scenarios=1)
    return build_layout(
        SuiteDefinition(
            name="contract",
            products=(ProductShare(archetype="ev_battery"),),
            network="loop",
            seed=5,
            start="2029-01",
            warm_up=0,
            scored=24,
            run_out=0,
            splits={"train": one},
            epoch_months=3,
        )
    )


def hybrid() -> Network:
    some = Process(kind="pmf", values=(0.0, 1.0, 2.0), probabilities=(0.3, 0.4, 0.3))
    nodes = {
        "works": ("plant", {"holding": 1.0, "cost": 10.0, "max_target": {"S": 16.0}}),
        "town": ("market", {"demand": some, "backlog": True, "shortage_cost": 20.0}),
        "shop": ("remanufacturer", {"holding": 0.3, "cost": 4.0, "storage": 5.0, "returns": some,
                                    "max_target": {"M": 16.0, "U": 16.0}}),
    }  # fmt: skip
    return tiny.net(nodes, {"works > town": {}, "shop > works": {}})


@pytest.fixture(scope="module")
def layouts(loop) -> dict[str, Layout]:
    """Each kind's layout: the loop, or the one network that can be solved exactly."""
    small = build_layout(tiny.suite(hybrid(), epoch_months=1, scored=24))
    return {kind: small if kind == "dynamic_programme" else loop for kind in KINDS}


def record_of(layout: Layout, kind: str, seed: int | None = None) -> ControllerRecord:
    """A controller with its usual parameters, or with drawn ones."""
    if kind == "base_stock":
        name = layout.network.nodes[layout.goods[0]].name
        return ControllerRecord(kind=kind, parameters={f"{name}.S": 1.0 + (seed or 0) / 8.0})
    if kind not in TUNABLE and kind != "schedule":
        return ControllerRecord(kind=kind)
    space, draw = search_space(layout, kind), np.random.default_rng(seed)
    values = np.array(space.start) if seed is None else draw.random(len(space.parameters))
    bits = draw.random((space.epochs, len(space.levers))) < (0.0 if seed is None else 0.5)
    return to_record(kind, Candidate(bits=bits, values=values), space)


class Recorder:
    """Passes on what a controller says, and keeps it."""

    def __init__(self, inner: Controller) -> None:
        self.inner = inner
        self.said: list[tuple[int, Control]] = []

    def decide(self, observation: Observation) -> Control:
        control = self.inner.decide(observation)
        self.said.append((observation.period, control))
        return control


def played(layout: Layout, records: list[ControllerRecord] | Controller, scenario: Scenario) -> tuple:
    """Simulate a batch on one scenario; return what the controller said and the ledger."""
    controller = build(layout, records) if isinstance(records, list) else records
    spy = Recorder(controller)
    rows, cells = np.zeros(LANE_WIDTH, dtype=np.intp), [f"cell {i}" for i in range(LANE_WIDTH)]
    run = Simulation(layout, [scenario], rows, spy, cells)
    run.advance()
    return spy.said, run.ledger


def scenario_of(layout: Layout, index: int = 0) -> Scenario:
    family = "none" if layout.suite.name == "tiny" else "eu_baseline"
    return build_scenario(layout, f"{family}/{index}")


def bytes_of(said: list[tuple[int, Control]], cell: int) -> list[tuple[int, bytes, bytes]]:
    return [(t, c.targets[..., cell].tobytes(), c.levers[..., cell].tobytes()) for t, c in said]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_again_and_in_the_unit_interval(layouts, kind: str):
    layout = layouts[kind]
    records = [record_of(layout, kind, seed) for seed in range(LANE_WIDTH)]
    first, again = (played(layout, records, scenario_of(layout)) for _ in range(2))
    for cell in range(LANE_WIDTH):
        assert bytes_of(first[0], cell) == bytes_of(again[0], cell)
    for name, money in first[1].money.items():
        assert money.tobytes() == again[1].money[name].tobytes(), name
    assert len(first[0]) == -(-layout.suite.periods // layout.suite.epoch_months)
    for _, control in first[0]:
        assert control.targets.shape == (3, len(layout.network.nodes), LANE_WIDTH)
        assert control.levers.shape == (len(layout.suite.levers), LANE_WIDTH)
        for part in (control.targets, control.levers):
            assert ((part >= 0.0) & (part <= 1.0)).all()


def check_alone_as_in_a_batch(layout: Layout, mixed: Controller, alone: list[Controller]) -> None:
    scenario = scenario_of(layout)
    together, ledger = played(layout, mixed, scenario)
    for cell, controller in enumerate(alone):
        said, own = played(layout, controller, scenario)
        assert bytes_of(together, cell) == bytes_of(said, 0)
        for name, money in ledger.money.items():
            assert money[cell] == own.money[name][0], name


@pytest.mark.parametrize("kind", KINDS)
def test_alone_as_in_a_batch_of_several_kinds(layouts, kind: str):
    layout = layouts[kind]
    mine = [record_of(layout, kind, seed) for seed in (1, 2)]
    batch = [mine[0], ControllerRecord(kind="linear"), mine[1], *[record_of(layout, "push", 3)] * (LANE_WIDTH - 3)]
    alone = [build(layout, [batch[cell]] * LANE_WIDTH) for cell in range(3)]
    check_alone_as_in_a_batch(layout, build(layout, batch), alone)


def test_a_controller_that_looks_at_its_neighbours_is_found(loop):
    """The mutant: every cell orders what the batch's mean would."""

    class Sociable(Recorder):
        def decide(self, observation: Observation) -> Control:
            control = self.inner.decide(observation)
            mean = control.targets.mean(axis=-1, keepdims=True)
            return replace(control, targets=np.repeat(mean, control.targets.shape[-1], axis=-1))

    records = [record_of(loop, "push", seed) for seed in range(LANE_WIDTH)]
    alone = [build(loop, [record] * LANE_WIDTH) for record in records[:2]]
    with pytest.raises(AssertionError):
        check_alone_as_in_a_batch(loop, Sociable(build(loop, records)), alone)


# ---- no look ahead


def other_futures(layout: Layout) -> dict[str, Scenario]:
    """Scenarios that differ from the first from LATER on alone: by law that nobody has announced, demand or prices."""
    one = scenario_of(layout)
    names = ("demand", "virgin_price", "external_price", "external_capacity", "remanufacturer_returns")
    paths = {name: getattr(one.paths, name).copy() for name in names}
    for path in paths.values():
        path[LATER:] *= 3.0
    found = {"paths": replace(one, paths=replace(one.paths, **paths))}
    if layout.suite.name != "tiny":
        found["law"] = with_instrument(layout, one, DUTY, LATER)
    return found


def check_no_look_ahead(layout: Layout, make) -> None:
    """A controller says the same before LATER whatever comes then: law, demand or prices."""
    usual, _ = played(layout, make(), scenario_of(layout))
    before = [entry for entry in bytes_of(usual, 0) if entry[0] < LATER]
    for name, other in other_futures(layout).items():
        said, _ = played(layout, make(), other)
        assert [entry for entry in bytes_of(said, 0) if entry[0] < LATER] == before, name


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_sees_what_is_not_announced(layouts, kind: str):
    layout = layouts[kind]
    check_no_look_ahead(layout, lambda: build(layout, [record_of(layout, kind)] * LANE_WIDTH))


class Leaking:
    """The mutant: a push that stocks up before demand rises."""

    def __init__(self, layout: Layout, name: str) -> None:
        self._inner = build(layout, [record_of(layout, "push")] * LANE_WIDTH)
        self._name = name

    def decide(self, observation: Observation) -> Control:
        now = observation.situation
        assert now is not None
        soon = min(now.t + 6, now.layout.suite.periods - 1)
        terms = getattr(now.table.at(soon), self._name).sum() > 1.5 * getattr(now.table.at(now.t), self._name).sum()
        control = self._inner.decide(observation)
        return replace(control, targets=control.targets * (0.5 + 0.5 * terms))


@pytest.mark.parametrize("name", ["demand", "theta", "external_price"])
def test_a_controller_that_looks_ahead_is_found(loop, name: str):
    with pytest.raises(AssertionError):
        check_no_look_ahead(loop, lambda: Leaking(loop, name))


# ---- records


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_comes_back_from_json(layouts, kind: str):
    record = record_of(layouts[kind], kind, 4)
    again = ControllerRecord.from_json(record.to_json())
    assert again == record and again.digest == record.digest


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"base_stock", "schedule"}))
def test_an_unknown_parameter_is_refused_by_name(layouts, kind: str):
    layout = layouts[kind]
    known = list(TUNABLE[kind](layout)) if kind in TUNABLE else []
    wrong = f"{known[0]}x" if known else "covr"
    hint = f".*did you mean '{known[0]}'\\?" if known else ""
    with pytest.raises(ModelError, match=f"controller {kind} has no parameters.*'{wrong}'{hint}"):
        build(layout, [ControllerRecord(kind=kind, parameters={wrong: 0.5})])


@pytest.mark.parametrize("kind", sorted(TUNABLE))
def test_a_tunable_controller_starts_from_its_usual_parameters(layouts, kind: str):
    layout = layouts[kind]
    space = search_space(layout, kind)
    assert space.epochs == 0 and space.levers == () and len(space.start) == len(space.parameters) > 0
    given, usual = record_of(layout, kind), ControllerRecord(kind=kind)
    assert given.parameters == dict(zip(space.parameters, space.start, strict=True))
    said = [played(layout, [one] * LANE_WIDTH, scenario_of(layout))[0] for one in (given, usual)]
    assert bytes_of(said[0], 0) == bytes_of(said[1], 0)


@pytest.mark.parametrize("kind", sorted(TUNABLE))
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "0.5", True, None])
def test_a_parameter_outside_the_unit_interval_is_refused(loop, kind: str, value):
    name = next(iter(TUNABLE[kind](loop)))
    with pytest.raises(ModelError, match=rf"controller {kind}: {name} must be a number in \[0, 1\], not"):
        build(loop, [ControllerRecord(kind=kind, parameters={name: value})])


@pytest.mark.parametrize("kind", sorted(TUNABLE))
def test_every_parameter_does_something(loop, kind: str):
    """Moving it changes what is said in some review, for what the network has."""
    idle = {"margin", "planning"}  # they move no target before law is announced; see test_compliance_greedy
    base = TUNABLE[kind](loop)
    for name, usual in base.items():
        if name in idle:
            continue
        moved = ControllerRecord(kind=kind, parameters={name: 0.9 if usual < 0.5 else 0.1})
        records = [ControllerRecord(kind=kind), moved, *[ControllerRecord(kind=kind)] * (LANE_WIDTH - 2)]
        said, _ = played(loop, records, scenario_of(loop))
        assert bytes_of(said, 0) != bytes_of(said, 1), name


def test_an_unknown_kind_has_a_near_miss(loop):
    with pytest.raises(ModelError, match=r"unknown controllers \['pusch'\].*did you mean 'push'\?"):
        build(loop, [ControllerRecord(kind="pusch")])


@pytest.mark.parametrize("kind", sorted(NEEDS_STATE))
def test_who_plans_from_the_state_says_so_without_one(layouts, kind: str):
    layout = layouts[kind]
    shape = (4, len(layout.facts.materials), 1), (4, len(layout.products.routes), 1)
    blind = Observation(
        period=0,
        epoch=0,
        announced_duty=np.zeros(shape[0]),
        announced_route_legal=np.ones(shape[1], dtype=bool),
        announced_collection=np.zeros((4, 1)),
    )
    with pytest.raises(ModelError, match=f"controller {kind} plans from the state .* `engine: numpy`"):
        build(layout, [record_of(layout, kind)]).decide(blind)


def test_the_others_need_no_state(layouts):
    """What is said does not depend on the state being shown: the kernel shows none."""

    class Blind(Recorder):
        def decide(self, observation: Observation) -> Control:
            return super().decide(replace(observation, situation=None))

    for kind in sorted(set(KINDS) - NEEDS_STATE):
        layout = layouts[kind]
        record = [record_of(layout, kind, 6)] * LANE_WIDTH
        seen, _ = played(layout, record, scenario_of(layout))
        unseen, _ = played(layout, Blind(build(layout, record)), scenario_of(layout))
        assert bytes_of(seen, 0) == bytes_of(unseen, 0), kind
