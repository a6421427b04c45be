"""Controllers: what each sets, what it may look at, and how records become batches."""

from dataclasses import replace

import numpy as np
import pytest

from optimizers.contract import Candidate
from optimizers.control_space import search_space, to_record
from optimizers.controllers import KINDS, NEEDS_STATE, MixedBatch, base_stock, build, covers
from optimizers.controllers.compliance_base_stock import PARAMETERS, default_parameters
from optimizers.controllers.schedule import schedule_from_record, searched_targets, usual_targets
from sim_core.control import Control, ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import pad, simulate
from sim_core.engine.settings import M, S, Settings, U
from sim_core.errors import ModelError
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import Lane, LaneGroup, Network, Node, NodeKind, arrange
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

AHEAD, MATERIALS = 48, 5
ROUTES = ("export", "pyro", "hydro", "hydro_high")


@pytest.fixture(scope="module")
def layout() -> Layout:
    one = SplitDefinition(families=("eu_baseline",), scenarios=1)
    suite = SuiteDefinition(
        name="controllers",
        products=(ProductShare(archetype="ev_battery"),),
        network="regional",
        seed=3,
        start="2026-01",
        warm_up=0,
        scored=48,
        run_out=0,
        splits={"train": one, "validation": one, "test": replace(one, families=("eu_delay",))},
        shortfall_price={},
    )
    return build_layout(suite)


def observation(
    cells: int, *, duty_in: int | None = None, barred: str | None = None, barred_in: int = 0
) -> Observation:
    """A view in which a duty begins, or a route is barred, so many months ahead."""
    duty, legal = np.zeros((AHEAD, MATERIALS, cells)), np.ones((AHEAD, len(ROUTES), cells), dtype=bool)
    if duty_in is not None:
        duty[duty_in:, 0] = 0.16
    if barred is not None:
        legal[barred_in:, ROUTES.index(barred)] = False
    collection = np.zeros((len(duty), duty.shape[-1]))
    return Observation(
        period=0, epoch=0, announced_duty=duty, announced_route_legal=legal, announced_collection=collection
    )


def decide(layout: Layout, *records: ControllerRecord, **view) -> Control:
    return build(layout, records).decide(observation(len(records), **view))


def lever(layout: Layout, control: Control, name: str) -> np.ndarray:
    return control.levers[layout.suite.levers.index(name)]


def schedule_record(layout: Layout, seed: int = 0) -> ControllerRecord:
    draw = np.random.default_rng(seed)
    space = search_space(layout, "schedule")
    candidate = Candidate(
        bits=draw.random((space.epochs, len(space.levers))) < 0.5, values=draw.random(len(space.parameters))
    )
    return to_record("schedule", candidate, space)


def reference(**parameters) -> ControllerRecord:
    return ControllerRecord(kind="compliance_base_stock", parameters=parameters)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - NEEDS_STATE))
def test_controls_are_targets_and_levers_in_the_unit_interval(layout, kind: str):
    record = schedule_record(layout) if kind == "schedule" else ControllerRecord(kind=kind)
    control = decide(layout, record, record, duty_in=3, barred="hydro")
    assert control.targets.shape == (3, len(layout.network.nodes), 2)
    assert control.levers.shape == (len(layout.suite.levers), 2)
    for part in (control.targets, control.levers):
        assert ((part >= 0.0) & (part <= 1.0)).all()


def test_linear_recovers_nothing(layout):
    control = decide(layout, ControllerRecord(kind="linear"), duty_in=0, barred="pyro")
    assert not control.levers.any() and not control.targets[[M, U]].any()
    stocked = np.flatnonzero(control.targets[S, :, 0])
    assert stocked.tolist() == [*layout.targets[NodeKind.PLANT], *layout.targets[NodeKind.WAREHOUSE]]


