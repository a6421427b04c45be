"""The plan: keys that rest on what computes a value and on nothing else, and counts that say how much is left."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import optimizers
import sim_core
from orchestrator import plan as planning
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL, describe
from orchestrator.plan import Plan, blocks, code_digest, digest_of_sources, known_values, make_plan
from orchestrator.spec import loads
from sim_core.control import ControllerRecord

TREE = Path(__file__).parents[2]
BASE = ControllerRecord(kind="linear", parameters={})


@pytest.fixture
def source_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the three packages that code_digest reads instead of the real ones."""
    skip = shutil.ignore_patterns("__pycache__")
    for package in ("sim_core", "optimizers", "orchestrator"):
        shutil.copytree(TREE / package, tmp_path / package, ignore=skip)
    monkeypatch.setattr(planning, "__file__", str(tmp_path / "orchestrator" / "plan.py"))
    monkeypatch.setattr(sim_core, "__path__", [str(tmp_path / "sim_core")])
    monkeypatch.setattr(optimizers, "__path__", [str(tmp_path / "optimizers")])
    return tmp_path


def fresh_code_digest() -> str:
    return code_digest.__wrapped__()


def check_every_source_counts(root: Path) -> None:
    """Change one byte of each file that computes a value, in turn: each time the code digest must change."""
    before = fresh_code_digest()
    sources = [path for package in ("sim_core", "optimizers") for path in (root / package).rglob("*.*")]
    sources = [path for path in sources if path.suffix in (".py", ".csv", ".json")]
    sources += [root / "orchestrator" / "shard.py", root / "orchestrator" / "search_trial.py"]
    assert {"schedule.py", "linear.py", "rollout.py", "evolution.py", "jit.py"} <= {path.name for path in sources}
    for path in sources:
        content = path.read_bytes()
        changed = bytes([content[0] ^ 1]) + content[1:] if content else b"#"
        path.write_bytes(changed)
        assert fresh_code_digest() != before, f"{path.relative_to(root)} may change without a new key"
        path.write_bytes(content)
    assert fresh_code_digest() == before


def test_one_byte_of_any_source_changes_the_code_digest(source_copy: Path) -> None:
    check_every_source_counts(source_copy)


def test_a_key_without_the_controllers_source_fails_that_check(
    source_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = planning.digest_of_sources

    def without_controllers(sources: Sequence[Path], root: Path) -> str:
        return whole([path for path in sources if "controllers" not in path.parts], root)

    monkeypatch.setattr(planning, "digest_of_sources", without_controllers)
    with pytest.raises(AssertionError, match=r"controllers/.* may change without a new key"):
        check_every_source_counts(source_copy)


def test_a_new_or_moved_source_changes_the_code_digest(source_copy: Path) -> None:
    before = fresh_code_digest()
    added = source_copy / "optimizers" / "controllers" / "added.py"
    added.write_text("", encoding="utf-8")
    with_added = fresh_code_digest()
    added.rename(added.with_name("renamed.py"))
    assert len({before, with_added, fresh_code_digest()}) == 3


@pytest.mark.parametrize(
    "name", ["orchestrator/cli.py", "orchestrator/report.py", "orchestrator/plan.py", "sim_core/notes.md", "docs/x.md"]
)
def test_docs_and_command_line_do_not_change_the_code_digest(source_copy: Path, name: str) -> None:
    before = fresh_code_digest()
    path = source_copy / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("# changed\n", encoding="utf-8")
    assert fresh_code_digest() == before


def test_the_code_digest_depends_on_versions_not_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, str] = {}
    for folder in ("here", "there"):
        path = tmp_path / folder / "a.py"
        path.parent.mkdir()
        path.write_text("x = 1\n", encoding="utf-8")
        found[folder] = digest_of_sources([path], path.parent)
    assert found["here"] == found["there"]
    for package in ("numpy", "scipy", "numba", "llvmlite", "highspy"):
        monkeypatch.setattr(planning, "version", lambda name, other=package: "0.0" if name == other else "1.0")
        found[package] = digest_of_sources([tmp_path / "here" / "a.py"], tmp_path / "here")
    assert len(set(found.values())) == 6


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda plan: plan, True),
        (lambda plan: replace(plan, entries=("other",), searches={}, fixed={}), True),
        (lambda plan: replace(plan, code="0" * 64), False),
        (lambda plan: replace(plan, suite_digest="0" * 64), False),
    ],
    ids=["nothing", "Entries", "code", "suite"],
)
def test_a_cells_key_depends_on_code_and_suite_not_on_entries(
    bench: Any, change: Callable[[Plan], Plan], same: bool
) -> None:
    plan = bench.plan()
    key = plan.cell("eu_tighten/0", BASE).key
    assert (change(plan).cell("eu_tighten/0", BASE).key == key) is same


