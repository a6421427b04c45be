from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator import spec_checks
from orchestrator.spec import ExperimentSpec, load, loads
from sim_core.errors import ModelError, SpecError
from tests.orchestrator.test_spec import SMOKE, changed, refusal

FAMILIES = "[eu_baseline, eu_delay, eu_tariff, eu_export_reopened]"


def place(text: str, position: int) -> str:
    before = text[:position]
    return f"x.yaml:{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"


# Each case: what is replaced, by what, the part of the line at which the fault must stand, field, words.
REFUSALS = {
    "unknown field": (
        "  seed: 20260101",
        "  sede: 1",
        "sede",
        "suite.sede",
        "unknown field (got 1); did you mean 'seed'?",
    ),
    "unknown field of an Entry": (
        "controller: linear",
        "controler: linear",
        "controler",
        "entries[0].controler",
        "unknown field (got 'linear'); did you mean 'controller'?",
    ),
    "unknown field of a search": (
        "finalists: 2",
        "finalist: 2",
        "finalist",
        "entries[1].search.finalist",
        "'finalists'?",
    ),
    "unknown split": ("    validation:", "    valid:", "valid:", "suite.splits.valid", "did you mean 'validation'?"),
    "unknown field at the top": (
        "reference: ref",
        "foo: 1\nreference: ref",
        "foo",
        "foo",
        "known: version, name, suite",
    ),
    "method": (
        "method: random",
        "method: randm",
        "randm",
        "entries[2].search.method",
        "(got 'randm'); did you mean 'random'?",
    ),
    "controller": (
        "controller: schedule",
        "controller: scedule",
        "scedule",
        "entries[2].controller",
        "did you mean 'schedule'?",
    ),
    "family": ("eu_weaken", "eu_weakn", "eu_weakn", "suite.splits.test.families[1]", "did you mean 'eu_weaken'?"),
    "archetype": ("ev_battery\n", "ev-batery\n", "ev-batery", "suite.archetype", "did you mean 'ev_battery'?"),
    "network": ("network: loop", "network: regoinal", "regoinal", "suite.network", "did you mean 'regional'?"),
    "lever": (
        "  scored: 60",
        "  levers: [buyback]\n  scored: 60",
        "buyback",
        "suite.levers[0]",
        "did you mean 'buy_back'?",
    ),
    "lever twice": (
        "  scored: 60",
        "  levers: [expedite, buy_back, expedite]\n  scored: 60",
        "expedite]",
        "suite.levers[2]",
        "listed twice",
    ),
    "material": ("cobalt: 150", "cobald: 150", "cobald", "suite.shortfall_price.cobald", "did you mean 'cobalt'?"),
    "override": (
        "  scored: 60",
        "  overrides: {bom.cobald: 1}\n  scored: 60",
        "bom.cobald",
        "suite.overrides['bom.cobald']",
        "did you mean 'bom.cobalt'?",
    ),
    "version": ("version: 1", "version: 2", "2", "version", "must be 1, the version of the format"),
    "version as truth": ("version: 1", "version: true", "true", "version", "must be a whole number (got true)"),
    "text for number": ("seed: 20260101", "seed: 'x'", "'x'", "suite.seed", "must be a whole number (got 'x')"),
    "real for whole": ("scored: 60", "scored: 60.0", "60.0", "suite.scored", "must be a whole number (got 60.0)"),
    "number for text": ("name: smoke", "name: 5", "5", "name", "must be text (got 5); quote it"),
    "nothing": ("name: smoke", "name: ~", "~", "name", "must be text (got nothing)"),
    "truth for number": (
        "nickel: 40",
        "nickel: true",
        "true",
        "suite.shortfall_price.nickel",
        "must be a number (got true)",
    ),
    "list for mapping": (
        "{cobalt: 150, nickel: 40, lithium: 120}",
        "[1]",
        "[1]",
        "suite.shortfall_price",
        "must be a mapping (got a list of 1)",
    ),
    "path as name": ("name: smoke", "name: ../x", "../x", "name", "must be 1 to 64 letters"),
    "long name": ("name: smoke", "name: " + "x" * 65, "x" * 65, "name", "must be 1 to 64 letters"),
    "negative seed": ("seed: 20260101", "seed: -1", "-1", "suite.seed", "must be at least 0 (got -1)"),
    "confidence": (
        "confidence: 0.95",
        "confidence: 95",
        "95",
        "statistics.confidence",
        "must be at most 0.999 (got 95)",
    ),
    "negative price": ("nickel: 40", "nickel: -40", "-40", "suite.shortfall_price.nickel", "must be at least 0"),
    "no cover": ("  scored: 60", "  max_cover: 0\n  scored: 60", "0\n", "suite.max_cover", "must be greater than 0"),
    "no family": (
        f"train: {{families: {FAMILIES}",
        "train: {families: []",
        "[]",
        "suite.splits.train.families",
        "1 or more",
    ),
    "family twice": (
        "eu_weaken,",
        "eu_weaken, eu_tighten,",
        "eu_tighten, eu_delay_tariff",
        "suite.splits.test.families[2]",
        "listed twice",
    ),
    "test family in train": (
        "eu_weaken, eu_delay_tariff",
        "eu_weaken, eu_delay",
        "eu_delay, eu_export",
        "suite.splits.test.families[2]",
        "a test family must be one that nothing was tuned on (got 'eu_delay')",
    ),
    "fewer scenarios than families": (
        "scenarios: 4}\n    test",
        "scenarios: 3}\n    test",
        "3}\n",
        "suite.splits.validation.scenarios",
        "fewer scenarios than the split's 4 families",
    ),
    "start as year": ("start: 2026-01", "start: 2026", "2026\n", "suite.start", "must be text (got 2026); quote it"),
    "start as day": ("start: 2026-01", "start: 2026-01-01", "2026-01-01", "suite.start", "must be a month as YYYY-MM"),
    "start in summer": (
        "start: 2026-01",
        "start: 2026-07",
        "2026-07",
        "suite.start",
        "January: compliance windows are calendar",
    ),
    "broken warm-up": (
        "warm_up: 12",
        "warm_up: 6",
        "6\n",
        "suite.warm_up",
        "multiple of 12: compliance windows are calendar",
    ),
    "broken horizon": ("scored: 60", "scored: 65", "65", "suite.scored", "(got 65); write 60"),
    "Entry name taken": (
        "- name: random",
        "- name: linear",
        "linear",
        "entries[2].name",
        "the name is taken by entries[0]",
    ),
    "reference unknown": (
        "reference: reference",
        "reference: refrence",
        "refrence",
        "reference",
        "did you mean 'reference'?",
    ),
    "schedule unsearched": (
        "name: linear\n    controller: linear",
        "name: linear\n    controller: schedule",
        "name: linear",
        "entries[0].search",
        "controller schedule needs search",
    ),
    "base-stock unfixed": (
        "name: linear\n    controller: linear",
        "name: linear\n    controller: compliance_base_stock",
        "name: linear",
        "entries[0].search",
        "needs search or parameters",
    ),
    "linear searched": (
        "controller: compliance_base_stock",
        "controller: linear",
        "search: {method: evolution",
        "entries[1].search",
        "nothing to search for",
    ),
    "schedule fixed": (
        "controller: schedule\n",
        "controller: schedule\n    parameters: {x: 1}\n",
        "parameters",
        "entries[2].parameters",
        "takes no fixed parameters",
    ),
    "a text for a number": (
        "search: {method: evolution, evaluations: 24, width: 8, scenarios: 4, finalists: 2, seed: 1}",
        "parameters: {plant_cover: '0.4'}",
        "'0.4'",
        "entries[1].parameters.plant_cover",
        "must be a number (got '0.4')",
    ),
    "a truth for a number": (
        "search: {method: evolution, evaluations: 24, width: 8, scenarios: 4, finalists: 2, seed: 1}",
        "parameters: {plant_cover: true}",
        "true",
        "entries[1].parameters.plant_cover",
        "must be a number (got true)",
    ),
    "fewer than no bounds": (
        "bound: {scenarios: 2}",
        "bound: {scenarios: -1}",
        "-1",
        "bound.scenarios",
        "must be at least 0 (got -1)",
    ),
    "unknown field of the pairs": (
        "pairs: {scenarios: 2}",
        "pairs: {scenario: 2}",
        "scenario: 2}            # test scenarios that are run",
        "pairs.scenario",
        "did you mean 'scenarios'?",
    ),
    "searched and fixed": (
        "controller: compliance_base_stock\n",
        "controller: compliance_base_stock\n    parameters: {x: 1}\n",
        "parameters",
        "entries[1].parameters",
        "either search or parameters",
    ),
    "too many scenarios": (
        "width: 8, scenarios: 4",
        "width: 8, scenarios: 9",
        "9,",
        "entries[1].search.scenarios",
        "8 scenarios",
    ),
    "wide": ("width: 8", "width: 25", "25", "entries[1].search.width", "is more than the 24 evaluations (got 25)"),
    "finalists": (
        "finalists: 2",
        "finalists: 25",
        "25",
        "entries[1].search.finalists",
        "is more than the 24 evaluations",
    ),
    "actors": (
        "finalists: 2",
        "finalists: 2, actors: 9",
        "9,",
        "entries[1].search.actors",
        "(width) (got 9); write at most 8",
    ),
}
ALSO_MISSING = ("unknown split", "unknown field", "unknown field of an Entry", "unknown field of a search")


