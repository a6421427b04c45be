"""What local base-stock, (s,S) and echelon base-stock are famous for."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.estimates import plan_of
from optimizers.controllers import build, echelon_base_stock, reorder_point
from optimizers.controllers.covers import expected_at_goods, order_months
from optimizers.controllers.echelon_base_stock import echelon_defaults, local_levels
from orchestrator.shard import Shard
from sim_core.control import ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.settings import S
from sim_core.exogenous import Process
from sim_core.network import Network, NodeKind
from sim_core.scenario import build_scenario
from sim_core.suite import SuiteDefinition
from tests.sim_core import tiny

RUNS = 64


def of(kind: str, **parameters: float) -> ControllerRecord:
    return ControllerRecord(kind=kind, parameters={name.replace("__", "."): v for name, v in parameters.items()})


def seen(layout: Layout) -> Observation:
    duty, legal = (
        np.zeros((4, len(layout.facts.materials), 1)),
        np.ones((4, len(layout.products.routes), 1), dtype=bool),
    )
    collection = np.zeros((len(duty), duty.shape[-1]))
    return Observation(
        period=0, epoch=0, announced_duty=duty, announced_route_legal=legal, announced_collection=collection
    )


def costs_of(file: str, *records: ControllerRecord) -> np.ndarray:
    """The mean cost a period of each controller on the same runs, (records, runs)."""
    plan = plan_of(file)
    suite = replace(plan.suite, splits={"test": replace(plan.suite.splits["test"], scenarios=RUNS)})
    plan, shard = replace(plan, suite=suite), Shard(plan.suite)
    cells = [cell for record in records for cell in plan.score_cells(record)]
    cost = shard.trace(cells, ("cost",))["cost"][suite.warm_up :].mean(axis=0)
    return cost.reshape(len(records), RUNS)


# ---- local base-stock


def test_a_local_base_stock_finds_the_critical_fractile():
    """Newsvendor: of levels around mean + z sd, the cheapest is that of the fractile p / (h + p)."""
    levels = (50.0, 53.0, 56.6, 60.0, 63.0)
    records = [of("local_base_stock", shop__S=level / 128.0) for level in levels]
    cost = costs_of("known/newsvendor_normal.yaml", *records).mean(axis=1)
    assert levels[int(cost.argmin())] == 56.6
    assert cost[2] == pytest.approx(1.997605, rel=0.01)


# ---- echelon base-stock

OPTIMUM = {"stage1.S": 6.49 / 64, "stage2.S": 12.02 / 64, "stage3.S": 22.71 / 64}


def test_clark_and_scarfs_echelon_levels_cost_what_is_known():
    echelon, local = (
        ControllerRecord(kind="echelon_base_stock", parameters=OPTIMUM),
        ControllerRecord(kind="base_stock", parameters={"stage1.S": 6.49, "stage2.S": 5.53, "stage3.S": 10.69}),
    )
    cost = costs_of("serial_clark_scarf.yaml", echelon, local)
    assert cost[0].mean() == pytest.approx(47.67, rel=0.005)
    assert cost[0] == pytest.approx(cost[1], rel=1e-9)


def test_echelon_levels_taken_as_local_ones_are_found(monkeypatch):
    """The mutant: no recursion; each stage orders up to its echelon's level."""
    monkeypatch.setattr(echelon_base_stock, "local_levels", lambda _, echelon: echelon)
    cost = costs_of("serial_clark_scarf.yaml", ControllerRecord(kind="echelon_base_stock", parameters=OPTIMUM))
    assert cost.mean() > 1.2 * 47.67


def serial() -> Layout:
    return build_layout(plan_of("serial_clark_scarf.yaml").suite)


@pytest.mark.parametrize(
    ("echelon", "local"),
    [
        ((22.0, 12.0, 6.0), (10.0, 6.0, 6.0)),
        ((22.0, 12.0, 15.0), (10.0, 0.0, 12.0)),  # stage 1 can't hold more than stages 1 and 2 together
        ((8.0, 12.0, 6.0), (0.0, 2.0, 6.0)),
        ((5.0, 12.0, 9.0), (0.0, 0.0, 5.0)),  # the lowest above all
    ],
)
def test_local_levels_are_differences_of_least_levels_above(echelon, local):
    """Levels of stages 3, 2 and 1, from the top down as the network lists them."""
    layout = serial()
    names = [layout.network.nodes[node].name for node in layout.goods]
    assert names == ["stage3", "stage2", "stage1"]
    found = local_levels(layout, np.array(echelon)[:, None])
    assert found[:, 0] == pytest.approx(local)


def tree() -> Layout:
    """A depot for two shops; the first serves three quarters of the demand. A month of lead time on each lane."""
    nodes = {
        "v": "supplier", "depot": "warehouse", "a": "warehouse", "b": "warehouse",
        "m": ("market", {"demand": tiny.demand(30.0)}), "n": ("market", {"demand": tiny.demand(10.0)}),
    }  # fmt: skip
    lanes = {
        "v > depot": {"lead": 2}, "depot > a": {"lead": 1}, "depot > b": {"lead": 1}, "a > m": {}, "b > n": {},
    }  # fmt: skip
    return build_layout(tiny.suite(tiny.net(nodes, lanes), max_cover=4.0))


def test_an_echelon_covers_its_branches_and_cuts_them_in_proportion():
    layout = tree()
    assert expected_at_goods(layout)[:, 0].tolist() == [40.0, 30.0, 10.0]
    assert order_months(layout).tolist() == [2.0, 1.0, 1.0]
    full = local_levels(layout, np.array([[200.0], [60.0], [20.0]]))
    assert full[:, 0].tolist() == [120.0, 60.0, 20.0]
    cut = local_levels(layout, np.array([[40.0], [60.0], [20.0]]))
    assert cut[:, 0].tolist() == [0.0, 30.0, 10.0]


