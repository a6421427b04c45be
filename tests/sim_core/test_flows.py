"""Flows: a recorded run comes back when it is replayed, and no flow moves what isn't there or what law forbids."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from sim_core.control import Control, Controller, Observation
from sim_core.engine.flows import FlowIndex, flow_index
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.production import RECYCLED
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.settings import Settings
from sim_core.errors import ModelError
from sim_core.ledger import Flow, Ledger
from sim_core.network import LaneGroup, Network, NodeKind
from sim_core.scenario import build_scenario
from tests.sim_core.random_models import KEYS, PERIODS, SIZES, Alert, Case, Size, arrays, case
from tests.sim_core.test_properties import lowest, quick

EVERYTHING = Size(dict.fromkeys(NodeKind, 2), 2, 3, 0)  # a model in which every decision moves something
NAMES = tuple(flow_index(case(EVERYTHING).layout).blocks)
SLOW = Size(dict.fromkeys(NodeKind, 2), 1, 0, 4)  # a model with information delays
STEERING = ("expedite", "second_source", "stock_ahead", "alternative_route", "lateral_transfer")
SAME = 1e-9  # relative
DUST = 1e-12  # of all that was paid or moved: sums whose terms cancel leave roundings of that


def simulation(one: Case, controller: Controller, **more: bool) -> Simulation:
    """Eight cells, in turn over the case's scenarios."""
    scenarios = [build_scenario(one.layout, name) for name in one.names]
    rows = np.arange(LANE_WIDTH) % len(scenarios)
    return Simulation(one.layout, scenarios, rows, controller, [f"cell {key}" for key in KEYS], **more)


# ---- replay


class Replay:
    """Acts by recorded flows; the targets, and the levers that steer flows, are others than those of the run."""

    def __init__(self, controller: Controller, flows: np.ndarray, levers: tuple[str, ...]) -> None:
        self._controller, self._flows = controller, flows
        self._turned = [levers.index(name) for name in STEERING]

    def decide(self, observation: Observation) -> Control:
        control = self._controller.decide(observation)
        levers = control.levers.copy()
        levers[self._turned] = 1.0 - levers[self._turned]
        return Control(targets=1.0 - control.targets, levers=levers, flows=self._flows[observation.period])


def replayable(network: Network) -> Network:
    """The network without what the rules may ship and flows may not.

    An import ordered before its ban, which reaches the supplier after it; more than a supplier of goods can make, whose
    capacity each tier of warehouses is given whole.
    """
    return replace(
        network,
        nodes=tuple(replace(one, capacity=None) if one.kind is NodeKind.SUPPLIER else one for one in network.nodes),
        lanes=tuple(replace(one, information=0) if one.group is LaneGroup.VIRGIN else one for one in network.lanes),
    )


def replayed(size: Size) -> Case:
    """The random model of the size, reviewed every month."""
    found = case(size, epoch_months=1)
    network = found.layout.suite.network
    assert isinstance(network, Network)
    return replace(found, layout=build_layout(replace(found.layout.suite, network=replayable(network))))


def recorded(one: Case) -> Simulation:
    run = simulation(one, Alert(one.layout, KEYS), record=True)
    run.advance()
    return run


def replay(one: Case, flows: np.ndarray) -> Simulation:
    run = simulation(one, Replay(Alert(one.layout, KEYS), flows, one.layout.suite.levers), record=True)
    run.advance()
    return run


def apart(one: Ledger, other: Ledger) -> list[str]:
    """The accounts and flows in which two ledgers differ; counts of windows, where dust counts as one, left out."""
    found: list[str] = []
    for mine, yours in ((one.money, other.money), (one.flow, other.flow)):
        names = [name for name in mine if name not in (Flow.DUTY, Flow.SHORT)]
        least = DUST * sum(np.abs(mine[name]) for name in names)
        found += [
            name for name in names if (np.abs(mine[name] - yours[name]) > SAME * np.abs(mine[name]) + least).any()
        ]
    return found


def unlike(one: Simulation, other: Simulation) -> list[str]:
    """The blocks in which two runs moved different amounts."""
    assert one.record and other.record
    mine, yours = one.record.values, other.record.values
    far = np.abs(mine - yours) > SAME * mine + DUST * np.maximum(1.0, mine.max())
    return [name for name in one.record.index.blocks if one.record.index.block(far, name).any()]


@quick(25)
@given(SIZES)
def test_a_replayed_run_has_the_same_ledger(size: Size):
    one = replayed(size)
    run = recorded(one)
    assert run.record
    again = replay(one, run.record.values)
    assert (apart(run.ledger, again.ledger), unlike(run, again)) == ([], [])


@pytest.fixture(scope="module")
def everything() -> Simulation:
    """A recorded run in which every block holds something."""
    run = recorded(replayed(EVERYTHING))
    assert run.record
    assert [name for name in NAMES if run.record.index.block(run.record.values, name).max() < 1.0] == []
    return run