def test_the_reference_invests_only_when_a_duty_lies_within_its_planning(layout):
    records = [reference(planning=0.0), reference(planning=0.5), reference(planning=1.0)]
    assert lever(layout, decide(layout, *records, duty_in=30), "invest_recycler").tolist() == [0.0, 0.0, 1.0]
    assert lever(layout, decide(layout, *records, duty_in=12), "invest_recycler").tolist() == [0.0, 1.0, 1.0]
    assert lever(layout, decide(layout, *records, duty_in=0), "invest_recycler").tolist() == [1.0, 1.0, 1.0]
    assert not lever(layout, decide(layout, *records), "invest_recycler").any()


def test_a_route_that_is_some_products_best_gives_way_to_none(layout):
    """In a suite of two products the best route of the first is not the last of all."""
    both = (ProductShare(archetype="ev_battery"), ProductShare(archetype="smartphone"))
    two = build_layout(replace(layout.suite, products=both))
    routes = two.products.routes
    for route, expected in (("hydro", 1.0), ("leaching", 1.0), ("hydro_high", 0.0), ("leaching_high", 0.0)):
        view = observation(1)
        legal = np.ones((AHEAD, len(routes), 1), dtype=bool)
        legal[3:, routes.index(route)] = False
        control = build(two, [reference()]).decide(replace(view, announced_route_legal=legal))
        assert lever(two, control, "alternative_route").tolist() == [expected], route


@pytest.mark.parametrize("route", ["pyro", "hydro"])
def test_the_reference_changes_route_before_a_cheap_one_is_barred(layout, route: str):
    records = [reference(planning=0.25), reference(planning=1.0)]
    found = lever(layout, decide(layout, *records, barred=route, barred_in=20), "alternative_route")
    assert found.tolist() == [0.0, 1.0]
    assert not lever(layout, decide(layout, *records), "alternative_route").any()


def test_the_reference_puts_its_parameters_where_they_belong(layout):
    values = {name: 0.1 * (i + 1) for i, name in enumerate(PARAMETERS)}
    targets = decide(layout, reference(**values)).targets[..., 0]
    expected = {
        (S, NodeKind.PLANT): "plant_cover",
        (S, NodeKind.WAREHOUSE): "warehouse_cover",
        (M, NodeKind.PLANT): "recycled_cover",
        (M, NodeKind.REMANUFACTURER): "reman_cover",
        (U, NodeKind.REMANUFACTURER): "keep_cover",
        (U, NodeKind.RECYCLER): "keep_cover",
    }
    for (row, kind), name in expected.items():
        assert (targets[row, layout.targets[kind]] == values[name]).all(), name
    assert (targets[M, layout.targets[NodeKind.RECYCLER]] == 1.0).all(), "recovery at full throughput"


def test_the_reference_without_parameters_has_its_defaults(layout):
    assert np.array_equal(
        decide(layout, reference()).targets, decide(layout, reference(**default_parameters(layout))).targets
    )


def check_practice_is_in_months(layout: Layout) -> None:
    """A cover is so many months of demand, whatever multiple a target of 1 means in the suite."""
    months = {"plant_cover": 1.2, "warehouse_cover": 1.3, "recycled_cover": 1.5, "reman_cover": 1.5, "keep_cover": 0.5}
    for cover in (4.0, 8.0, 1.2):
        other = build_layout(replace(layout.suite, max_cover=cover))
        expected = {name: min(1.0, value / cover) for name, value in months.items()}
        assert default_parameters(other) == pytest.approx({**expected, "planning": 0.6})
        assert set(default_parameters(other)) == set(PARAMETERS)
        stocked = decide(other, ControllerRecord(kind="linear")).targets[S, :, 0]
        for kind, value in ((NodeKind.PLANT, 1.2), (NodeKind.WAREHOUSE, 1.3)):
            assert stocked[other.targets[kind]] == pytest.approx(min(1.0, value / cover))


def test_usual_covers_are_in_months_whatever_the_suites_scale(layout):
    check_practice_is_in_months(layout)


