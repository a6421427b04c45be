"""Collection targets: who puts law first buys back what would not come by itself."""

from dataclasses import replace
from functools import cache

import numpy as np

from optimizers.controllers import build
from optimizers.controllers.compliance_base_stock import default_parameters
from sim_core.control import Control, ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, simulate
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

COLLECTION = {
    "id": "COLLECT", "type": "collection_target", "announced": "2025-01-01",
    "schedule": {"shape": "staircase", "steps": [["2026-01-01", 0.4], ["2027-01-01", 0.8]]},
}  # fmt: skip


@cache
def collecting() -> Layout:
    suite = SuiteDefinition(
        name="collecting",
        products=(ProductShare(archetype="ev_battery"),),
        network="loop",
        seed=1,
        start="2026-01",
        warm_up=0,
        scored=36,
        run_out=0,
        splits={"test": SplitDefinition(families=("none",), scenarios=1)},
        epoch_months=12,
        instruments=(COLLECTION,),
    )
    return build_layout(suite)


def _reference(**parameters: float) -> ControllerRecord:
    return ControllerRecord(kind="compliance_base_stock", parameters=parameters)


def said(record: ControllerRecord) -> list[bool]:
    """Whether it buys back, by review."""
    layout, row = collecting(), collecting().suite.levers.index("buy_back")
    found: list[bool] = []

    class Noting:
        def __init__(self) -> None:
            self.inner = build(layout, [record] * LANE_WIDTH)

        def decide(self, seen: Observation) -> Control:
            control = self.inner.decide(seen)
            found.append(bool(control.levers[row, 0] > 0.5))
            return control

    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    simulate(layout, [build_scenario(layout, "none/0")], rows, Noting(), ["cell"] * LANE_WIDTH)
    return found


def test_the_reference_buys_back_where_more_is_to_be_collected_than_it_counts_on():
    assert default_parameters(collecting())["collected"] == 0.45, "the least that the catalogue holds for possible"
    without = build_layout(replace(collecting().suite, instruments=()))
    assert "collected" not in default_parameters(without), "a suite without such a target has nothing to tune here"
    assert said(_reference()) == [False, True, True], "0.4 comes back by itself, 0.8 may not"
    assert said(_reference(collected=0.3)) == [True] * 3
    assert said(_reference(collected=0.9)) == [False] * 3


def test_the_greedy_rule_buys_back_where_too_little_comes_by_itself():
    """The greedy rule sees what comes back by itself, and that it is too little."""
    share = build_scenario(collecting(), "none/0").paths.collection_share[-1, 0]
    greedy = said(ControllerRecord(kind="compliance_greedy"))
    assert share < 0.8 and greedy == [False, True, True]
