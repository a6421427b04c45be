"""`circularbench scenarios generate`: bytes that no worker or batch changes, reuse, repair, timelines, refusals."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator import scenario_draws, scenario_files
from orchestrator.pool import InProcessPool
from orchestrator.progress import PlainProgress
from orchestrator.runtime import Connection
from orchestrator.scenario_draws import Batch, ScenarioShard
from orchestrator.scenario_files import Generated, generate, narrowed, plain_suite, suite_with_timeline
from orchestrator.scenario_manifest import FILES, MANIFEST, PATHS_FILE, RECIPES_FILE, read_manifest, sha256_of
from orchestrator.scenario_tables import series_of
from sim_core.engine.layout import build_layout
from sim_core.errors import InfrastructureError, InputError, IntegrityError, ModelError
from sim_core.generate import contract
from sim_core.generate.paths import draw_paths
from sim_core.generate.recipe import Recipe, instruments
from sim_core.generate.tiers import felt, horizon, notices, tier
from sim_core.scenario import build_scenario
from sim_core.suite import SPLITS, SplitDefinition, SuiteDefinition

SUITE = replace(
    plain_suite(),
    name="files",
    warm_up=2,
    scored=9,
    run_out=1,
    splits={
        "test": SplitDefinition(families=("eu_turmoil", "eu_tariff"), scenarios=9),
        "train": SplitDefinition(families=("eu_revised", "eu_baseline", "none"), scenarios=11),
    },
)
LAW: dict[str, Any] = {
    "name": "my_law",
    "instruments": [
        {
            "id": "MY-RC-CO",
            "type": "recycled_content_mandate",
            "scope": {"material": ["cobalt"]},
            "unit": "fraction",
            "schedule": {"shape": "staircase", "steps": [["2030-01-01", 0.1], ["2034-01-01", 0.2]]},
            "announced": "2026-01-01",
            "adopted": "2026-06-01",
        }
    ],
}


def write(folder: Path, suite: SuiteDefinition = SUITE, *, paths: bool = True, workers: int = 1) -> Generated:
    return generate(suite, folder, paths=paths, workers=workers, progress=PlainProgress())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of 4 scenarios with paths and 8 without, and batches of 3, so that groups and batches don't coincide."""
    monkeypatch.setattr(scenario_files, "_ROW_GROUP", {RECIPES_FILE: 8, PATHS_FILE: 4})
    monkeypatch.setattr(scenario_files, "_BATCH", {False: 3, True: 3})


# ---------------------------------------------------------------------------------------------------- same bytes


def check_batches_leave_no_trace(folder: Path, patch: pytest.MonkeyPatch) -> None:
    write(folder / "a")
    for size in (1, 7, 500):
        patch.setattr(scenario_files, "_BATCH", {False: size, True: size})
        write(folder / str(size))
        assert content(folder / "a") == content(folder / str(size))


