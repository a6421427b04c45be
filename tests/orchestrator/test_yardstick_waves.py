"""The waves that measure: bounds and pairs are planned, journalled, resumed and reported like any other cell."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optimizers import controllers
from orchestrator import shard as shard_module
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL, describe, read_leaderboard
from orchestrator.plan import Plan
from orchestrator.shard import Shard
from orchestrator.spec import loads
from orchestrator.tables import read_part, rows, without_cpu_seconds
from orchestrator.work import BOUND, LINEAR, Block, Cell
from sim_core.control import ControllerRecord
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.errors import IntegrityError, ModelError


class Yardstick:
    """Stands for the modules that bound scenarios and compare pairs. asked: scenarios bounded, and cells paired."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.stop_after: int | None = None

    def bound(self, layout: Any, scenario: Any) -> SimpleNamespace:
        if self.stop_after is not None and len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(scenario.id)
        if scenario.id in self.broken:
            raise ModelError(f"no bound for {scenario.id}")
        return SimpleNamespace(lower=float(len(scenario.id)), plan=20.0, lacking=3.0, least_lacking=2.0)

    def pair_metrics(
        self, layout: Any, scenarios: Any, rows: Any, controller_factory: Callable[[], Any], labels: Sequence[str]
    ) -> dict[str, np.ndarray]:
        assert len(rows) == len(labels) and len(rows) % LANE_WIDTH == 0
        assert controller_factory() is not controller_factory()
        self.asked += [label.partition(" ")[0] for label in dict.fromkeys(labels)]
        found = np.array([float(len(scenarios[row].id)) for row in rows])
        return {
            "resilience_loss": found,
            "resilience_depth": found / 100.0,
            "time_to_recover": np.full(len(rows), np.nan),
        }


@pytest.fixture
def yardstick(monkeypatch: pytest.MonkeyPatch) -> Yardstick:
    made = Yardstick()
    for name, function in (("bound", made.bound), ("resilience", made.pair_metrics)):
        module = ModuleType(f"sim_core.{name}")
        module.__dict__[function.__name__] = function
        monkeypatch.setitem(sys.modules, f"sim_core.{name}", module)
    return made


@pytest.fixture
def measured(bench: Any) -> dict[str, Any]:
    """The tiny experiment with 3 bounds and 2 pairs on its 4 test scenarios."""
    return {**bench.tree(), "bound": {"scenarios": 3}, "pairs": {"scenarios": 2}}


SCENARIOS = ("eu_tighten/0", "eu_weaken/0", "eu_tighten/1", "eu_weaken/1")
EXTRA = 3 + 2 * 3  # bounds, and pairs of three Entries; linear is an Entry


# ------------------------------------------------------------------------------------------------ the plan


def test_families_carry_bounds_and_pairs_in_turn(bench: Any, measured: dict[str, Any]):
    plan = bench.plan(measured)
    assert tuple(cell.scenario for cell in plan.bound_cells()) == SCENARIOS[:3]
    assert tuple(cell.scenario for cell in plan.pair_cells(LINEAR)) == SCENARIOS[:2]
    assert all(cell.controller == BOUND and cell.measure == "run" for cell in plan.bound_cells())
    assert {cell.measure for cell in plan.pair_cells(LINEAR)} == {"pair"}
    whole = bench.plan({**measured, "bound": {"scenarios": 64}, "pairs": {}})
    assert tuple(cell.scenario for cell in whole.bound_cells()) == SCENARIOS
    assert len(whole.pair_cells(LINEAR)) == 4
    assert bench.plan().bound_cells() == bench.plan().wave_pair([LINEAR]) == []


def test_a_pair_has_a_key_of_its_own(bench: Any, measured: dict[str, Any]):
    plan = bench.plan(measured)
    keys = {cell.key for record in (LINEAR, BOUND) for cell in (*plan.pair_cells(record), *plan.score_cells(record))}
    assert len(keys) == 2 * (2 + 4)
    other = replace(plan, suite_digest="0" * 64)
    assert not keys & {cell.key for cell in (*other.pair_cells(LINEAR), *other.bound_cells())}


