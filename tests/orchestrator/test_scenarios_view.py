"""`circularbench scenarios describe`: its counts, coverage, choice of pictures, and pictures with the same bytes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from orchestrator import scenarios_view, timeline_pictures
from orchestrator.progress import PlainProgress
from orchestrator.scenario_files import generate, plain_suite
from orchestrator.scenario_manifest import MANIFEST
from orchestrator.scenarios_view import Description, describe, draw_pictures, tables
from orchestrator.timeline_pictures import draw_picture, told
from sim_core.engine.layout import build_layout
from sim_core.generate.coverage import coverage
from sim_core.generate.events import Event
from sim_core.generate.recipe import Recipe, draw_recipes, instruments
from sim_core.generate.tiers import felt, horizon, notices
from sim_core.scenario import build_scenario, from_recipe
from sim_core.suite import SplitDefinition, SuiteDefinition

SUITE = replace(
    plain_suite(),
    name="view",
    run_out=6,
    splits={
        "train": SplitDefinition(families=("eu_revised", "eu_baseline"), scenarios=40),
        "test": SplitDefinition(families=("eu_turmoil", "none"), scenarios=30),
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenarios that tests only read."""
    made = tmp_path_factory.mktemp("scenarios")
    generate(SUITE, made, paths=False, workers=1, progress=PlainProgress())
    return made


def recipes(family: str, suite: SuiteDefinition = SUITE) -> list[Recipe]:
    """Return a family's recipes with what takes effect alone."""
    split = next(name for name, one in suite.splits.items() if family in one.families)
    indices = [int(one.split("/")[1]) for one in suite.scenarios(split) if one.startswith(f"{family}/")]
    drawn = draw_recipes(suite, family, indices)
    return [felt(one, notices(one, instruments(suite, one), horizon(suite))) for one in drawn]


# ------------------------------------------------------------------------------------------------------------ counts


def check_counts(folder: Path) -> None:
    form = describe(folder).form
    assert [(one["split"], one["family"], one["scenarios"]) for one in form["families"]] == [
        ("train", "eu_revised", 20), ("train", "eu_baseline", 20), ("test", "eu_turmoil", 15), ("test", "none", 15),
    ]  # fmt: skip
    for one in form["families"]:
        drawn = recipes(one["family"])
        events = [event for recipe in drawn for event in recipe.events]
        assert one["events"] == len(events) / len(drawn)
        assert one["revised"] == sum(bool(recipe.events) for recipe in drawn) / len(drawn)
        assert one["kinds"] == {kind: sum(e.kind == kind for e in events) for kind in {e.kind for e in events}}
        found = coverage([SUITE.family(one["family"])], drawn)
        assert (one["coverage"]["covered"], one["coverage"]["share"]) == (len(found.covered), found.share)
        assert one["coverage"]["missing"] == [list(pair) for pair in found.missing]
    whole = coverage(
        SUITE.listed_families, [one for name in ("eu_revised", "eu_baseline", "eu_turmoil") for one in recipes(name)]
    )
    assert form["coverage"]["covered"] == len(whole.covered) > form["families"][0]["coverage"]["covered"]
    assert {split: sum(tiers.values()) for split, tiers in form["tiers"].items()} == {"train": 40, "test": 30}
    assert form["families"][3]["notice"] is None and form["tiers"]["test"]["calm"] >= 15


def test_counts_are_those_of_the_recipes(folder: Path) -> None:
    check_counts(folder)