def replay_of_everything(flows: np.ndarray) -> Ledger:
    return replay(replayed(EVERYTHING), flows).ledger


def test_a_run_of_every_decision_is_replayed(everything: Simulation):
    assert everything.record
    assert apart(everything.ledger, replay_of_everything(everything.record.values)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_block_that_is_dropped_is_found(everything: Simulation, name: str):
    assert everything.record
    flows = everything.record.values.copy()
    everything.record.index.block(flows, name)[...] = 0.0
    assert apart(everything.ledger, replay_of_everything(flows)) != []


@pytest.mark.parametrize("name", NAMES)
def test_a_row_that_is_halved_is_found(everything: Simulation, name: str):
    assert everything.record
    flows = everything.record.values.copy()
    start, shape = everything.record.index.blocks[name]
    rows = flows[:, start : start + int(np.prod(shape))]
    rows[:, rows.sum(axis=(0, 2)).argmax()] *= 0.5
    assert apart(everything.ledger, replay_of_everything(flows)) != []


# ---- any flows


class AnyFlows:
    """Sets flows of any size, from none to far more than there is; now and then leaves the decisions to the rules."""

    def __init__(self, layout: Layout, seed: int) -> None:
        self.index = flow_index(layout)
        self.set: dict[int, np.ndarray] = {}
        self._rules = Alert(layout, KEYS)
        self._draw = np.random.default_rng(seed)

    def decide(self, observation: Observation) -> Control:
        control, draw = self._rules.decide(observation), self._draw
        if draw.random() < 0.2:
            return control
        shape = (self.index.rows, LANE_WIDTH)
        flows = 10.0 ** draw.uniform(-3.0, draw.choice((1.0, 5.0, 9.0)), shape) * (draw.random(shape) < 0.8)
        self.set[observation.period] = flows
        return replace(control, flows=flows)


def overdone(run: Simulation, t: int, flows: np.ndarray) -> Iterator[str]:
    """Yield where a run moved more than the flows that were set for period t; recycled feed stands in for virgin."""
    assert run.record
    index, moved = run.record.index, run.record.values[t]
    more = moved > flows * (1.0 + SAME) + DUST * np.maximum(1.0, flows.max())
    yield from (name for name in index.blocks if name != "recycled" and index.block(more, name).any())


def unlawful(run: Simulation, t: int) -> Iterator[str]:
    """Yield where a run did what capacity or law of period t excludes."""
    assert run.record
    index, moved, layout = run.record.index, run.record.values[t], run.layout
    terms, rates, virgin = run._table.at(t), layout.rates, layout.lanes[LaneGroup.VIRGIN]
    overseas, slack = virgin.overseas[:, None, None], 1.0 + SAME
    bought = index.block(moved, "virgin") + index.block(moved, "virgin_fast")
    made, routed = index.block(moved, "produce"), index.block(moved, "route")
    faults = {
        "production": made > rates.production[:, :, None] * terms.plant_available[:, None] * slack,
        "production law": (made > 0.0) & (terms.production_legal == 0.0),
        "inspection": index.block(moved, "inspect") > rates.inspection[:, :, None] * slack,
        "routes": (routed > 0.0) & (terms.route_legal == 0.0)[:, None],
        "landfill": (index.block(moved, "landfill") > 0.0) & (terms.landfill_legal == 0.0),
        "imports": (bought * overseas > 0.0) & (terms.import_legal == 0.0),
        "lanes": (bought > 0.0) & (terms.virgin_open == 0.0)[:, None],
        "transfer": index.block(moved, "transfer").sum(axis=1) > layout.lanes[LaneGroup.LATERAL].limit[:, None] * slack,
    }
    yield from (name for name, fault in faults.items() if fault.any())


@quick(25)
@given(SIZES)
def test_any_flows_keep_the_balance_and_move_no_more_than_there_is(size: Size):
    one = case(size)
    controller = AnyFlows(one.layout, size.seed)
    run = simulation(one, controller, record=True)
    flows: np.ndarray | None = None
    for t in range(PERIODS):
        run.advance(t + 1)  # the engine checks its balance itself
        held = dict(arrays(run.state, "state"))
        assert all(np.isfinite(value).all() for value in held.values())
        assert lowest(held) == {}
        if t % one.layout.suite.epoch_months == 0:
            flows = controller.set.get(t)
        if flows is not None:
            assert (list(overdone(run, t, flows)), list(unlawful(run, t))) == ([], [])
    assert np.isfinite(run.ledger.objective()).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_decision_that_does_not_read_its_flow_is_found(
    everything: Simulation, monkeypatch: pytest.MonkeyPatch, name: str
):
    """Either the replay parts from the run, or more moves than was set."""
    assert everything.record
    flow = Settings.flow
    monkeypatch.setattr(Settings, "flow", lambda self, own: None if own == name else flow(self, own))
    halved = everything.record.values.copy()
    everything.record.index.block(halved, name)[...] *= 0.5
    run = replay(replayed(EVERYTHING), halved)
    more = [fault for t in range(PERIODS) for fault in overdone(run, t, halved[t])]
    assert name in more or apart(everything.ledger, replay_of_everything(everything.record.values)) != []


class Told:
    """Acts by the same flows in every epoch, beside the reference's levers."""

    def __init__(self, reference: Controller, flows: np.ndarray) -> None:
        self._reference, self._flows = reference, flows

    def decide(self, observation: Observation) -> Control:
        return replace(self._reference.decide(observation), flows=self._flows)


def run_told(layout: Layout, reference: Controller, **blocks: float) -> Simulation:
    """A run of a layout under the same flows throughout; blocks that aren't named are 0."""
    index = flow_index(layout)
    flows = np.zeros((index.rows, LANE_WIDTH))
    for name, value in blocks.items():
        index.block(flows, name)[...] = value
    return simulation(Case(layout, ("eu_baseline/0", "eu_baseline/1")), Told(reference, flows), record=True)


def test_recycled_feed_stands_in_for_virgin_feed_that_is_not_there(small, bench):
    """A plant that is told to use none uses what it has, if it has no other."""
    used = [recycled_used(run_told(small, bench.reference(small), produce=10.0), virgin) for virgin in (1e6, 0.0)]
    assert (used[0] == 0.0).all() and (used[1] > 0.0).all()


def recycled_used(run: Simulation, virgin: float) -> np.ndarray:
    """The kg that plants use in the first period with as much virgin feed, and recycled feed of every origin."""
    run.state.pipes[LaneGroup.VIRGIN]._slots[...] = 0.0
    run.state.feed[:, :, 0] = virgin
    run.state.feed[:, :, RECYCLED] = 1e5
    run.advance(1)
    assert run.record
    return run.record.index.block(run.record.values[0], "recycled").sum(axis=(0, 1, 2, 3))


def test_flows_hold_in_each_period_of_their_epoch(small, bench):
    run = run_told(small, bench.reference(small), virgin=3.0)
    run.advance()
    assert run.record
    shipped = run.record.index.block(run.record.values, "virgin")
    lanes = small.lanes[LaneGroup.VIRGIN]
    for t in range(small.suite.periods):
        terms = run._table.at(t)
        works = terms.virgin_open * (terms.supplier_available[lanes.sender] > 0.0)
        assert np.allclose(shipped[t], 3.0 * works[:, None])


def test_orders_under_way_lapse_when_flows_take_over():
    """Nothing that was ordered before comes out of a ring slot long after."""
    one = case(SLOW)
    run = simulation(one, Alert(one.layout, KEYS), record=True)
    run.advance(3)
    assert any(line.on_lanes().any() for line in run.state.requests.values())
    run._controller = Told(Alert(one.layout, KEYS), np.zeros((flow_index(one.layout).rows, LANE_WIDTH)))
    run._settings = None
    run.advance(6)
    assert not any(line.on_lanes().any() for line in run.state.requests.values())


# ---- form


def test_blocks_follow_each_other_and_fill_the_rows():
    index = flow_index(case(EVERYTHING).layout)
    ends = {name: start + int(np.prod(shape)) for name, (start, shape) in index.blocks.items()}
    assert [start for start, _ in index.blocks.values()] == [0, *ends.values()][:-1]
    assert index.rows == list(ends.values())[-1]
    assert isinstance(index, FlowIndex)


def test_the_documented_blocks_are_the_blocks():
    text = FlowIndex.__doc__ or ""
    assert tuple(line.split()[0] for line in text.splitlines() if line.startswith(" " * 8)) == NAMES


def nonsense(flows: np.ndarray, change: Any) -> np.ndarray:
    if callable(change):
        return change(flows)
    flows[-1, 3] = change
    return flows


@pytest.mark.parametrize(
    "change",
    [np.nan, np.inf, -1e-9, 1e200, lambda one: one[1:], lambda one: one[:, 1:], lambda one: one[None]],
)
def test_nonsense_is_the_controllers_fault(small, bench, change: Any):
    flows = np.zeros((flow_index(small).rows, LANE_WIDTH))

    class Nonsense:
        def decide(self, observation: Observation) -> Control:
            return replace(bench.reference(small).decide(observation), flows=nonsense(flows, change))

    with pytest.raises(ModelError, match="a controller set flows"):
        bench.run(small, [bench.scenario(small)], Nonsense())


def test_a_run_keeps_no_record_unless_asked(small, bench):
    run = simulation(Case(small, ("eu_baseline/0", "eu_baseline/1")), bench.reference(small))
    assert run.record is None