def test_a_cells_key_depends_on_scenario_and_controller_alone_otherwise(bench: Any) -> None:
    plan = bench.plan()
    keys = {
        plan.cell("eu_tighten/0", BASE).key,
        plan.cell("eu_tighten/1", BASE).key,
        plan.cell("eu_weaken/0", BASE).key,
        plan.cell("eu_tighten/0", ControllerRecord(kind="linear", parameters={"cover": 1.3})).key,
        plan.cell("eu_tighten/0", ControllerRecord(kind="linear", parameters={"cover": 1.3 + 2**-52})).key,
        plan.cell("eu_tighten/0", ControllerRecord(kind="schedule", parameters={})).key,
    }
    assert len(keys) == 6
    # The waves make the same cell of the same pair, so that nothing is simulated once per wave.
    score = {cell.scenario: cell.key for cell in plan.score_cells(BASE)}
    assert score["eu_tighten/0"] == plan.cell("eu_tighten/0", BASE).key


@pytest.mark.parametrize("field", ["seed", "max_cover", "discount_rate", "shortfall_price", "overrides", "network"])
def test_what_defines_the_suite_is_in_the_key(bench: Any, field: str) -> None:
    other = {
        "seed": 8,
        "max_cover": 5.0,
        "discount_rate": 0.06,
        "shortfall_price": {"cobalt": 151.0},
        "overrides": {"holding.rate": 0.2},
        "network": "regional",
    }
    plan, changed = bench.plan(), bench.plan(bench.tree(**{field: other[field]}))
    assert changed.cell("eu_tighten/0", BASE).key != plan.cell("eu_tighten/0", BASE).key
    assert not {job.search for job in changed.jobs} & {job.search for job in plan.jobs}


def test_a_larger_split_keeps_the_keys_of_what_is_done(bench: Any) -> None:
    tree = bench.tree()
    tree["suite"]["splits"]["test"]["scenarios"] = 8
    before, after = bench.plan(), bench.plan(tree)
    assert {cell.key for cell in before.score_cells(BASE)} < {cell.key for cell in after.score_cells(BASE)}
    assert before.searches == after.searches


def search_id(bench: Any, **changes: Any) -> str:
    tree = bench.tree()
    entry = tree["entries"][2]
    entry["search"] |= {name: value for name, value in changes.items() if name in entry["search"] or name == "actors"}
    entry |= {name: value for name, value in changes.items() if name in entry and name != "search"}
    return bench.plan(tree).searches[entry["name"]][0].search


def test_a_searchs_id_depends_on_all_that_shapes_it_and_not_on_names_or_actors(bench: Any) -> None:
    base = search_id(bench)
    assert search_id(bench, name="another") == base
    assert search_id(bench, actors=2) == base
    shaping = {
        "method": "evolution",
        "evaluations": 11,
        "width": 5,
        "scenarios": 1,
        "finalists": 3,
        "seed": 2,
        "controller": "compliance_base_stock",
    }
    assert len({base, *(search_id(bench, **{name: value}) for name, value in shaping.items())}) == len(shaping) + 1


def test_blocks_hold_every_cell_once_in_order_and_occupy_the_workers(bench: Any) -> None:
    cells = bench.plan().score_cells(BASE) * 200
    for workers in (1, 2, 3, 64):
        cut = blocks(cells, workers, 256)
        assert [cell for block in cut for cell in block.cells] == cells
        sizes = [len(block.cells) for block in cut]
        assert len(cut) >= workers and max(sizes) <= 256 and max(sizes) - min(sizes) <= 1
    assert len(blocks(cells[:3], 8, 256)) == 3
    assert blocks([], 2, 256) == []


def test_a_block_is_as_much_work_on_a_large_network_as_on_a_small_one(bench: Any) -> None:
    small, large = bench.plan(bench.tree(scored=120)), bench.plan(bench.tree(scored=120, network="national"))
    assert small.block_cells == 4096 and 64 <= large.block_cells < 1000
    assert large.block_cells * 200 * 132 == pytest.approx(10_000_000, rel=0.01)
    assert replace(large, engine="numpy").block_cells == 64