def test_covers_that_forget_the_suites_scale_are_found(layout, monkeypatch):
    monkeypatch.setattr(covers, "base_stock_target", lambda layout, kind, row: base_stock.COVER[kind, row] / 4.0)
    with pytest.raises(AssertionError):
        check_practice_is_in_months(layout)


@pytest.mark.parametrize("kind", ["linear", "compliance_base_stock"])
def test_an_unknown_parameter_is_refused(layout, kind: str):
    with pytest.raises(ModelError, match=r"has no parameters.*'covr'"):
        build(layout, [ControllerRecord(kind=kind, parameters={"covr": 0.5})])


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "much", "0.5", True, None, [0.5]])
def test_a_parameter_outside_the_unit_interval_is_refused(layout, value):
    with pytest.raises(ModelError, match=r"compliance_base_stock: plant_cover must be a number in \[0, 1\], not"):
        build(layout, [reference(plant_cover=value)])


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_unit_interval_are_parameters(layout, value: float):
    targets = decide(layout, reference(plant_cover=value)).targets
    assert (targets[S, layout.targets[NodeKind.PLANT]] == value).all()


def test_linear_takes_no_parameter_of_another_kind(layout):
    with pytest.raises(ModelError, match=r"linear has no parameters, but was given \['plant_cover'\]: remove them"):
        build(layout, [ControllerRecord(kind="linear", parameters={"plant_cover": 0.5})])


def test_an_unknown_controller_is_refused(layout):
    with pytest.raises(ModelError, match=r"unknown controllers \['clairvoyant'\]; known are"):
        build(layout, [ControllerRecord(kind="clairvoyant")])


def test_controllers_decide_alike_alone_and_in_a_mixed_batch(layout):
    records = [
        schedule_record(layout, 1),
        reference(),
        ControllerRecord(kind="linear"),
        schedule_record(layout, 2),
        reference(planning=1.0),
    ]
    together = decide(layout, *records, duty_in=30, barred="pyro", barred_in=4)
    for cell, record in enumerate(records):
        alone = decide(layout, record, duty_in=30, barred="pyro", barred_in=4)
        assert np.array_equal(together.targets[..., cell], alone.targets[..., 0])
        assert np.array_equal(together.levers[..., cell], alone.levers[..., 0])


def test_an_empty_batch_is_refused():
    with pytest.raises(ModelError, match="at least one controller"):
        MixedBatch([], 0).decide(observation(0))


@pytest.mark.parametrize("targets", ["node", "kind"])
def test_a_candidate_becomes_the_schedule_that_it_stands_for(layout, targets: str):
    layout = build_layout(replace(layout.suite, targets=targets))
    space = search_space(layout, "schedule")
    assert space.epochs == layout.suite.epochs and space.levers == layout.suite.levers
    bits = np.zeros((space.epochs, len(space.levers)), dtype=bool)
    bits[1, 2] = True
    values = np.linspace(0.01, 0.99, len(space.parameters))
    record = to_record("schedule", Candidate(bits=bits, values=values), space)
    schedule = schedule_from_record(layout, record.parameters)
    assert np.array_equal(schedule.levers, bits)
    for (row, nodes), value in zip(searched_targets(layout).values(), values, strict=True):
        assert (schedule.targets[row, nodes] == value).all()
    assert np.count_nonzero(schedule.targets) == sum(len(nodes) for _, nodes in searched_targets(layout).values())
    again = ControllerRecord.from_json(record.to_json())
    assert again.digest == record.digest


def names_by_kind(layout: Layout) -> list[str]:
    letters = {"plant": "SMU", "warehouse": "S", "collector": "U", "inspection": "M"}
    letters |= {"remanufacturer": "MU", "recycler": "MU"}
    return [f"{kind}.{letter}" for kind, row in letters.items() for letter in row]