@pytest.mark.parametrize("case", REFUSALS)
def test_a_fault_is_named_with_its_place(case: str):
    old, new, at, field, words = REFUSALS[case]
    text = changed(old, new)
    expected = f"{place(text, text.index(at, SMOKE.index(old)))}: {field}: "
    lines = refusal(text)
    assert [line for line in lines if line.startswith(expected) and words in line], (expected, lines)
    assert len(lines) == (2 if case in ALSO_MISSING else 1), lines


def test_all_faults_at_once_in_the_order_of_the_file():
    text = changed("name: smoke", "name: [smoke]")
    text = changed("  seed: 20260101\n", "", text)
    text = changed("scored: 60", "scored: 0o60", text)
    text = changed("eu_weaken", "eu_delay", text)
    text = changed("method: random", "method: randm", text)
    text = changed("width: 8", "width: 200", text)
    text = changed("reference: reference", "reference: nobody", text)
    text = changed("name: quantum", "name: random", text)
    fields = [line.split(": ")[1] for line in refusal(text)]
    assert fields == [
        "name",
        "suite.seed",
        "suite.scored",
        "suite.splits.test.families[1]",
        "reference",
        "entries[1].search.width",
        "entries[2].search.method",
        "entries[3].name",
    ]


def test_a_fault_of_reading_is_not_told_twice():
    assert len(refusal(changed("seed: 20260101", "seed: 1:30"))) == 1
    assert len(refusal(changed("train: {families: " + FAMILIES, "train: {families: *train"))) == 1
    assert len(refusal(changed("name: linear", "name: !!str linear"))) == 1