def test_runs_without_recovery_are_added_once_and_only_where_pairs_are_asked_for(bench: Any, measured: dict[str, Any]):
    plan = bench.plan(measured)
    other = ControllerRecord(kind="compliance_base_stock")
    assert len(plan.wave_pair([LINEAR, other])) == 2 * 2 + 4
    assert len(plan.wave_pair([other, other])) == 2 + 4
    assert plan.wave_pair([other])[2:] == plan.score_cells(LINEAR)
    assert replace(plan, pairs=0).wave_pair([other]) == []


def test_blocks_of_slow_cells_are_small_and_come_first(bench: Any, measured: dict[str, Any]):
    plan: Plan = replace(bench.plan(measured), pairs=3)
    kinds = ("compliance_greedy", "s_S", "mpc")
    thinking = [cell for kind in kinds for cell in plan.score_cells(ControllerRecord(kind=kind))] * 3
    mpc = ControllerRecord(kind="mpc")
    plain = [*plan.score_cells(LINEAR), *plan.pair_cells(LINEAR), *plan.pair_cells(mpc)]
    cut = plan.cut([*plain, *thinking, *plan.bound_cells()], 2)
    slow = [block for block in cut if block.cells[0].controller in (BOUND, mpc)]
    assert cut[: len(slow)] == slow and all(len(block.cells) == 1 for block in slow)
    wide = {len(block.cells) for block in cut if block.cells[0].controller.kind == "s_S"}
    assert wide == {12}, "what looks at the state, but plans nothing, shares a block of its kind"
    for block in cut:
        assert len({(cell.measure, cell.controller.kind) for cell in block.cells}) == 1
        assert len({cell.controller.digest for cell in block.cells}) == 1
    cells = [cell for block in cut for cell in block.cells]
    assert sorted(cell.key for cell in cells) == sorted(c.key for c in (*plain, *thinking, *plan.bound_cells()))


def counts(described: dict[str, Any]) -> dict[str, tuple[int, int, bool]]:
    return {wave["name"]: (wave["cells"], wave["done"], wave["upper_bound"]) for wave in described["waves"]}


def test_the_plan_shows_the_waves_that_measure(bench: Any, measured: dict[str, Any], yardstick: Any, tmp_path: Path):
    spec = bench.spec(measured)
    before = counts(describe(spec, tmp_path))
    assert before["bound"] == (3, 0, False) and before["pair"] == (6, 0, True)
    result = bench.run(tmp_path, measured)
    after = counts(describe(spec, tmp_path))
    assert after["bound"] == (3, 3, False) and after["pair"] == (6, 6, False)
    assert sum(cells for cells, _, _ in after.values()) == result.cells == bench.cells + EXTRA


# ------------------------------------------------------------------------------------------------ the sweep


def test_a_sweep_measures_and_repeats_nothing(
    bench: Any, measured: dict[str, Any], yardstick: Yardstick, tmp_path: Path, finished: Any
):
    result = bench.run(tmp_path, measured)
    assert (result.simulated, result.failed) == (bench.cells + EXTRA, 0)
    assert result.digest != finished.result.digest, "bounds and pairs are part of what is reproduced"
    assert sorted(yardstick.asked[:3]) == sorted(SCENARIOS[:3])
    assert sorted(set(yardstick.asked[3:])) == sorted(SCENARIOS[:2])
    value = result.leaderboard.to_json()
    assert (value["bounded"], value["unbounded"]) == (3, [])
    found = {entry["name"]: entry for entry in value["entries"]}
    assert found["reference"]["score"] == pytest.approx(0.0, abs=1e-12)
    assert all(entry["score"] is not None and entry["score_lo"] is None for entry in found.values())
    assert found["linear"]["resilience_loss"] == (len(SCENARIOS[0]) + len(SCENARIOS[1])) / 2
    assert found["linear"]["time_to_recover"] is None
    again = bench.run(tmp_path, measured)
    assert (again.simulated, again.digest) == (0, result.digest)
    assert again.leaderboard.to_json() == value == read_leaderboard(tmp_path).to_json()
    more = bench.run(tmp_path, {**measured, "bound": {"scenarios": 4}})
    assert more.simulated == 1 and more.leaderboard.to_json()["bounded"] == 4