def test_echelon_base_stock_starts_from_the_local_practice():
    layout = tree()
    start = build(layout, [ControllerRecord(kind="echelon_base_stock")]).decide(seen(layout)).targets
    usual = build(layout, [ControllerRecord(kind="local_base_stock")]).decide(seen(layout)).targets
    assert start[S, layout.goods] == pytest.approx(usual[S, layout.goods])
    assert set(echelon_defaults(layout)) == {"depot.S", "a.S", "b.S", "recycled_cover", "reman_cover", "keep_cover"}


def test_one_level_for_a_kind_of_node_counts_the_lead_times_below():
    layout = build_layout(replace(tree().suite, targets="kind"))
    levels = build(layout, [of("echelon_base_stock", warehouse__S=0.5)]).decide(seen(layout)).targets
    # Half of 4 months for each month of lead time: 6 months at the depot, of which 2 are the shops'.
    assert levels[S, layout.goods, 0] == pytest.approx([0.5, 0.5, 0.5])


# ---- reorder points


def shop(demand: Process, lead: int = 1) -> Network:
    nodes = {
        "v": "supplier",
        "w": ("warehouse", {"max_target": {"S": 100.0}}),
        "m": ("market", {"demand": demand, "backlog": True, "shortage_cost": 5.0}),
    }
    return tiny.net(nodes, {"v > w": {"lead": lead}, "w > m": {}})


NOISE = Process(kind="normal", mean=10.0, sd=2.0)


def ordered(suite: SuiteDefinition, *records: ControllerRecord) -> tuple[np.ndarray, np.ndarray]:
    """Orders of each controller by month, (T, records), and the position before them: that after less the order."""
    layout = build_layout(suite)
    controller = build(layout, [*records, *[records[0]] * (8 - len(records))])
    run = tiny.begin(layout, {}, empty=False)
    run._controller = controller
    orders, positions = [], []
    for t in range(suite.periods):
        run.advance(t + 1)
        assert run.trace is not None
        orders.append(run.trace["ordered"][t])
        positions.append(run._situation().position()[0, 0] - orders[-1])
    return np.array(orders)[:, : len(records)], np.array(positions)[:, : len(records)]


def test_a_reorder_point_orders_seldom_and_never_between_s_and_S():  # noqa: N802, s and S are two numbers
    """With constant demand the review knows what the position will be: (s,S) to the letter."""
    suite = tiny.suite(shop(tiny.demand(10.0)), epoch_months=1, scored=60)
    orders, before = ordered(suite, of("s_S", warehouse_cover=0.6, reorder=0.5), of("s_S", warehouse_cover=0.6))
    placed = orders[:, 0] > 1e-9
    assert (before[placed, 0] <= 30.0 + 1e-9).all() and (before[~placed, 0] > 30.0 - 1e-9).all()
    assert (before[placed, 0] + orders[placed, 0]) == pytest.approx(60.0)
    assert 0.2 <= placed.mean() <= 0.4, "every third month, from 60 to 30"


def check_fewer_orders(suite: SuiteDefinition) -> None:
    """At equal S, (s,S) orders in fewer months than base-stock, as much in all, up to S each time."""
    orders, before = ordered(
        suite, of("s_S", warehouse_cover=0.6, reorder=0.5), of("s_S", warehouse_cover=0.6, reorder=1.0)
    )
    placed = orders[12:] > 1e-9
    assert placed[:, 1].mean() > 0.95 and placed[:, 0].mean() < 0.5
    assert orders[12:, 0].sum() == pytest.approx(orders[12:, 1].sum(), rel=0.1)
    full = (before + orders)[12:][placed]
    assert full == pytest.approx(np.full(len(full), 60.0))


def test_a_reorder_point_orders_less_often_than_base_stock():
    check_fewer_orders(tiny.suite(shop(NOISE), epoch_months=1, scored=72))


def test_a_reorder_point_that_always_orders_is_found(monkeypatch):
    monkeypatch.setattr(
        reorder_point.ReorderPoint, "_is_low", lambda self, situation, share: np.ones(share.shape, dtype=bool)
    )
    with pytest.raises(AssertionError):
        check_fewer_orders(tiny.suite(shop(NOISE), epoch_months=1, scored=72))


def test_a_reorder_point_at_S_is_base_stock():  # noqa: N802
    suite = tiny.suite(shop(NOISE, lead=2), epoch_months=1, scored=36)
    orders, _ = ordered(suite, of("s_S", warehouse_cover=0.6, reorder=1.0), of("local_base_stock", w__S=0.6))
    assert orders[:, 0].tobytes() == orders[:, 1].tobytes()


def test_a_plant_that_buys_feed_keeps_a_base_stock():
    layout = tiny.loop()
    run = tiny.begin(layout, {}, empty=False)
    controller = build(layout, [of("s_S", plant_cover=0.4, warehouse_cover=0.1, reorder=0.0)] * 8)
    view = replace(seen(layout), situation=run._situation())
    targets = controller.decide(view).targets
    assert (targets[S, layout.targets[NodeKind.PLANT]] == 0.4).all()
    assert (targets[S, layout.targets[NodeKind.WAREHOUSE]] == 0.0).all()


def test_the_position_that_is_reviewed_is_the_engines():
    """The situation's inventory position is what the engine orders by."""
    layout = build_layout(tiny.suite(shop(NOISE, lead=2), epoch_months=1, scored=12))
    one = build_scenario(layout, "none/0")
    assert one.paths.demand.std() > 0.0
    orders, before = ordered(layout.suite, of("local_base_stock", w__S=0.6))
    assert (before + orders) == pytest.approx(60.0)
