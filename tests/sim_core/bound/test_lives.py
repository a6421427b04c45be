"""Classes of one life together: what they have in common, what they lack, and a range for what differs."""

import numpy as np
import pytest

from sim_core.bound.lives import Lives
from sim_core.control import LEVERS
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.products import A, B
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from tests.sim_core.bound_models import TOLERANCE, solved


def layout_of() -> Layout:
    """Batteries that live for months, come back all, and may be used three times."""
    ample = {f"{step}.capacity": 1e7 for step in ("collection", "inspection", "reman")}
    return build_layout(
        SuiteDefinition(
            name="lives",
            products=(
                ProductShare(
                    archetype="ev_battery", overrides={"lifetime.scale": 0.15, "quality.spread": 0.4, **ample}
                ),
            ),
            network="loop",
            seed=7,
            start="2030-01",
            warm_up=0,
            scored=36,
            run_out=0,
            splits={"test": SplitDefinition(families=("none",), scenarios=1)},
            epoch_months=12,
            levers=LEVERS,
        )
    )


def test_classes_of_a_life_share_its_health_and_chances():
    products = layout_of().products
    lives = Lives(products)
    assert products.life.tolist() == [0, 1, 1, 2, 2] and lives.count == 3
    assert lives.health.tolist() == products.health[:, [0, 1, 3]].tolist()
    assert lives.of_classes(products.health[:, [0, 2, 2, 4, 4]]).tolist() == products.health[:, [0, 2, 4]].tolist()
    assert lives.again.tolist() == [[1.0, 1.0, 0.0]]
    assert lives.together(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])).tolist() == [[1.0, 5.0, 9.0]]


def test_grades_lie_between_those_of_a_lifes_classes():
    products = layout_of().products
    low, high = Lives(products).graded(A, B)
    share = products.grade_share[0, A] + products.grade_share[0, B]
    assert low[0] == pytest.approx([share[0], min(share[1:3]), min(share[3:])])
    assert high[0] == pytest.approx([share[0], max(share[1:3]), max(share[3:])])
    assert (low[:, 1:] < high[:, 1:]).all()


def test_not_knowing_the_grades_costs_no_more_than_the_worse_or_the_better(monkeypatch):
    layout, graded = layout_of(), Lives.graded
    free = solved(layout, "none/0").found.cost
    costs = []
    for which in (0, 1):
        monkeypatch.setattr(Lives, "graded", lambda self, *grades, which=which: (graded(self, *grades)[which],) * 2)
        costs.append(solved(layout, "none/0").found.cost)
    assert free <= min(costs) + TOLERANCE * abs(free)
    assert max(costs) > min(costs) + TOLERANCE * abs(free), "or grades don't matter here"