def test_mutant_a_family_without_its_last_scenario_is_caught(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = scenarios_view._rows
    monkeypatch.setattr(scenarios_view, "_rows", lambda manifest: list(rows(manifest))[:-1])
    with pytest.raises(AssertionError):
        check_counts(folder)


def test_the_folder_alone_is_read(bench: Any, folder: Path) -> None:
    result = bench.call("scenarios", "describe", folder, "--no-pictures")
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "70 scenarios of suite view" in text and "any part of battery law delayed" in text
    assert "eu_turmoil (test)" in text and "missing" in text and " + EUBAT-" in text
    assert not (folder / scenarios_view.PICTURES).exists()
    machine = json.loads(bench.call("scenarios", "describe", folder, "--no-pictures", "--json").stdout)
    assert machine == {**describe(folder).form, "pictures": []}


def test_a_folder_without_scenarios_is_no_traceback(bench: Any, tmp_path: Path) -> None:
    result = bench.call("scenarios", "describe", tmp_path)
    assert result.exit_code == 2 and "holds no manifest.json" in result.stderr and "Traceback" not in result.output
    (tmp_path / MANIFEST).write_text("[]")
    assert "schema version None" in bench.call("scenarios", "describe", tmp_path).stderr


def test_families_without_combinations_have_no_pairs_to_cover() -> None:
    none = {"admissible": 0, "covered": 0, "share": None, "missing": []}
    one = {
        "split": "test", "family": "none", "description": "", "scenarios": 1, "events": 0.0, "revised": 0.0,
        "unmet": ["EUBAT-RC-CO"], "kinds": {}, "notice": None, "coverage": none,
    }  # fmt: skip
    form = {"scenarios": 1, "suite": "s", "families": [one], "tiers": {"test": {"calm": 1}}, "coverage": none}
    assert "no pairs to cover" in str(tables(form)[2])
    assert "no reference controller meets EUBAT-RC-CO" in str(tables(form)[3])
    assert "no family says" in str(tables({**form, "families": []})[3])


# ---------------------------------------------------------------------------------------------------------- pictures


def test_scenarios_with_many_revisions_of_all_families_are_shown(folder: Path) -> None:
    shown = describe(folder).shown
    assert [one.split for one in shown] == ["train"] * 3 + ["test"] * 3
    assert {one.recipe.family for one in shown[:3]} == {"eu_revised", "eu_baseline"}
    most = max(len({t for e in one.events for t in e.targets}) for one in recipes("eu_revised"))
    assert shown[0].revised == most >= 3
    assert len({one.recipe.scenario for one in shown}) == 6


def check_pictures_are_the_same(folder: Path) -> None:
    layout, scenario = build_layout(SUITE), build_scenario(build_layout(SUITE), "eu_turmoil/1")
    for name in ("a", "b"):
        draw_picture(layout, scenario, "one scenario", folder / name)
    for ending in ("png", "svg"):
        assert (folder / f"a.{ending}").read_bytes() == (folder / f"b.{ending}").read_bytes()
    assert b"<dc:date>" not in (folder / "a.svg").read_bytes()
    ET.parse(folder / "a.svg")
    assert int.from_bytes((folder / "a.png").read_bytes()[16:20], "big") == 1200  # pixels across


def test_equal_scenarios_give_equal_pictures(tmp_path: Path) -> None:
    check_pictures_are_the_same(tmp_path)


def test_mutant_random_ids_in_the_svg_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style = {name: value for name, value in timeline_pictures._STYLE.items() if name != "svg.hashsalt"}
    monkeypatch.setattr(timeline_pictures, "_STYLE", style)
    with pytest.raises(AssertionError):
        check_pictures_are_the_same(tmp_path)


def test_pictures_replace_those_of_an_earlier_time(folder: Path, tmp_path: Path) -> None:
    found = describe(folder)
    few = Description(suite=found.suite, form=found.form, shown=found.shown[:1])
    pictures = tmp_path / scenarios_view.PICTURES
    pictures.mkdir()
    (pictures / "test-old-7.png").touch()
    (pictures / "mine.png").touch()
    drawn = draw_pictures(tmp_path, few)
    assert [path.suffix for path in drawn] == [".png", ".svg"]
    assert sorted(pictures.iterdir()) == sorted([*drawn, pictures / "mine.png"])


def event(kind: str, amount: float = 0.0, *, announced: str = "2029-01-01", ends: str = "") -> Event:
    targets = ("CF-TARIFF",) if kind == "enact" else ("EUBAT-RC-CO",)
    return Event(kind=kind, targets=targets, announced=announced, adopted="2030-01-31", amount=amount, ends=ends)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (event("delay", 8.7), "delay 9 months (2029-01-01 to 2030-01-31)"),
        (event("repeal"), "repeal (2029-01-01 to 2030-01-31)"),
        (event("amend", 1.2345), "amend \N{MULTIPLICATION SIGN} 1.23 (2029-01-01 to 2030-01-31)"),
        (
            event("enact", 0.5, ends="2033-02-01"),
            "enact \N{MULTIPLICATION SIGN} 0.5 until 2033-02 (2029-01-01 to 2030-01-31)",
        ),
    ],
)
def test_events_in_words(one: Event, words: str) -> None:
    assert told(one) == words


def test_strips_show_what_is_revised_and_what_it_was_before() -> None:
    layout = build_layout(SUITE)
    drawn = Recipe(family="eu_baseline", index=0, seed=SUITE.seed, events=(event("delay", 24.0), event("enact", 0.5)))
    strips = timeline_pictures._strips(layout, from_recipe(layout, drawn))
    assert [one.instrument.id for one in strips[:2]] == ["EUBAT-RC-CO", "CF-TARIFF"] and len(strips) == 3
    assert strips[0].first[0] == (strips[0].instrument.revisions[0].steps[0]) and strips[1].first == ()
    assert not strips[2].events
    calm = timeline_pictures._strips(layout, from_recipe(layout, replace(drawn, events=())))
    assert len(calm) == 3 and "CF-TARIFF" not in [one.instrument.id for one in calm]