def test_batches_leave_no_trace_in_the_bytes(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_batches_leave_no_trace(tmp_path, monkeypatch)
    groups = pq.ParquetFile(tmp_path / "a" / PATHS_FILE).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [4 * 12] * 5


def test_mutant_groups_that_end_with_batches_are_caught(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario_files._GroupWriter, "write", scenario_files._GroupWriter._put)
    with pytest.raises(AssertionError):
        check_batches_leave_no_trace(tmp_path, monkeypatch)


def check_workers_leave_no_trace(folder: Path) -> None:
    one, two = write(folder / "one"), write(folder / "two", workers=2)
    assert one == two and content(folder / "one") == content(folder / "two")


def test_workers_leave_no_trace_in_the_bytes(ray_runtime: Connection, small: None, tmp_path: Path) -> None:
    check_workers_leave_no_trace(tmp_path)


class BackwardsPool(InProcessPool[Any, Any]):
    """Answers in the other order, as workers may."""

    def run(self, blocks: Any, on_answer: Any) -> None:
        super().run(list(reversed(blocks)), on_answer)


def test_batches_that_end_out_of_order_are_put_into_it(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario_files, "_worth", lambda asked, batches: asked)
    expected = write(tmp_path / "a")
    monkeypatch.setattr(scenario_files, "InProcessPool", BackwardsPool)
    assert write(tmp_path / "b") == expected and content(tmp_path / "a") == content(tmp_path / "b")


def test_mutant_order_of_arrival_is_caught(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_they_come(pool: Any, batches: Any, ahead: int) -> Iterator[Any]:
        found: list[Any] = []
        pool.run(list(batches), lambda _, drawn: found.append(drawn))
        yield from found

    monkeypatch.setattr(scenario_files, "_in_order", as_they_come)
    expected = write(tmp_path / "a")
    monkeypatch.setattr(scenario_files, "InProcessPool", BackwardsPool)
    assert write(tmp_path / "b") != expected


def test_few_batches_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Counting(InProcessPool[Any, Any]):
        def run(self, blocks: Any, on_answer: Any) -> None:
            asked.append(len(blocks))
            super().run(blocks, on_answer)

    pool = Counting(lambda: ScenarioShard(SUITE, paths=False))
    batches = list(scenario_files._batches(SUITE, 2))
    drawn = list(scenario_files._in_order(pool, iter(batches), 3))
    assert asked == [3, 3, 3, 2]
    assert [one.recipes["scenario"].to_pylist() for one in drawn] == [list(batch.scenarios) for batch in batches]


# ------------------------------------------------------------------------------------------------- what is written


def test_recipes_are_rows_in_the_order_of_the_splits(tmp_path: Path) -> None:
    write(tmp_path, paths=False)
    table = pq.read_table(tmp_path / RECIPES_FILE)
    ids = [(split, one) for split in SPLITS for one in SUITE.scenarios(split)]
    assert list(zip(table["split"].to_pylist(), table["scenario"].to_pylist(), strict=True)) == ids
    assert table.schema.metadata[b"schema_version"] == str(contract.SCHEMA_VERSION).encode()
    assert table.schema.field("shortest_notice").metadata == {b"unit": b"days"}
    for row in table.to_pylist():
        recipe = Recipe.from_json(row["recipe"])
        assert (recipe.scenario, recipe.family, recipe.index, recipe.seed) == (
            row["scenario"], row["family"], row["index"], row["seed"],
        )  # fmt: skip
        noticed = notices(recipe, instruments(SUITE, recipe), horizon(SUITE))
        effective = felt(recipe, noticed).events
        revised = {target for event in effective for target in event.targets}
        assert (row["events"], row["events_felt"]) == (len(recipe.events), len(effective))
        assert (row["instruments_revised"], row["notices"]) == (len(revised), list(noticed))
        assert row["tier"] == tier(recipe, instruments(SUITE, recipe), horizon(SUITE))
        assert (row["shortest_notice"] is None) == (row["pressure"] == 0.0)
    assert max(table["events"].to_pylist()) > 1


def test_paths_are_those_of_the_engine_with_names_and_units(tmp_path: Path) -> None:
    write(tmp_path)
    layout = build_layout(SUITE)
    table = pq.read_table(tmp_path / PATHS_FILE)
    assert table.num_rows == 20 * SUITE.periods
    assert table.schema.field("virgin_price:cobalt").metadata == {b"unit": b"EUR/kg"}
    assert table["month"].to_pylist()[: SUITE.periods + 1 : SUITE.periods // 2][0].isoformat() == "2026-01-01"
    for place, scenario in ((0, "eu_revised/0"), (15, "eu_turmoil/2000002")):
        rows = table.slice(place * SUITE.periods, SUITE.periods)
        assert set(rows["scenario"].to_pylist()) == {scenario} and rows["period"].to_pylist() == list(range(12))
        recipe = build_scenario(layout, scenario).recipe
        paths = draw_paths(SUITE, recipe, layout.products.archetypes, layout.network)
        for one in series_of(layout):
            values = getattr(paths, one.field)[(slice(None), *one.place)]
            assert np.array_equal(rows[one.name].to_numpy(), values), one.name


def test_lanes_between_the_same_nodes_are_told_apart() -> None:
    from orchestrator.scenario_tables import _told_apart

    assert _told_apart(["a -> b", "a -> c", "a -> b", "a -> b"]) == ["a -> b", "a -> c", "a -> b #2", "a -> b #3"]


def test_another_seed_makes_other_files_and_takes_the_place_of_the_first(tmp_path: Path) -> None:
    first = write(tmp_path)
    other = write(tmp_path, replace(SUITE, seed=2), paths=False)
    assert other.digest != first.digest and not other.reused
    assert sorted(content(tmp_path)) == [MANIFEST, RECIPES_FILE]  # the first suite's paths don't stay beside them


# ---------------------------------------------------------------------------------------------- again, and repaired


def check_reuse(folder: Path, patch: pytest.MonkeyPatch) -> None:
    first, before = write(folder), content(folder)
    assert not first.reused
    drawn: list[Batch] = []
    run = ScenarioShard.run
    patch.setattr(scenario_draws.ScenarioShard, "run", lambda self, batch: (drawn.append(batch), run(self, batch))[1])
    again = write(folder)
    assert again == replace(first, reused=True) and content(folder) == before and not drawn
    for name, harm in ((PATHS_FILE, b"x"), (RECIPES_FILE, None)):
        path = folder / name
        path.unlink() if harm is None else path.write_bytes(path.read_bytes()[:-9] + harm)
        assert write(folder, paths=False).digest == first.digest  # what the folder held is mended, asked for or not
        assert content(folder) == before


def test_again_draws_nothing_and_damage_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_reuse(tmp_path, monkeypatch)


def test_mutant_files_taken_on_trust_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(folder: Path, records: Any) -> dict[str, Any]:
        return {name: records[name] for name in FILES if name in records and (folder / name).exists()}

    monkeypatch.setattr(scenario_files, "undamaged", trusting)
    with pytest.raises(AssertionError):
        check_reuse(tmp_path, monkeypatch)


def test_paths_are_added_to_recipes(tmp_path: Path) -> None:
    alone = write(tmp_path, paths=False)
    recipes = (tmp_path / RECIPES_FILE).stat().st_mtime_ns
    both = write(tmp_path)
    assert set(both.files) == set(FILES) and not both.reused and both.digest != alone.digest
    assert (tmp_path / RECIPES_FILE).stat().st_mtime_ns == recipes


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, table: pa.Table) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scenario_files._GroupWriter, "write", full)
    with pytest.raises(InfrastructureError, match=r"No space left.*same command again"):
        write(tmp_path)
    assert content(tmp_path) == {}


# ------------------------------------------------------------------------------------------------------ the manifest


def test_the_manifest_alone_rebuilds_the_suite(tmp_path: Path) -> None:
    found = write(tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest.suite == SUITE and manifest.digest == found.digest
    assert {name: sha256_of(tmp_path / name) for name in FILES} == dict(found.files)
    form = json.loads((tmp_path / MANIFEST).read_text())
    assert form["counts"] == {
        "train": {"eu_revised": 4, "eu_baseline": 4, "none": 3},
        "test": {"eu_turmoil": 5, "eu_tariff": 4},
    }
    assert form["files"][PATHS_FILE]["rows"] == 240


@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), InputError, "scenarios generate SPEC"),
        (lambda folder: (folder / MANIFEST).write_text("{"), IntegrityError, "manifest.json is damaged"),
        (
            lambda folder: (folder / RECIPES_FILE).write_bytes(b"PAR1"),
            IntegrityError,
            "recipes.parquet damaged or miss",
        ),
        (lambda folder: (folder / RECIPES_FILE).unlink(), IntegrityError, "recipes.parquet damaged or missing"),
        (lambda folder: edit(folder, schema_version=99), InputError, "has schema version 99, this circularbench reads"),
        (lambda folder: edit(folder, counts={}), IntegrityError, "was altered"),
        (lambda folder: edit(folder, suite={}), IntegrityError, "was altered"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, harm: Any, error: type[Exception], said: str) -> None:
    write(tmp_path, paths=False)
    harm(tmp_path)
    with pytest.raises(error, match=said):
        read_manifest(tmp_path)


