"""Shards: one row per cell, the same bytes in blocks of any size, and one bad cell is one failed row."""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pytest

from optimizers import controllers
from orchestrator import shard as shard_module
from orchestrator.records import CellRow
from orchestrator.shard import Shard
from orchestrator.tables import rows
from orchestrator.work import ENGINES, Block, Cell
from sim_core.control import Control, Controller, ControllerRecord, Observation
from sim_core.engine import rollout
from sim_core.engine.layout import Layout
from sim_core.errors import BalanceError
from sim_core.kernel import simulation as kernel
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SUITE = SuiteDefinition(
    name="shard",
    products=(ProductShare(archetype="ev_battery"),),
    network="loop",
    seed=11,
    start="2034-07",
    warm_up=1,
    scored=8,
    run_out=0,
    splits={
        "train": SplitDefinition(families=("eu_baseline",), scenarios=2),
        "validation": SplitDefinition(families=("eu_baseline",), scenarios=2),
        "test": SplitDefinition(families=("eu_tighten",), scenarios=2),
    },
    shortfall_price={"cobalt": 150.0},
    epoch_months=3,
)
LINEAR, REFERENCE = ControllerRecord(kind="linear"), ControllerRecord(kind="compliance_base_stock")
METRICS = {
    "objective", "carbon", "circularity", "service", "compliance", "shortfall_charge", "statutory_charge",
    "recycled_share", "lives", "avoided_carbon", "capex", "node_periods", "served", "due", "lacking", "cei",
    "value_retained",
}  # fmt: skip


def cells(count: int, records: Sequence[ControllerRecord] = (LINEAR, REFERENCE)) -> list[Cell]:
    return [
        Cell(key=f"key-{i}", scenario=f"eu_baseline/{i % 5}", controller=records[i % len(records)])
        for i in range(count)
    ]


def run(shard: Shard, block: Sequence[Cell]) -> list[CellRow]:
    return rows(shard.run(Block(cells=tuple(block))))


def exact(found: Sequence[CellRow]) -> dict[str, dict]:
    """Every row by its key, floats as their exact text."""
    return {
        row.key: {**row.body(), "metrics": {k: None if v is None else v.hex() for k, v in row.metrics.items()}}
        for row in found
    }


@pytest.fixture(scope="module", params=ENGINES)
def shard(request) -> Shard:
    return Shard(SUITE, request.param)


def like(shard: Shard) -> Shard:
    """Return a new shard with the engine of another."""
    return Shard(SUITE, shard._engine)


def engine_class(shard: Shard) -> tuple[ModuleType, str]:
    """Return where a shard finds the class of its engine."""
    return {"kernel": (kernel, "KernelSimulation"), "numpy": (shard_module, "Simulation")}[shard._engine]


class Raises:
    """A controller that raises, or that answers with a number that is none."""

    def __init__(self, layout: Layout, records: Sequence[dict]) -> None:
        self._layout, self._records = layout, records

    def decide(self, observation: Observation) -> Control:
        fault = self._records[0]["fault"]
        if fault == "raises":
            raise RuntimeError("lost its map")
        nodes, levers = len(self._layout.network.nodes), len(self._layout.suite.levers)
        shape = (3, nodes + (fault == "shape"), len(self._records))
        targets = np.full(shape, {"nan": np.nan, "negative": -0.5, "above": 1.5}.get(fault, 0.5))
        return Control(targets=targets, levers=np.zeros((levers, len(self._records))))


@pytest.fixture
def faulty(monkeypatch) -> None:
    build: Controller = Raises  # pyright: ignore[reportAssignmentType]
    monkeypatch.setitem(controllers._BUILDERS, "faulty", build)
    monkeypatch.setattr(controllers, "KINDS", tuple(controllers._BUILDERS))


def test_a_block_gives_one_row_per_cell_in_its_order(shard):
    block = cells(7)[::-1]
    found = run(shard, block)
    assert [row.key for row in found] == [cell.key for cell in block]
    for row, cell in zip(found, block, strict=True):
        assert (row.status, row.message, row.family) == ("ok", "", "eu_baseline")
        assert row.scenario == cell.scenario and row.controller == cell.controller.digest
        assert set(row.metrics) == METRICS and row.metrics["objective"] is not None