def test_a_search_sets_one_number_for_each_node_or_for_each_kind(layout):
    by_node = searched_targets(layout)
    by_kind = searched_targets(build_layout(replace(layout.suite, targets="kind")))
    assert list(by_kind) == names_by_kind(layout)
    assert all(len(nodes) == 1 for _, nodes in by_node.values())
    for name, (row, nodes) in by_kind.items():
        kind, letter = name.split(".")
        assert nodes == layout.targets[NodeKind(kind)].tolist() and row == "SMU".index(letter)
        assert nodes == [by_node[f"{layout.network.nodes[node].name}.{letter}"][1][0] for node in nodes]


@pytest.mark.parametrize("targets", ["node", "kind"])
def test_a_search_of_schedules_starts_from_practice_and_that_is_what_the_reference_does(layout, targets: str):
    """All but the keep-up-to levels of recyclers, which the reference sets with those of remanufacturers."""
    layout = build_layout(replace(layout.suite, targets=targets))
    space = search_space(layout, "schedule")
    assert space.start == tuple(usual_targets(layout)) and len(space.start) == len(space.parameters)
    bits = np.zeros((space.epochs, len(space.levers)), dtype=bool)
    started = decide(layout, to_record("schedule", Candidate(bits=bits, values=np.array(space.start)), space))
    usual = decide(layout, reference())
    assert not started.levers.any()
    recyclers = layout.targets[NodeKind.RECYCLER]
    assert (started.targets[U, recyclers] == 0.25).all()
    started.targets[U, recyclers] = usual.targets[U, recyclers]
    assert np.array_equal(started.targets, usual.targets)


def test_a_schedule_of_the_other_targets_is_refused(layout):
    other = build_layout(replace(layout.suite, targets="kind"))
    with pytest.raises(
        ModelError, match=r"a schedule for this suite has 10 targets and 11 levers .* made for another suite"
    ):
        build(other, [schedule_record(layout)])


def test_a_schedule_follows_its_epochs_and_keeps_the_last(layout):
    record = schedule_record(layout)
    controller = build(layout, [record])
    bits = record.parameters["levers"]
    for epoch in range(len(bits) + 3):
        found = controller.decide(replace(observation(1), epoch=epoch)).levers[:, 0]
        assert "".join(str(int(bit)) for bit in found) == bits[min(epoch, len(bits) - 1)]


def test_a_schedule_for_another_network_is_refused(layout):
    other = build_layout(replace(layout.suite, network="loop"))
    with pytest.raises(ModelError, match="made for another suite"):
        build(other, [schedule_record(layout)])


def test_the_reference_is_searched_by_its_parameters_and_linear_is_not(layout):
    space = search_space(layout, "compliance_base_stock")
    assert space.parameters == PARAMETERS and space.bits == 0
    assert dict(zip(PARAMETERS, space.start, strict=True)) == default_parameters(layout)
    candidate = Candidate(bits=np.zeros((0, 0), dtype=bool), values=np.full(len(PARAMETERS), 0.25))
    assert to_record("compliance_base_stock", candidate, space).parameters == dict.fromkeys(PARAMETERS, 0.25)
    with pytest.raises(ModelError, match="nothing to search"):
        search_space(layout, "linear")


# ---- base_stock: levels that users state


def shop(**warehouse) -> Network:
    nodes = [
        Node(name="vendor", kind=NodeKind.SUPPLIER),
        Node(name="shop", kind=NodeKind.WAREHOUSE, **warehouse),
        Node(name="town", kind=NodeKind.MARKET),
    ]
    lanes = [
        Lane(group=LaneGroup.PURCHASE, sender=0, receiver=1, lead=2, share=1.0),
        Lane(group=LaneGroup.SALES, sender=1, receiver=2, lead=0, share=1.0),
    ]
    return arrange(nodes, lanes)


def shop_layout(layout: Layout, **warehouse) -> Layout:
    plain = (ProductShare(archetype="plain"),)
    return build_layout(replace(layout.suite, products=plain, network=shop(**warehouse), max_cover=4.0))


def base_stock_of(layout: Layout, **levels) -> ControllerRecord:
    return ControllerRecord(kind="base_stock", parameters={k.replace("__", "."): v for k, v in levels.items()})