def test_the_engine_is_in_the_keys(bench: Any) -> None:
    kernel, numpy = bench.plan(), make_plan(loads(json.dumps({**bench.tree(), "engine": "numpy"})))
    assert (kernel.engine, numpy.engine) == ("kernel", "numpy")
    assert kernel.cell("eu_tighten/0", BASE).key != numpy.cell("eu_tighten/0", BASE).key
    assert not {job.search for job in kernel.jobs} & {job.search for job in numpy.jobs}


def test_a_single_finalist_needs_no_validation_runs(bench: Any) -> None:
    plan = bench.plan()
    other = ControllerRecord(kind="linear", parameters={"cover": 2.0})
    assert plan.choice_cells([BASE]) == [] == plan.choice_cells([])
    assert [cell.scenario for cell in plan.choice_cells([BASE, other])] == [*plan.suite.scenarios("validation")] * 2


def counts(described: dict[str, Any]) -> dict[str, tuple[int, int, bool]]:
    found = {wave["name"]: (wave["cells"], wave["done"], wave["upper_bound"]) for wave in described["waves"]}
    assert list(found) == ["search", "choose", "score", "bound", "pair"]
    return {name: wave for name, wave in found.items() if wave[0]}


def test_describe_counts_what_is_to_do_before_the_first_run(bench: Any, tmp_path: Path) -> None:
    described = describe(bench.spec(), tmp_path / "nothing")
    assert counts(described) == {"search": (40, 0, False), "choose": (8, 0, True), "score": (12, 0, True)}
    assert not (tmp_path / "nothing").exists()


def test_describe_counts_what_is_done_after_the_run(bench: Any, finished: Any) -> None:
    before = (finished.results / JOURNAL).read_bytes()
    described = describe(bench.spec(), finished.results)
    assert counts(described) == {"search": (40, 40, False), "choose": (8, 8, False), "score": (12, 12, False)}
    assert sum(wave["cells"] for wave in described["waves"]) == finished.result.cells
    assert (finished.results / JOURNAL).read_bytes() == before


def test_describe_counts_a_sweep_that_was_cut_short(bench: Any, finished: Any, tmp_path: Path) -> None:
    plan = bench.plan()
    (first,), (second,) = plan.searches["reference"], plan.searches["random"]
    with Journal(finished.results / JOURNAL, read_only=True) as whole, Journal(tmp_path / JOURNAL) as part:
        for generation in [*whole.generations(first.search), *whole.generations(second.search)[:1]]:
            part.put_generation(generation)
    described = describe(bench.spec(), tmp_path)
    assert counts(described) == {"search": (40, 28, False), "choose": (8, 0, True), "score": (12, 0, True)}


def test_describes_digest_is_the_plans(bench: Any, finished: Any, tmp_path: Path) -> None:
    digest = describe(bench.spec(), tmp_path)["digest"]
    assert describe(bench.spec(), finished.results)["digest"] == digest
    assert describe(bench.spec(bench.tree(seed=8)), tmp_path)["digest"] != digest


def test_describe_says_which_instruments_bind(bench: Any, tmp_path: Path) -> None:
    rows = {row["id"]: row for row in describe(bench.spec(), tmp_path)["instruments"]}
    # 2030-2031, families without a tariff: recycled content of 2031 and the carbon price bind, a tariff does not.
    assert rows["EUBAT-RC-CO"]["binds"] and rows["EUBAT-RC-CO"]["binds_in"] == "4 of 4 test scenarios"
    assert rows["CF-CARBON"]["binds"] and not rows["CF-TARIFF"]["binds"]
    assert rows["CF-TARIFF"]["binds_in"] == "0 of 4 test scenarios"
    for row in rows.values():
        assert row["source"] and row["verification"] and row["name"], row["id"]


def test_an_instrument_binds_only_where_its_date_is_reached(bench: Any, tmp_path: Path) -> None:
    early = {row["id"]: row for row in describe(bench.spec(bench.tree(start="2026-01")), tmp_path)["instruments"]}
    assert not early["EUBAT-RC-CO"]["binds"]
    tree = bench.tree(scored=120)
    tree["suite"]["splits"]["test"] = {"families": ["eu_delay_tariff"], "scenarios": 4}
    tariffs = {row["id"]: row for row in describe(bench.spec(tree), tmp_path)["instruments"]}
    assert tariffs["CF-TARIFF"]["binds"]


def test_known_values_are_those_of_all_generations(bench: Any, finished: Any) -> None:
    (job,) = bench.plan().searches["random"]
    with Journal(finished.results / JOURNAL, read_only=True) as journal:
        known = known_values(journal.generations(job.search))
    assert len(known) == job.budget
    assert all(value.candidate == key for key, value in known.items())
