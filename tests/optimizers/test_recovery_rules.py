"""What push, pull, smu, the dynamic programme and best grade first are famous for."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks import estimates
from benchmarks.estimates import plan_of, sharpened
from optimizers.controllers import build, pull, push
from optimizers.controllers.dynamic_programme import DynamicProgramme
from orchestrator.plan import Plan
from orchestrator.shard import Shard
from sim_core.control import ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import pad, simulate
from sim_core.engine.settings import M, S, U
from sim_core.errors import ModelError
from sim_core.ledger import Flow
from sim_core.network import NodeKind
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare
from tests.sim_core import tiny

RUNS = 64
MOST = 16.0  # units, of the max_target in the files
SERIES = ("cost", "cores", "goods_on_hand", "remanufactured")
PUSH = {"k1": (14.931459, 9), "k2": (19.908421, 5), "k3": (18.082416, 10)}
SMU = {"k1": (14.433054, 8), "k2": (19.855789, 1), "k3": (17.578181, 8)}
OPTIMUM = {"k1": 14.432277, "k2": 19.855789, "k3": 17.575139}


def seen(layout: Layout) -> Observation:
    """A view without law, of one cell."""
    duty = np.zeros((4, len(layout.facts.materials), 1))
    legal = np.ones((4, len(layout.products.routes), 1), dtype=bool)
    collection = np.zeros((len(duty), duty.shape[-1]))
    return Observation(
        period=0, epoch=0, announced_duty=duty, announced_route_legal=legal, announced_collection=collection
    )


def of(kind: str, **parameters: float) -> ControllerRecord:
    return ControllerRecord(kind=kind, parameters={name.replace("__", "."): v for name, v in parameters.items()})


@cache
def case(name: str) -> tuple[Plan, Shard]:
    """The first scenarios of a hybrid case, reviewed every month."""
    plan = plan_of(f"known/hybrid_{name}.yaml")
    suite = replace(plan.suite, epoch_months=1, splits={"test": replace(plan.suite.splits["test"], scenarios=RUNS)})
    plan = replace(plan, suite=suite)
    return plan, Shard(suite)


@cache
def mean_of(name: str, kind: str, *parameters: tuple[str, float]) -> dict[str, np.ndarray]:
    """The mean of each series over the scored months, by run."""
    plan, shard = case(name)
    trace = shard.trace(plan.score_cells(of(kind, **dict(parameters))), SERIES)
    return {series: values[plan.suite.warm_up :].mean(axis=0) for series, values in trace.items()}


def check_near(name: str, costs: np.ndarray, answer: float) -> None:
    """The mean cost is within 3 standard errors of the answer, and these are at most 0.1 % of it."""
    found, error = sharpened(costs, controls(name))
    assert abs(found - answer) <= 3.0 * error and error <= 0.001 * answer


@cache
def controls(name: str) -> np.ndarray:
    plan, shard = case(name)
    return estimates._controls(plan.suite, shard, [cell.scenario for cell in plan.score_cells(of("push"))])


def pushed(name: str, most: float) -> dict[str, np.ndarray]:
    return mean_of(name, "push", ("plant_cover", 4 / MOST), ("dispose_above", most / MOST))


def pulled(name: str) -> dict[str, np.ndarray]:
    return mean_of(name, "pull", ("plant_cover", 4 / MOST), ("dispose_above", SMU[name][1] / MOST))


@pytest.mark.parametrize("name", PUSH)
def test_push_costs_what_is_known(name: str):
    answer, most = PUSH[name]
    check_near(name, pushed(name, most)["cost"], answer)


def test_push_keeps_no_core_and_one_that_does_is_found(monkeypatch):
    """The mutant: what is not remanufactured waits in place of being disposed of."""
    assert (pushed("k2", 5)["cores"] == 0.0).all()
    monkeypatch.setattr(push, "U", M)  # U stays where practice has it
    keeping = mean_of("k2", "push", ("plant_cover", 4 / MOST), ("dispose_above", 5.0 / MOST), ("warehouse_cover", 0.1))
    with pytest.raises(AssertionError):
        check_near("k2", keeping["cost"], PUSH["k2"][0])


@pytest.mark.parametrize("name", SMU)
def test_pull_and_smu_cost_what_is_known(name: str):
    answer, keep = SMU[name]
    levels = (("works.S", 4 / MOST), ("shop.M", 4 / MOST), ("shop.U", keep / MOST))
    found = mean_of(name, "smu", *levels)["cost"] if name == "k1" else pulled(name)["cost"]
    check_near(name, found, answer)


@pytest.mark.parametrize("name", ["k1", "k3"])
def test_push_holds_fewer_cores_and_pull_fewer_goods(name: str):
    """Van der Laan and Salomon's comparison, at the same order-up-to level, on every path of demand and returns."""
    first, second = pushed(name, PUSH[name][1]), pulled(name)
    assert (first["cores"] < second["cores"]).all()
    assert (first["goods_on_hand"] > second["goods_on_hand"]).all()