def test_a_level_is_in_units_where_the_node_says_what_its_most_is(layout):
    one = shop_layout(layout, max_target={"S": 80.0})
    control = Settings(one, decide(one, *[base_stock_of(one, shop__S=20.0)] * 8), 8)
    usual = np.full((1, 1, 8), 7.0)
    assert control.level(S, one.targets[NodeKind.WAREHOUSE], usual)[0, 0].tolist() == pytest.approx([20.0] * 8)


def test_a_level_is_a_multiple_of_lead_time_demand_elsewhere(layout):
    one = shop_layout(layout)
    control = Settings(one, decide(one, *[base_stock_of(one, shop__S=1.5)] * 8), 8)
    usual = np.full((1, 1, 8), 7.0)
    assert control.level(S, one.targets[NodeKind.WAREHOUSE], usual)[0, 0].tolist() == pytest.approx([10.5] * 8)


def test_targets_that_are_not_named_are_none_and_all_levers_are_off(layout):
    control = decide(layout, base_stock_of(layout))
    assert not control.targets.any() and not control.levers.any()
    named = layout.network.nodes[layout.targets[NodeKind.WAREHOUSE][0]].name
    control = decide(layout, ControllerRecord(kind="base_stock", parameters={f"{named}.S": 2.0}))
    assert np.count_nonzero(control.targets) == 1 and control.targets.max() == 2.0 / layout.suite.max_cover


@pytest.mark.parametrize("key", ["shop", "shop.X", "mall.S", "S", ".S", "shop.S.S", "shop.s"])
def test_a_level_of_something_that_is_no_target_is_refused(layout, key: str):
    one = shop_layout(layout)
    with pytest.raises(ModelError, match=r"base_stock: .* is no target; write node.letter, the node one of .*'shop'"):
        build(one, [ControllerRecord(kind="base_stock", parameters={key: 1.0})])


@pytest.mark.parametrize("value", [-0.1, 80.1, float("nan"), float("inf"), "20", True, None])
def test_a_level_beyond_what_the_node_allows_is_refused(layout, value):
    one = shop_layout(layout, max_target={"S": 80.0})
    with pytest.raises(ModelError, match=r"base_stock: shop.S must be a number from 0 to 80, not"):
        build(one, [base_stock_of(one, shop__S=value)])


def test_base_stock_is_not_searched(layout):
    with pytest.raises(ModelError, match="nothing to search"):
        search_space(layout, "base_stock")


# ---- in a run


def run_of(layout: Layout, record: ControllerRecord) -> Ledger:
    scenario = build_scenario(layout, "eu_baseline/0")
    rows = pad(1)
    return simulate(layout, [scenario], rows, build(layout, [record] * len(rows)), ["one"] * len(rows))


def test_linear_recovers_nothing_and_the_reference_does_everything(layout):
    linear, compliant = run_of(layout, ControllerRecord(kind="linear")), run_of(layout, reference())
    for flow in (Flow.TO_REUSE, Flow.TO_RECYCLING, Flow.REUSED, Flow.RECYCLED_FEED):
        assert (linear.flow[flow] == 0.0).all()
        assert (compliant.flow[flow] > 0.0).all()


def test_expedited_feed_needs_less_stock_for_the_same_service(layout):
    def schedule(bit: str) -> ControllerRecord:
        levers = ["".join(bit if name == "expedite" else "0" for name in layout.suite.levers)]
        return ControllerRecord(kind="schedule", parameters={"levers": levers, "targets": usual_targets(layout)})

    slow, fast = run_of(layout, schedule("0")), run_of(layout, schedule("1"))
    assert (fast.money[Account.HOLDING] < slow.money[Account.HOLDING]).all()
    assert fast.flow[Flow.SERVED] == pytest.approx(slow.flow[Flow.SERVED], rel=1e-3)
    assert (fast.money[Account.TRANSPORT] > slow.money[Account.TRANSPORT]).all()