@pytest.mark.parametrize("size", [1, 3, 8, 11])
def test_blocks_of_any_size_give_the_same_bytes(shard, size: int):
    block = cells(11)
    whole = exact(run(shard, block))
    parts: dict[str, dict] = {}
    for start in range(0, len(block), size):
        parts |= exact(run(like(shard), block[start : start + size]))
    assert parts == whole


def test_the_order_of_a_block_changes_nothing(shard):
    block = cells(9)
    shuffled = [block[i] for i in np.random.default_rng(1).permutation(9)]
    assert exact(run(shard, shuffled)) == exact(run(shard, block))


def test_a_block_that_is_cut_for_memory_gives_the_same_bytes(shard, monkeypatch):
    whole = exact(run(shard, cells(10)))
    batches = shard_module.Shard._run_cells
    sizes: list[int] = []

    def counted(self: Shard, block: Sequence[Cell]) -> list[CellRow]:
        sizes.append(len(block))
        return batches(self, block)

    monkeypatch.setattr(Shard, "_run_cells", counted)
    monkeypatch.setitem(shard_module.MAX_CELLS, shard._engine, 4)
    assert exact(run(shard, cells(10))) == whole
    assert sizes == [4, 4, 2]


def test_a_large_network_is_cut_into_smaller_batches(shard, monkeypatch):
    monkeypatch.setattr(shard_module, "_NODES_AT_ONCE", 3 * len(shard.layout.network.nodes))
    assert [len(batch) for batch in shard.batches(cells(7), shard._engine)] == [3, 3, 1]


def test_the_terms_of_few_scenarios_are_held_at_once(shard, monkeypatch):
    monkeypatch.setattr(shard_module, "_KEPT_SCENARIOS", 2)
    batches = list(shard.batches(cells(10), shard._engine))
    assert max(len({cell.scenario for cell in batch}) for batch in batches) == 2
    assert [cell for batch in batches for cell in batch] == cells(10)


def test_the_engines_agree_and_are_told_apart(monkeypatch):
    made: list[str] = []
    for place, name in ((kernel, "KernelSimulation"), (shard_module, "Simulation")):
        whole = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *a, whole=whole, name=name: made.append(name) or whole(*a))
    one, two = (run(Shard(SUITE, engine), cells(10)) for engine in ENGINES)
    assert made == ["KernelSimulation", "Simulation"]
    for mine, other in zip(one, two, strict=True):
        assert mine.metrics == pytest.approx(other.metrics, rel=1e-9, nan_ok=True)


def test_forgetting_scenarios_changes_nothing(shard, monkeypatch):
    whole = exact(run(shard, cells(10)))
    monkeypatch.setattr(shard_module, "_KEPT_SCENARIOS", 2)
    assert exact(run(like(shard), cells(10))) == whole


def test_a_scenario_under_the_same_controller_is_the_same_whatever_its_key(shard):
    one, two = (Cell(key=key, scenario="eu_baseline/3", controller=REFERENCE) for key in ("a", "b"))
    found = run(shard, [one, two])
    assert found[0].metrics == found[1].metrics


@pytest.mark.parametrize("fault", ["raises", "nan", "negative", "above", "shape"])
def test_a_bad_controller_is_one_failed_row_and_the_others_keep_their_bytes(shard, faulty, fault: str):
    block = cells(6)
    right = exact(run(shard, block))
    bad = Cell(
        key="bad", scenario="eu_baseline/1", controller=ControllerRecord(kind="faulty", parameters={"fault": fault})
    )
    found = run(shard, [*block[:3], bad, *block[3:]])
    assert found[3].key == "bad" and found[3].status == "failed" and found[3].metrics == {}
    assert found[3].message
    assert exact([row for row in found if row.key != "bad"]) == right


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (ControllerRecord(kind="clairvoyant"), "ModelError: unknown controllers"),
        (ControllerRecord(kind="linear", parameters={"covr": 1.0}), "ModelError: controller linear has no parameters"),
        (ControllerRecord(kind="schedule", parameters={"levers": ["0"], "targets": [0.5]}), "made for another suite"),
    ],
)
def test_a_bad_record_is_one_failed_row(shard, record: ControllerRecord, message: str):
    found = run(shard, [*cells(2), Cell(key="bad", scenario="eu_baseline/0", controller=record)])
    assert [row.status for row in found] == ["ok", "ok", "failed"] and message in found[2].message