def test_a_bound_wave_that_was_cut_short_goes_on_where_it_stopped(
    bench: Any, measured: dict[str, Any], yardstick: Yardstick, tmp_path: Path
):
    yardstick.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        bench.run(tmp_path / "cut", measured)
    yardstick.stop_after = None
    resumed = bench.run(tmp_path / "cut", measured)
    assert sorted(yardstick.asked[:3]) == sorted(SCENARIOS[:3]), "each is bounded once"
    assert resumed.simulated == 1 + 6
    whole = bench.run(tmp_path / "whole", measured)
    assert resumed.digest == whole.digest
    assert resumed.leaderboard.to_json() == whole.leaderboard.to_json()


def test_a_failed_bound_leaves_its_scenario_unbounded_and_ends_with_1(
    bench: Any, measured: dict[str, Any], yardstick: Yardstick, tmp_path: Path
):
    yardstick.broken = {"eu_weaken/0"}
    call = ("run", bench.file(tmp_path, measured), "--in-process", "--results", tmp_path / "r")
    run = bench.call(*call, "--json")
    assert run.exit_code == 1, run.output
    assert json.loads(run.stdout.splitlines()[-1])["failed"] == 1
    shown = bench.call("leaderboard", "--results", tmp_path / "r")
    assert "unbounded: the bound of eu_weaken/0 could not be computed" in shown.stdout
    assert "no score: a family has no scenario that could be scored" in shown.stdout
    board = json.loads(bench.call("leaderboard", "--results", tmp_path / "r", "--json").stdout)
    assert (board["bounded"], board["unbounded"], board["entries"][0]["score"]) == (2, ["eu_weaken/0"], None)
    assert "eu_weaken/0" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    asked = len(yardstick.asked)
    assert bench.call(*call).exit_code == 1 and len(yardstick.asked) == asked, "a failure is a value"


