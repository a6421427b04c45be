"""Same bytes: in the kernel a cell's numbers depend neither on what is simulated beside it nor on how."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from sim_core.kernel.simulation import KernelSimulation
from sim_core.network import NodeKind
from tests.sim_core.kernel.parity import cell_bytes, kernel, rich
from tests.sim_core.random_models import SIZES, Case, Size
from tests.sim_core.test_properties import quick

LANES = st.sampled_from((None, 8, 16, 64, 128, 256))
EVERYTHING = Size(dict.fromkeys(NodeKind, 2), 2, 3, 0)


def bytes_of(one: Case, keys: list[int], lanes: int | None = None) -> dict[int, bytes]:
    run = kernel(one, keys, lanes=lanes)
    run.advance()
    return {key: cell_bytes(run, cell) for cell, key in enumerate(keys)}


def check_batches(one: Case, order: list[int], cut: int, lanes: int | None) -> None:
    """Cells have the same bytes together in their own order, in other blocks in another order, and one alone."""
    together = bytes_of(one, sorted(order))
    for keys in (order, order[:cut], order[-1:]):
        found = bytes_of(one, keys, lanes) if keys else {}
        assert [key for key in found if found[key] != together[key]] == []


@quick(10)
@given(SIZES, st.permutations(range(21)), st.integers(0, 20), LANES)
def test_a_cell_has_the_same_bytes_alone_and_in_any_block(size: Size, order: list[int], cut: int, lanes: int | None):
    check_batches(rich(size), order, cut, lanes)


@pytest.mark.parametrize("lanes", [8, 64, 128, 256])
def test_the_width_of_a_block_changes_nothing(lanes: int):
    one, keys = rich(EVERYTHING, epoch_months=7), list(range(150))
    assert bytes_of(one, keys, lanes) == bytes_of(one, keys)


def test_a_step_that_mixes_cells_is_found(monkeypatch: pytest.MonkeyPatch):
    run = KernelSimulation._run

    def mixing(self: KernelSimulation, *rest) -> None:
        run(self, *rest)
        forecast = self._x[:, self._k.r.forecast]
        forecast *= 1.0 + 1e-13 * forecast.mean()

    monkeypatch.setattr(KernelSimulation, "_run", mixing)
    with pytest.raises(AssertionError):
        check_batches(rich(EVERYTHING), list(range(11))[::-1], 4, 8)


@pytest.mark.slow  # compiles the kernel for a second type
def test_single_precision_ranks_as_double_precision(bench):
    layout = bench.layout(network="regional", start="2031-06", warm_up=6, scored=24)
    cells = 96
    scenarios = [bench.scenario(layout, family=family) for family in ("eu_baseline", "eu_tariff")]
    rows, labels = np.arange(cells) % len(scenarios), [f"cell {i}" for i in range(cells)]
    found = {}
    for dtype in (np.float64, np.float32):
        controller = bench.random_schedules(layout, 3, cells)
        run = KernelSimulation(layout, scenarios, rows, controller, labels, dtype=dtype)
        run.advance()
        found[dtype] = run.ledger.objective()
    wide, narrow = found[np.float64], found[np.float32]
    assert (wide != narrow).any(), "two precisions indeed"
    assert np.abs(narrow / wide - 1.0).max() < 1e-4
    assert kendalltau(wide, narrow)[0] > 0.999
