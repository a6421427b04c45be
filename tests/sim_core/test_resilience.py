"""Resilience: known areas and times, and what shocks cost in a pair of runs that differ in nothing else."""

from dataclasses import fields

import numpy as np
import pytest

from sim_core.engine.rollout import LANE_WIDTH
from sim_core.generate.paths import Paths
from sim_core.resilience import differ, pair_metrics, resilience
from sim_core.scenario import calm

SHOCKS = {f"{kind}_available" for kind in ("supplier", "plant", "remanufacturer", "recycler")}
SHOCKS |= {"virgin_open", "goods_open"}
OFTEN = {"disruption.rate": 3.0, "disruption.months": 3.0, "disruption.availability": 0.1}


def middles(end: float, steps: int) -> np.ndarray:
    return (np.arange(steps)[:, None] + 0.5) * (end / steps)


def test_a_linear_recovery_loses_a_triangle():
    found = resilience(1.0 - 0.4 * (1.0 - middles(8.0, 800) / 8.0), np.ones((800, 1)), 0.01)
    assert found.loss[0] == pytest.approx(1.6, abs=1e-9)
    assert found.depth[0] == pytest.approx(0.4, abs=3e-4)  # of the first step's mean
    assert found.time_to_recover[0] == pytest.approx(7.0, abs=1e-9)


def test_an_exponential_recovery_loses_what_its_integral_says():
    steps = 20_000
    found = resilience(1.0 - 0.4 * np.exp(-middles(20.0, steps) / 3.0), np.ones((steps, 1)), 20.0 / steps)
    assert found.loss[0] == pytest.approx(1.198473, abs=1e-6)
    assert found.time_to_recover[0] == pytest.approx(6.238325, abs=1e-6)


def test_performance_counts_relative_to_the_calm_twin():
    calm_run = np.array([[0.8, 0.0], [0.8, 0.0], [0.4, 0.0], [0.8, 0.0]])
    found = resilience(np.array([[0.8, 0.0], [0.4, 0.0], [0.3, 0.0], [0.9, 0.0]]), calm_run)
    assert found.loss == pytest.approx([0.5 + 0.25, 0.0]), "what is gained later makes up for nothing"
    assert found.depth == pytest.approx([0.5, 0.0])


def test_the_longest_time_below_counts_and_an_open_end_counts_so_far():
    series = np.array([[1.0, 1.0], [0.5, 0.5], [1.0, 1.0], [0.5, 1.0], [0.5, 0.5], [1.0, 0.5], [1.0, 0.5]])
    found = resilience(series, np.ones_like(series)).time_to_recover
    # Two months, and from the middle of the last of them 0.9 of the way to the middle of the next: 5.4 - 3.
    assert found == pytest.approx([2.4, 3.0])


def test_a_drop_above_the_level_needs_no_recovery():
    found = resilience(np.array([[1.0], [0.96], [1.0]]), np.ones((3, 1)))
    assert found.loss[0] == pytest.approx(0.04) and found.time_to_recover[0] == 0.0


# ---- calm twins


@pytest.fixture(scope="module")
def disturbed(bench):
    """The small loop over two years, nodes and lanes out all the time."""
    lanes = {"lane_disruption.rate": 3.0, "lane_disruption.months": 3.0}
    return bench.layout(scored=22, products=bench.suite({**OFTEN, **lanes}).products)


def test_a_calm_twin_differs_in_its_shocks_alone(disturbed, bench):
    one = bench.scenario(disturbed)
    twin = calm(disturbed, one)
    for path in fields(Paths):
        mine, its = getattr(one.paths, path.name), getattr(twin.paths, path.name)
        assert (mine.tobytes() == its.tobytes()) == (path.name not in SHOCKS), path.name
        assert path.name not in SHOCKS or (its == 1.0).all()
    assert (twin.id, twin.recipe, twin.timeline) == (one.id, one.recipe, one.timeline)
    assert differ(disturbed, one, twin) and not differ(disturbed, twin, calm(disturbed, twin))


def test_no_price_jumps_in_a_calm_twin(bench):
    layout = bench.layout(scored=240, products=bench.suite({"disruption.rate": 0.0}).products)
    jumping = bench.scenario(layout, family="eu_price_shock")
    twin = calm(layout, jumping)
    ratio = jumping.paths.virgin_price / twin.paths.virgin_price
    assert (ratio[0] == 1.0).all() and (np.abs(ratio[-1] - 1.0) > 0.01).all()
    assert len(np.unique(ratio[:, 0].round(9))) == 2, "one jump, and nothing else"
    assert np.allclose(jumping.paths.external_price / twin.paths.external_price, ratio)
    assert jumping.paths.demand.tobytes() == twin.paths.demand.tobytes()


def paired(layout, scenarios, bench):
    rows = np.arange(LANE_WIDTH) % len(scenarios)
    labels = [f"cell {i}" for i in range(LANE_WIDTH)]
    return pair_metrics(layout, scenarios, rows, lambda: bench.reference(layout), labels)


def test_shocks_cost_service_and_their_absence_nothing(disturbed, bench):
    one = bench.scenario(disturbed)
    found = paired(disturbed, [one, calm(disturbed, one)], bench)
    assert (found["resilience_loss"][::2] > 0.1).all() and (found["resilience_loss"][1::2] == 0.0).all()
    assert (found["resilience_depth"][::2] > 0.05).all() and (found["resilience_depth"][1::2] == 0.0).all()
    assert (found["time_to_recover"][::2] > 0.0).all() and np.isnan(found["time_to_recover"][1::2]).all()


def test_longer_outages_cost_more(bench):
    lost = []
    for months in (1.0, 6.0):
        overrides = {**OFTEN, "disruption.rate": 0.5, "disruption.months": months, "lane_disruption.rate": 0.0}
        layout = bench.layout(scored=34, products=bench.suite(overrides).products)
        scenarios = [bench.scenario(layout, index=i) for i in range(LANE_WIDTH)]
        lost.append(paired(layout, scenarios, bench)["resilience_loss"].sum())
    assert lost[1] > 1.5 * lost[0] > 0.0