@pytest.mark.parametrize("name", OPTIMUM)
def test_the_dynamic_programme_costs_the_optimum_and_nothing_beats_it(name: str):
    shard = case(name)[1]
    controller = build(shard.layout, [of("dynamic_programme")])
    assert isinstance(controller, DynamicProgramme)
    assert controller.solution.cost == pytest.approx(OPTIMUM[name], abs=1e-4)
    exact = mean_of(name, "dynamic_programme")["cost"]
    check_near(name, exact, OPTIMUM[name])
    paired = pulled(name)["cost"] - exact
    error = paired.std(ddof=1) / RUNS**0.5
    assert paired.mean() >= -3.0 * error - 1e-9
    assert paired.mean() <= 0.0002 * OPTIMUM[name] + 3.0 * error + 1e-9
    worse = pushed(name, PUSH[name][1])["cost"] - exact
    assert worse.mean() > 3.0 * worse.std(ddof=1) / RUNS**0.5


def test_with_u_as_a_total_the_dynamic_programme_does_the_same():
    plan, shard = case("k1_total")
    exact = shard.trace(plan.score_cells(of("dynamic_programme"))[:2], ("cost",))["cost"]
    assert exact[plan.suite.warm_up :].mean(axis=0) == pytest.approx(mean_of("k1", "dynamic_programme")["cost"][:2])


def test_a_dynamic_programme_that_forgets_this_months_returns_is_found(monkeypatch):
    """The mutant: it decides by the cores that lay there before, and pays for it."""
    plan, shard = case("k1")
    solved = DynamicProgramme.decide

    def forgetful(self, observation):
        table = observation.situation.table
        quiet = replace(table.at(observation.period), remanufacturer_returns=np.zeros((1, 1, RUNS)))
        monkeypatch.setattr(type(table), "at", lambda self, t: quiet)
        try:
            return solved(self, observation)
        finally:
            monkeypatch.undo()
            monkeypatch.setattr(DynamicProgramme, "decide", forgetful)

    right = mean_of("k1", "dynamic_programme")["cost"]
    monkeypatch.setattr(DynamicProgramme, "decide", forgetful)
    wrong = shard.trace(plan.score_cells(of("dynamic_programme")), ("cost",))["cost"][plan.suite.warm_up :]
    difference = wrong.mean(axis=0) - right
    assert difference.mean() > 3.0 * difference.std(ddof=1) / RUNS**0.5


# ---- what can't be solved is refused by name