def test_a_run_below_its_bound_stops_the_sweep(
    bench: Any, measured: dict[str, Any], yardstick: Yardstick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wrong = SimpleNamespace(lower=1e15, plan=1e15, lacking=0.0, least_lacking=0.0)
    monkeypatch.setattr(sys.modules["sim_core.bound"], "bound", lambda *_: wrong)
    with pytest.raises(IntegrityError, match="less than the bound"):
        bench.run(tmp_path, measured)


def test_without_a_linear_entry_the_runs_without_recovery_are_simulated(
    bench: Any, measured: dict[str, Any], yardstick: Yardstick, tmp_path: Path
):
    fixed = {"controller": "compliance_base_stock", "parameters": {"plant_cover": 0.4}}
    tree = {**measured, "entries": [{"name": "reference", **fixed}]}
    result = bench.run(tmp_path, tree)
    assert result.cells == result.simulated == 4 + 3 + 2 + 4
    assert counts(describe(bench.spec(tree), tmp_path))["pair"] == (2 + 4, 2 + 4, False)


def test_cpu_seconds_are_noted_beside_the_digest(
    bench: Any, measured: dict[str, Any], yardstick: Yardstick, tmp_path: Path
):
    board = bench.run(tmp_path, measured).leaderboard
    assert all(board.cpu_s[row.name] > 0.0 for row in board.rows)
    assert board.cpu_s["random"] > board.cpu_s["linear"], "a search counts"
    plan = bench.plan(measured)
    with Journal(tmp_path / JOURNAL, read_only=True) as journal:
        noted = journal.get_note(plan.timings)
        assert set(noted) >= {job.search for job in plan.jobs}
        for part in journal.parts():
            assert b"cpu_s" not in (read_part(tmp_path / "parts", part).schema.metadata or {})
    assert bench.run(tmp_path, measured).leaderboard.cpu_s == board.cpu_s, "nothing new, nothing added"


# ------------------------------------------------------------------------------------------------ the shard


def block(plan: Plan, cells: Sequence[Cell], engine: str = "numpy") -> Any:
    return Shard(plan.suite, engine).run(Block(cells=tuple(cells)))


def test_a_bound_is_a_row(bench: Any, measured: dict[str, Any], yardstick: Yardstick):
    yardstick.broken = {"eu_weaken/0"}
    plan = bench.plan(measured)
    found = rows(block(plan, plan.bound_cells()))
    assert [row.scenario for row in found] == list(SCENARIOS[:3])
    assert [row.status for row in found] == ["ok", "failed", "ok"]
    assert found[0].metrics == {"objective": 12.0, "plan": 20.0, "lacking": 3.0, "least_lacking": 2.0}
    assert found[1].message == "ModelError: no bound for eu_weaken/0"
    assert yardstick.asked == list(SCENARIOS[:3]), "one at a time, so that a failure costs no other"


def test_pairs_are_rows_in_the_blocks_order(bench: Any, measured: dict[str, Any], yardstick: Yardstick):
    plan = replace(bench.plan(measured), pairs=4)
    cells = [*plan.pair_cells(LINEAR), *plan.pair_cells(ControllerRecord(kind="compliance_base_stock"))][::-1]
    found = rows(block(plan, cells))
    assert [row.key for row in found] == [cell.key for cell in cells]
    assert [row.metrics["resilience_loss"] for row in found] == [float(len(cell.scenario)) for cell in cells]
    assert all(row.metrics["time_to_recover"] is None for row in found)


def test_controllers_that_need_the_state_run_on_the_numpy_engine(
    bench: Any, measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """The other cells keep the suite's engine, and the order of rows is the block's."""
    made: list[list[str]] = []

    def watched(layout: Any, scenarios: Any, numbers: Any, controller: Any, labels: list[str], **more: Any) -> Any:
        made.append(sorted(set(labels)))
        return Simulation(layout, scenarios, numbers, controller, labels, **more)

    monkeypatch.setattr(shard_module, "NEEDS_STATE", frozenset({"linear", "thinker"}))
    monkeypatch.setitem(controllers._BUILDERS, "thinker", controllers._BUILDERS["linear"])
    monkeypatch.setattr(controllers, "KINDS", tuple(controllers._BUILDERS))
    monkeypatch.setattr(shard_module, "Simulation", watched)
    plan = bench.plan(measured)
    thinker = ControllerRecord(kind="thinker")
    cells = [cell for pair in zip(plan.score_cells(LINEAR), plan.score_cells(thinker), strict=True) for cell in pair]
    plain = plan.score_cells(ControllerRecord(kind="compliance_base_stock"))
    plan = replace(plan, engine="kernel")
    table = block(plan, [*cells, *plain], "kernel")
    assert [row.key for row in rows(table)] == [cell.key for cell in (*cells, *plain)]
    assert len(made) == 2 and all(len({label.split()[2] for label in labels}) == 1 for labels in made)


def test_cpu_seconds_travel_beside_the_rows(bench: Any, measured: dict[str, Any], yardstick: Yardstick):
    plan = bench.plan(measured)
    table = block(plan, plan.score_cells(LINEAR))
    plain, seconds = without_cpu_seconds(table)
    assert set(seconds) == {LINEAR.digest} and seconds[LINEAR.digest] > 0.0
    assert without_cpu_seconds(plain) == (plain, {}) and plain.schema.metadata == {b"schema_version": b"1"}
    assert rows(plain) == rows(table)
    _, paired = without_cpu_seconds(block(plan, plan.pair_cells(LINEAR)))
    assert paired == {}, "what pairs take is not the controller's"


# ------------------------------------------------------------------------------------------------ the experiment file


def test_both_waves_have_defaults(bench: Any):
    tree = bench.tree()
    del tree["bound"], tree["pairs"]
    spec = loads(json.dumps(tree))
    assert (spec.bound.scenarios, spec.pairs.scenarios) == (64, 16)
    assert loads(spec.to_yaml()) == spec
