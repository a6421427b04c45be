"""Origins that law treats alike stand together, and are told apart again for a replay."""

import numpy as np
import pytest

from sim_core.bound.origins import alike, apart
from sim_core.engine.layout import Layout
from tests.sim_core.bound_models import TOLERANCE, batteries, solved

DUTY = {
    "id": "CONTENT", "type": "recycled_content_mandate", "scope": {"material": ["nickel"]},
    "schedule": {"shape": "step", "from": "2032-06-01", "value": 0.4}, "penalty": {"value": 90.0, "unit": "EUR/kg"},
}  # fmt: skip


def places(*eligible: list[str]) -> dict[str, list[int]]:
    """Where the three origins of materials stand under duties that count some of them."""
    law = ({**DUTY, "id": f"CONTENT-{i}", "eligible_origins": names} for i, names in enumerate(eligible))
    layout = batteries(*law)
    return dict(
        zip(layout.facts.materials, alike(layout.obligations, len(layout.facts.materials)).tolist(), strict=True)
    )


def test_origins_stand_together_where_no_duty_tells_them_apart():
    assert places()["nickel"] == [0, 0, 0]
    every = ["post_consumer", "manufacturing_scrap", "external"]
    assert places(every)["nickel"] == [0, 0, 0]
    found = places(["post_consumer", "external"])
    assert found["nickel"] == [0, 1, 0] and found["copper"] == [0, 0, 0]
    assert places(["post_consumer", "external"], ["post_consumer"])["nickel"] == [0, 1, 2]


def test_what_stood_together_is_taken_in_proportion_to_what_is_there():
    place = np.array([[0, 0, 2], [0, 1, 2]])
    start = np.array([[[30.0, 10.0, 5.0], [1.0, 2.0, 3.0]]])
    arrived = np.zeros((2, 1, 2, 3))
    arrived[1, 0, 0] = [0.0, 20.0, 0.0]
    used, sold = np.zeros((2, 1, 1, 2, 3)), np.zeros((2, 1, 2, 3))
    used[0, 0, 0] = [[20.0, 0.0, 4.0], [1.0, 0.5, 0.0]]
    sold[1, 0, 0, 0] = 40.0
    of_use, of_sales = apart((used, sold), start, arrived, place)
    assert of_use[0, 0, 0].tolist() == [[15.0, 5.0, 4.0], [1.0, 0.5, 0.0]]
    assert of_sales[1, 0, 0].tolist() == [15.0, 25.0, 0.0]
    assert of_use.sum() == used.sum() and of_sales.sum() == sold.sum()


def test_together_costs_what_apart_costs(monkeypatch):
    layout = batteries({**DUTY, "eligible_origins": ["post_consumer", "external"]})
    together = cost(layout)
    monkeypatch.setattr(
        "sim_core.bound.production.alike", lambda duties, materials: np.tile(np.arange(3), (materials, 1))
    )
    assert cost(layout) == pytest.approx(together, rel=TOLERANCE)


def test_a_programme_that_counts_what_no_duty_counts_is_found(monkeypatch):
    """The mutant: all origins stand together, whatever duties say."""
    layout = batteries({**DUTY, "eligible_origins": ["post_consumer"]})
    right = cost(layout)
    monkeypatch.setattr(
        "sim_core.bound.production.alike", lambda duties, materials: np.zeros((materials, 3), dtype=int)
    )
    assert cost(layout) < right - 10.0 * TOLERANCE * abs(right)


def cost(layout: Layout) -> float:
    return solved(layout, "none/0", vertex=True).found.cost