REFUSED = {
    "it takes one product": {"products": (ProductShare(archetype="plain"), ProductShare(archetype="plain", name="b"))},
    "it takes no law": {"families": ("eu_baseline",)},
    "epoch_months 1, not 24": {"epoch_months": 24},
    "discount_rate 0, not 0.05": {"discount_rate": 0.05},
    "holding.rate must be 0": {"products": (tiny.plain(holding__rate=0.1),)},
    "reman.yield must be 1": {"products": (tiny.plain(reman__yield=0.9),)},
    "units must be as good as new": {"products": (tiny.plain(soh__life1=0.9),)},
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_suite_that_it_cannot_solve_is_refused(said: str):
    suite = case("k1")[0].suite
    changes = dict(REFUSED[said])
    if "families" in changes:
        changes = {"splits": {"test": replace(suite.splits["test"], families=changes["families"])}}
    with pytest.raises(ModelError, match=rf"dynamic_programme can't solve this suite exactly: .*{said}"):
        build(build_layout(replace(suite, **changes)), [of("dynamic_programme")])


NODES = {
    "the market must wait": ("customers", {"backlog": False}),
    "demand must be a pmf of whole units": ("customers", {"demand": tiny.demand(1.0, 2.0)}),
    "the remanufacturer must have storage": ("shop", {"storage": None}),
    "the remanufacturer must state max_target U": ("shop", {"max_target": {"M": 16.0}}),
    "capacity of at least": ("works", {"capacity": 5.0}),
}


@pytest.mark.parametrize("said", NODES)
def test_a_node_that_it_cannot_solve_is_refused(said: str):
    suite = case("k1")[0].suite
    name, fields = NODES[said]
    assert not isinstance(suite.network, str)
    nodes = tuple(replace(node, **fields) if node.name == name else node for node in suite.network.nodes)
    layout = build_layout(replace(suite, network=replace(suite.network, nodes=nodes)))
    with pytest.raises(ModelError, match=rf"dynamic_programme can't solve this suite exactly: .*{said}"):
        build(layout, [of("dynamic_programme")])


def test_levels_beyond_max_target_are_refused():
    suite = case("k1")[0].suite
    assert not isinstance(suite.network, str)
    nodes = tuple(
        replace(node, max_target={"S": 3.0}) if node.name == "works" else node for node in suite.network.nodes
    )
    with pytest.raises(
        ModelError, match=r"levels of S, M and U go up to \[.*\], max_target only to .*raise max_target"
    ):
        build(build_layout(replace(suite, network=replace(suite.network, nodes=nodes))), [of("dynamic_programme")])


def test_whatever_is_no_hybrid_system_is_refused_with_all_reasons():
    layout = tiny.loop()
    with pytest.raises(ModelError, match=r"it takes no supplier, there are 1; .*no warehouse.*epoch_months 1, not 12"):
        build(layout, [of("dynamic_programme")])


# ---- pull: M follows from S


def test_pull_leaves_no_order_where_cores_suffice():
    """At a warehouse M is S and a period's demand more, since orders come after demand."""
    layout = tiny.loop(w={"max_target": {"S": 100.0}}, r={"max_target": {"M": 200.0}})
    targets = build(layout, [of("pull", warehouse_cover=0.3, plant_cover=0.5)]).decide(seen(layout)).targets
    shop = layout.targets[NodeKind.REMANUFACTURER][0]
    assert targets[M, shop, 0] * 200.0 == pytest.approx(30.0 + 10.0)


def test_pull_scales_multiples_of_demand_alike():
    layout = tiny.loop()
    covers = of("pull", warehouse_cover=0.6, plant_cover=0.5)
    targets = build(layout, [covers]).decide(seen(layout)).targets
    # S covers 0.6 periods of lead time 1, and M, of lead time 0 + 1, one period's demand more: beyond what it can set.
    assert targets[M, layout.targets[NodeKind.REMANUFACTURER][0], 0] == 1.0
    wide = build_layout(replace(layout.suite, max_cover=4.0))
    targets = build(wide, [covers]).decide(seen(wide)).targets
    assert targets[M, wide.targets[NodeKind.REMANUFACTURER][0], 0] == pytest.approx((0.6 * 4.0 + 1.0) / 4.0)


def test_a_pull_that_forgets_the_demand_under_way_is_found(monkeypatch):
    layout = tiny.loop(w={"max_target": {"S": 100.0}}, r={"max_target": {"M": 200.0}})
    monkeypatch.setattr(pull, "expected_at_goods", lambda layout: np.zeros((len(layout.goods), 1)))
    targets = build(layout, [of("pull", warehouse_cover=0.3)]).decide(seen(layout)).targets
    assert targets[M, layout.targets[NodeKind.REMANUFACTURER][0], 0] * 200.0 != pytest.approx(40.0)


# ---- best grade first


def test_best_grade_first_gives_every_unit_its_best_use():
    """More lives than any share of it: nothing reusable is recycled, and nothing that can be recycled is landfilled."""
    layout = build_layout(replace(tiny.loop().suite, products=(ProductShare(archetype="ev_battery"),), network="loop"))
    scenario, rows = build_scenario(layout, "none/0"), pad(1)

    def flows(records: list[ControllerRecord]) -> dict[Flow, float]:
        ledger = simulate(layout, [scenario], rows, build(layout, records), ["one"] * len(rows))
        return {flow: float(values[0]) for flow, values in ledger.flow.items()}

    best = flows([of("best_grade_first")] * 8)
    for other in ("linear", "local_base_stock", "compliance_base_stock"):
        found = flows([of(other)] * 8)
        assert best[Flow.REUSED] >= found[Flow.REUSED] and best[Flow.DISPLACED] >= found[Flow.DISPLACED]
    assert best[Flow.REUSED] > 0.0 and best[Flow.DISPLACED] > 0.0
    half = [of("local_base_stock", **{f"{layout.network.nodes[i].name}.M": 0.5}) for i in
            layout.targets[NodeKind.INSPECTION]][:1] * 8  # fmt: skip
    assert flows(half)[Flow.REUSED] < best[Flow.REUSED]


def test_best_grade_first_sets_recovery_at_full():
    layout = tiny.loop()
    targets = build(layout, [of("best_grade_first", plant_cover=0.2)]).decide(seen(layout)).targets[..., 0]
    for kind, rows in ((NodeKind.INSPECTION, (M,)), (NodeKind.REMANUFACTURER, (M, U)), (NodeKind.RECYCLER, (M, U))):
        for row in rows:
            assert (targets[row, layout.targets[kind]] == 1.0).all()
    assert (targets[U, layout.targets[NodeKind.COLLECTOR]] == 0.0).all()
    assert (targets[S, layout.targets[NodeKind.PLANT]] == 0.2).all()
