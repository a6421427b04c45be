"""What a sweep leaves behind: report, cells, recipes; each written only when it would change. MLflow may fail."""

import hashlib
import html
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import report as reports
from orchestrator.outcome import EXPERIMENT, read_leaderboard
from orchestrator.plan import instruments
from orchestrator.publish import REPORT, recipe_lines
from orchestrator.tables import PartRef, read_part, rows
from sim_core.errors import InputError
from sim_core.seeding import canonical_json


@pytest.fixture
def results(finished: Any, tmp_path: Path) -> Path:
    """A copy of the finished results that a test may change."""
    return Path(shutil.copytree(finished.results, tmp_path / "results"))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The reports that were written during the test."""
    paths: list[Path] = []
    write = reports.write_report

    def watched(path: Path, **parts: Any) -> None:
        paths.append(path)
        write(path, **parts)

    monkeypatch.setattr(reports, "write_report", watched)
    return paths


def test_an_unchanged_leaderboard_leaves_the_report_alone(bench: Any, results: Path, written: list[Path]) -> None:
    before = (results / REPORT).read_bytes()
    bench.run(results)
    bench.run(results)
    assert written == [] and (results / REPORT).read_bytes() == before


def test_a_lost_report_is_written_again_byte_for_byte(bench: Any, results: Path, written: list[Path]) -> None:
    reports_found: list[bytes] = []
    for _ in range(2):
        (results / REPORT).unlink()
        bench.run(results)
        reports_found.append((results / REPORT).read_bytes())
    assert written == [results / REPORT] * 2
    assert reports_found[0] == reports_found[1]


def test_a_report_that_cant_be_written_ends_with_exit_code_3_and_a_remedy(
    bench: Any, finished: Any, results: Path
) -> None:
    (results / REPORT).unlink()
    (results / REPORT).mkdir()  # no disk of this machine can be filled up, but a folder can't be overwritten either
    (results / REPORT / "in the way").touch()
    tree = bench.tree()
    tree["statistics"]["confidence"] = 0.5
    run = bench.call("run", bench.file(results.parent, tree), "--in-process", "--results", results, "--json")
    assert run.exit_code == 3 and run.stderr.startswith("error: ")
    assert str(results / REPORT) in run.stderr and "Traceback" not in run.output


def test_another_confidence_changes_the_leaderboard_and_so_the_report(
    bench: Any, finished: Any, results: Path, written: list[Path]
) -> None:
    tree = bench.tree()
    tree["statistics"]["confidence"] = 0.5
    result = bench.run(results, tree)
    assert (result.simulated, result.digest) == (0, finished.result.digest)
    assert written == [results / REPORT]
    assert result.leaderboard.to_json() == read_leaderboard(results).to_json() != finished.result.leaderboard.to_json()


def test_the_report_is_that_of_the_last_run_when_experiments_share_a_folder(bench: Any, results: Path) -> None:
    tree = bench.tree()
    tree["name"], tree["entries"] = "other", tree["entries"][1:]
    assert bench.run(results, tree).simulated == 0
    assert "linear" not in names_in(results / REPORT)
    bench.run(results)
    assert "linear" in names_in(results / REPORT)


def names_in(report: Path) -> set[str]:
    """Return which Entries a report ranks."""
    text = report.read_text(encoding="utf-8")
    return {name for name in ("linear", "reference", "random") if f">{name}<" in text}


def test_an_experiments_own_leaderboard_is_shown_when_experiments_share_a_folder(bench: Any, results: Path) -> None:
    tree = bench.tree()
    tree["name"], tree["entries"] = "other", tree["entries"][1:]
    bench.run(results, tree)
    spec = bench.file(results.parent)
    shown = bench.call("leaderboard", spec, "--results", results, "--json")
    assert {row["name"] for row in json.loads(shown.stdout)["entries"]} == {"linear", "reference", "random"}


def test_the_report_names_the_entries_the_digest_and_how_to_repeat_it(bench: Any, finished: Any) -> None:
    text = (finished.results / REPORT).read_text(encoding="utf-8")
    assert names_in(finished.results / REPORT) == {"linear", "reference", "random"}
    assert finished.result.digest in text
    assert f"circularbench run {finished.results / EXPERIMENT} --results {finished.results}" in text
    for word in ("tiny_suite", "eu_weaken", *(html.escape(row["name"]) for row in instruments(bench.plan().suite))):
        assert word in text, word
    assert "http://" not in text and "https://" not in text.replace("https://eur-lex", ""), "loads nothing from outside"


def test_the_kept_experiment_repeats_the_run(bench: Any, finished: Any, results: Path) -> None:
    run = bench.call("plan", results / EXPERIMENT, "--results", results, "--json")
    assert run.exit_code == 0
    assert all(wave["done"] == wave["cells"] for wave in json.loads(run.stdout)["waves"])


def test_the_cells_are_the_test_runs_of_all_entries(bench: Any, finished: Any) -> None:
    (path,) = (finished.results / "leaderboard").glob("*.parquet")
    part = PartRef(name=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    found = rows(read_part(path.parent, part))
    assert [row.key for row in found] == sorted(row.key for row in found)
    assert len(found) == 12 and {row.family for row in found} == {"eu_tighten", "eu_weaken"}
    controllers = {row.controller for row in finished.result.leaderboard.rows}
    assert {row.controller for row in found} == controllers


def test_one_recipe_a_scenario_each_within_a_kilobyte(bench: Any, finished: Any) -> None:
    suite = bench.plan().suite
    lines = (finished.results / "recipes.jsonl").read_text(encoding="utf-8").splitlines()
    assert "\n".join([*lines, ""]) == recipe_lines(suite)
    found = [json.loads(line) for line in lines]
    for split in ("train", "validation", "test"):
        ids = tuple(f"{item['recipe']['family']}/{item['recipe']['index']}" for item in found if item["split"] == split)
        assert ids == suite.scenarios(split)
    assert {item["recipe"]["seed"] for item in found} == {suite.seed}
    for line, item in zip(lines, found, strict=True):
        recipe = canonical_json(item["recipe"])
        assert recipe in line and len(recipe.encode()) <= 1024


def test_recipes_of_every_family_fit_a_kilobyte(bench: Any) -> None:
    from sim_core.generate.families import FAMILY_NAMES
    from sim_core.generate.recipe import draw_recipe

    suite = bench.plan(bench.tree(network="regional", scored=240)).suite
    sizes = [len(draw_recipe(suite, name, index).to_json()) for name in FAMILY_NAMES for index in range(50)]
    assert max(sizes) <= 1024


def test_a_changed_suite_has_its_recipes_written(bench: Any, results: Path) -> None:
    tree = bench.tree()
    tree["suite"]["splits"]["test"]["scenarios"] = 6
    bench.run(results, tree)
    assert (results / "recipes.jsonl").read_text(encoding="utf-8") == recipe_lines(bench.plan(tree).suite)


def test_recipes_cut_short_by_a_kill_are_completed_by_the_next_run(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def cut(path: Path, text: str, **options: Any) -> int:
        if "recipes" in path.name:
            write(path, text[: len(text) // 2], **options)
            raise KeyboardInterrupt
        return write(path, text, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut)
        with pytest.raises(KeyboardInterrupt):
            bench.run(tmp_path)
    bench.run(tmp_path)
    assert (tmp_path / "recipes.jsonl").read_bytes() == (finished.results / "recipes.jsonl").read_bytes()


def test_a_leaderboard_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run one first"):
        read_leaderboard(tmp_path)


# ------------------------------------------------------------------------------------------------ MLflow


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine at which nobody listens; bound, so that nobody else takes it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_dead_mlflow_fails_no_run_and_says_what_to_do(
    bench: Any, finished: Any, results: Path, closed_port: int
) -> None:
    spec, address = bench.file(results.parent), f"http://127.0.0.1:{closed_port}"
    run = bench.call("run", spec, "--in-process", "--results", results, "--tracking", address, "--json")
    assert run.exit_code == 0
    assert json.loads(run.stdout)["digest"] == finished.result.digest
    (message,) = [line for line in run.stderr.splitlines() if "MLflow" in line]
    assert message.startswith(f"MLflow not updated: {address}: ") and "refused" in message
    assert "run the command again" in message and "Traceback" not in run.output


def test_a_failed_mlflow_is_tried_again_by_the_next_run(
    bench: Any, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator import tracking
    from orchestrator.backend import RunSettings
    from orchestrator.progress import PlainProgress
    from orchestrator.sweep import run_sweep

    asked: list[tuple[Any, str, str | None]] = []
    answers = [
        tracking.Flushed(link=None, experiment_id=None, cursor=None, message="MLflow not updated: down"),
        tracking.Flushed(link="http://there", experiment_id="1", cursor="written", message=""),
    ]

    def flush(sweep: Any, *, uri: str, cursor: str | None) -> Any:
        asked.append((sweep, uri, cursor))
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(tracking, "flush", flush)
    outcomes = [
        run_sweep(
            bench.spec(),
            results,
            settings=RunSettings(in_process=True, tracking="sqlite:///x.db"),
            progress=PlainProgress(),
        )
        for _ in range(3)
    ]
    assert [outcome.mlflow_link for outcome in outcomes] == [None, "http://there", "http://there"]
    assert [outcome.mlflow_message for outcome in outcomes] == ["MLflow not updated: down", "", ""]
    assert [(uri, cursor) for _, uri, cursor in asked] == [
        ("sqlite:///x.db", cursor) for cursor in (None, None, "written")
    ]
    # Equal content, equal times: what is written again is what was written.
    assert asked[0][0] == asked[1][0] == asked[2][0]
    assert asked[0][0].started_ms <= asked[0][0].ended_ms
    assert asked[0][0].cells.exists() and asked[0][0].report == results / REPORT