def edit(folder: Path, **values: Any) -> None:
    form = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**form, **values}))


# --------------------------------------------------------------------------------------------- splits and timelines


def test_one_split_and_another_count() -> None:
    assert narrowed(SUITE, split=None, count=None) == SUITE
    more = narrowed(SUITE, split=None, count=30)
    for split in ("train", "test"):  # ids of test follow from the families of train too
        one = narrowed(SUITE, split=split, count=5)
        assert one.scenarios(split) == SUITE.scenarios(split)[:5] == more.scenarios(split)[:5]
        assert sum(len(one.scenarios(name)) for name in SPLITS) == 5 and one.digest == SUITE.digest
    with pytest.raises(InputError, match="--split validation: suite 'files' has test, train"):
        narrowed(SUITE, split="validation", count=None)


def test_a_timeline_takes_the_place_of_the_splits(tmp_path: Path) -> None:
    suite = suite_with_timeline(SUITE, LAW, 6)
    assert suite.splits == {"test": SplitDefinition(families=("my_law",), scenarios=6)}
    assert suite_with_timeline(suite, LAW, None).timelines == (LAW,)
    assert suite_with_timeline(suite, LAW, None).splits["test"].scenarios == 1000
    write(tmp_path, suite)
    assert read_manifest(tmp_path).suite.family("my_law").own[0].id == "MY-RC-CO"
    with pytest.raises(ModelError, match="instruments"):
        suite_with_timeline(SUITE, {**LAW, "instruments": []}, 6)


def test_the_command_line(bench: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = bench.call("scenarios", "generate", bench.file(tmp_path), "-o", out, "--split", "train", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert (found["scenarios"], found["splits"], found["reused"]) == (2, {"train": 2}, False)
    assert found["schema_version"] == contract.SCHEMA_VERSION and set(found["files"]) == {RECIPES_FILE}
    again = bench.call("scenarios", "generate", bench.file(tmp_path), "-o", out, "--split", "train")
    assert "already there" in again.stderr and found["digest"] in again.stdout
    for arguments, said in (
        (["-o", out], "--timeline FILE"),
        ([bench.file(tmp_path), "-o", out, "--split", "exam"], "--split exam"),
        ([bench.file(tmp_path)], "-o"),
    ):
        wrong = bench.call("scenarios", "generate", *arguments)
        assert wrong.exit_code == 2 and said in wrong.stderr and "Traceback" not in wrong.output


def test_a_timeline_from_a_file(bench: Any, tmp_path: Path) -> None:
    law = tmp_path / "my_law.yaml"
    law.write_text(json.dumps(LAW))
    out = tmp_path / "out"
    result = bench.call("scenarios", "generate", "--timeline", law, "-o", out, "--count", "4", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["splits"] == {"test": 4} and "ev_battery on network loop" in result.stderr
    assert read_manifest(out).suite.periods == 132
    given = bench.call("scenarios", "generate", bench.file(tmp_path), "--timeline", law, "-o", out, "--count", "3")
    assert given.exit_code == 0 and "replacing" in given.stderr and read_manifest(out).suite.name == "tiny_suite"