def test_a_block_of_failed_cells_only_is_a_table_too(shard):
    bad = [
        Cell(key=f"bad-{i}", scenario="eu_baseline/0", controller=ControllerRecord(kind="clairvoyant"))
        for i in range(3)
    ]
    assert [row.status for row in run(shard, bad)] == ["failed"] * 3


def test_a_broken_balance_stops_everything(monkeypatch):
    take_back = rollout.take_back

    def leaking(p) -> None:
        take_back(p)
        p.state.collected[..., 2] += 1.0

    monkeypatch.setattr(rollout, "take_back", leaking)
    with pytest.raises(BalanceError, match=r"period 0: .* in eu_baseline/2 under linear \(cell key-2\)"):
        Shard(SUITE, "numpy").run(Block(cells=tuple(cells(5))))


def test_a_broken_balance_of_the_kernel_stops_everything(monkeypatch):
    start_totals = kernel.start_totals

    def leaking(boxed, x, *rest) -> None:
        start_totals(boxed, x, *rest)
        x[boxed.r["total"], 2] *= 2.0  # what the stocks are held to

    monkeypatch.setattr(kernel, "start_totals", leaking)
    with pytest.raises(BalanceError, match=r"in eu_baseline/2 under linear \(cell key-2\)"):
        Shard(SUITE).run(Block(cells=tuple(cells(5))))


def test_running_out_of_memory_is_no_result_of_a_cell(shard, monkeypatch):
    """A fault of the machine must come out as one: a retry elsewhere may succeed, a journalled failure never does."""

    def exhausted(*arguments, **options):
        raise MemoryError("no room")

    monkeypatch.setattr(*engine_class(shard), exhausted)
    with pytest.raises(MemoryError):
        shard.run(Block(cells=tuple(cells(2))))


def test_running_out_of_memory_in_one_block_is_not_halved(shard, monkeypatch):
    """Smaller blocks may fit, but then a machine's fault would cost as many runs as there are cells, unseen."""
    sizes: list[int] = []

    def exhausted(layout, scenarios, rows, *rest, **options):
        sizes.append(len(rows))
        raise MemoryError("no room")

    monkeypatch.setattr(*engine_class(shard), exhausted)
    with pytest.raises(MemoryError):
        shard.run(Block(cells=tuple(cells(32))))
    assert sizes == [32]


def check_a_failing_block_is_halved(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad cell of 32 costs two runs for each halving, not one for each cell."""
    runs: list[int] = []
    simulation = getattr(*engine_class(shard))

    def counted(layout, scenarios, rows, *rest, **options):
        runs.append(len(rows))
        return simulation(layout, scenarios, rows, *rest, **options)

    monkeypatch.setattr(*engine_class(shard), counted)
    bad = Cell(
        key="bad", scenario="eu_baseline/1", controller=ControllerRecord(kind="faulty", parameters={"fault": "raises"})
    )
    block = cells(31)
    found = run(shard, [*block[:20], bad, *block[20:]])
    assert [row.key for row in found if row.status == "failed"] == ["bad"] and len(found) == 32
    assert len(runs) == 1 + 2 * 5


def test_a_failing_block_is_halved_until_the_bad_cell_is_alone(shard, faulty, monkeypatch):
    check_a_failing_block_is_halved(shard, monkeypatch)


def test_a_failing_block_that_is_run_again_cell_by_cell_is_found(shard, faulty, monkeypatch):
    halving = Shard._run_cells

    def one_by_one(self: Shard, block: Sequence[Cell]) -> list[CellRow]:
        try:
            return self._simulate(block)
        except RuntimeError:
            return [row for cell in block for row in halving(self, [cell])]

    monkeypatch.setattr(Shard, "_run_cells", one_by_one)
    with pytest.raises(AssertionError):
        check_a_failing_block_is_halved(shard, monkeypatch)


def test_a_metric_that_is_undefined_is_null(shard, monkeypatch):
    early = Shard(SuiteDefinition.from_json({**SUITE.to_json(), "start": "2026-01"}), shard._engine)
    found = run(early, cells(2))
    assert all(row.metrics["compliance"] is None for row in found)
    assert all(row.metrics["compliance"] is not None for row in run(shard, cells(2)))
