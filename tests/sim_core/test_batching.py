"""Same bytes: a cell's numbers do not depend on what is simulated beside it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.controllers import build
from sim_core.control import ControllerRecord
from sim_core.engine import rollout
from sim_core.engine.rollout import LANE_WIDTH, pad, simulate
from sim_core.metrics import measure
from sim_core.scenario import build_scenario

SCENARIOS = ("eu_baseline/0", "eu_tariff/1", "eu_price_shock/2", "eu_delay/3", "eu_tighten/4")
RECORDS = (
    ControllerRecord(kind="linear"),
    ControllerRecord(kind="compliance_base_stock"),
    ControllerRecord(kind="compliance_base_stock", parameters={"plant_cover": 0.11, "reman_cover": 0.93}),
    ControllerRecord(kind="compliance_base_stock", parameters={"warehouse_cover": 0.0, "planning": 1.0}),
)
CELLS = st.tuples(st.integers(0, len(SCENARIOS) - 1), st.integers(0, len(RECORDS) - 1))


@pytest.fixture(scope="module")
def layout(bench):
    return bench.layout(network="regional", start="2031-06", warm_up=1, scored=9)


@pytest.fixture(scope="module")
def scenarios(layout):
    return [build_scenario(layout, name) for name in SCENARIOS]


def metrics(layout, scenarios, cells: list[tuple[int, int]]) -> list[bytes]:
    """The exact bits of each cell's metrics."""
    order = pad(len(cells))
    used = sorted({scenario for scenario, _ in cells})
    rows = np.array([used.index(cells[i][0]) for i in order], dtype=np.intp)
    controller = build(layout, [RECORDS[cells[i][1]] for i in order])
    ledger = simulate(layout, [scenarios[i] for i in used], rows, controller, [str(i) for i in order])
    found = measure(layout, ledger)
    return [b"".join(value[i].tobytes() for value in found.values()) for i in range(len(cells))]


@pytest.fixture(scope="module")
def alone(layout, scenarios):
    kept: dict[tuple[int, int], bytes] = {}

    def of(cell: tuple[int, int]) -> bytes:
        if cell not in kept:
            kept[cell] = metrics(layout, scenarios, [cell])[0]
        return kept[cell]

    return of


@settings(max_examples=12, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=40))
def test_a_cell_has_the_same_bytes_in_any_batch(layout, scenarios, alone, cells: list[tuple[int, int]]):
    assert metrics(layout, scenarios, cells) == [alone(cell) for cell in cells]


def test_a_large_batch_gives_the_bytes_of_a_small_one(layout, scenarios, alone):
    cells = [(i % len(SCENARIOS), i % len(RECORDS)) for i in range(260)]
    assert metrics(layout, scenarios, cells) == [alone(cell) for cell in cells]


def test_a_sum_that_depends_on_the_batch_is_found(layout, scenarios, monkeypatch):
    """A mutant engine that nudges the forecast by its batch's mean: the check above must notice."""
    sell = rollout.sell

    def centred(p):
        p.state.forecast += 1e-13 * p.state.forecast.mean(axis=-1, keepdims=True)
        sell(p)

    monkeypatch.setattr(rollout, "sell", centred)
    one = metrics(layout, scenarios, [(0, 1)])
    assert metrics(layout, scenarios, [(0, 1), (2, 0), (3, 2)])[:1] != one


def test_padding_repeats_the_first_cell_and_a_ragged_batch_is_refused(layout, scenarios):
    assert pad(1).tolist() == [0] * LANE_WIDTH
    assert pad(10).tolist() == [*range(10), 0, 0, 0, 0, 0, 0]
    assert pad(16).tolist() == list(range(16))
    with pytest.raises(ValueError, match="do not fill lanes"):
        simulate(layout, scenarios, np.zeros(3, dtype=np.intp), build(layout, list(RECORDS[:3])), ["a", "b", "c"])