def test_a_text_that_is_no_experiment():
    assert refusal("just text") == ["x.yaml:1:1: must be a mapping of fields (got 'just text')"]
    assert refusal("[1, 2]") == ["x.yaml:1:1: must be a mapping of fields (got a list of 2)"]
    assert len(refusal("{}")) == 5
    assert refusal("[" * 3000) == ["x.yaml:1:51: nested deeper than 50 levels"]


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(SpecError, match=r"none\.yaml:1:1: can't be read"):
        load(tmp_path / "none.yaml")


def test_a_spec_that_is_built_in_code_obeys_the_same_rules():
    tree = loads(SMOKE).resolved()
    tree["reference"] = "nobody"
    tree["suite"]["splits"]["test"]["families"][0] = "eu_delay"
    with pytest.raises(ValidationError, match=r"(?s)families\[0\]: the family is in train too.*reference: differences"):
        ExperimentSpec.model_validate(tree)


def test_a_check_that_is_dropped_is_missed(monkeypatch: pytest.MonkeyPatch):
    """The mutant of the split check lets a test family into training; the suite itself still refuses it."""
    text = changed("eu_weaken", "eu_delay")
    monkeypatch.setattr(spec_checks, "_splits", lambda tree: [])
    spec = loads(text)
    with pytest.raises(ModelError, match="in train and in test"):
        spec.to_suite()


def test_every_impossible_override_is_named_with_its_place():
    text = changed("  shortfall_price:", "  overrides: {second_life.years: 0.01, grade.A: 0.9}\n  shortfall_price:")
    lines = refusal(text)
    assert len(lines) == 2
    assert "overrides['second_life.years']: must be at least 0.0833333 year" in lines[0]
    assert "overrides['grade.A']: the four grades must add up to 1" in lines[1]
