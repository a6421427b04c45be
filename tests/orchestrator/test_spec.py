import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from optimizers import METHODS
from orchestrator.spec import Entry, ExperimentSpec, Search, Split, Splits, Statistics, Suite, load, loads
from orchestrator.spec_checks import CONTROLLERS
from sim_core.catalogue import ARCHETYPES
from sim_core.control import LEVERS
from sim_core.errors import SpecError
from sim_core.generate.families import FAMILY_NAMES
from sim_core.network import NETWORK_TEMPLATES
from sim_core.suite import SuiteDefinition

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))
SMOKE = (ROOT / "experiments" / "smoke.yaml").read_text(encoding="utf-8")


def changed(old: str, new: str, text: str = SMOKE) -> str:
    assert old in text
    return text.replace(old, new, 1)


def refusal(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loads(text, "x.yaml")
    return caught.value.message.splitlines()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_every_experiment_is_valid_and_survives_the_way_there_and_back(path: Path):
    spec = load(path)
    assert loads(spec.to_yaml()) == spec
    assert loads(json.dumps(spec.resolved())) == spec
    suite = spec.to_suite()
    assert SuiteDefinition.from_json(json.loads(json.dumps(suite.to_json()))).digest == suite.digest


def test_the_experiments_of_the_issue_are_there():
    demo, smoke = (load(ROOT / "experiments" / f"{name}.yaml") for name in ("demo", "smoke"))
    assert [entry.name for entry in demo.entries] == ["linear", "reference", "random", "quantum", "evolution"]
    budgets = {(entry.search.evaluations, entry.search.scenarios) for entry in demo.entries[2:] if entry.search}
    assert len(budgets) == 1  # compared at equal node-periods
    assert demo.to_suite().periods == 252
    assert [entry.name for entry in smoke.entries] == ["linear", "reference", "random", "quantum"]


def test_to_suite_carries_every_field():
    text = changed(
        "  scored: 60\n", "  scored: 60\n  run_out: 6\n  max_cover: 3\n  epoch_months: 12\n  levers: [expedite]\n"
    )
    text = changed("  splits:", "  discount_rate: 0.02\n  overrides: {bom.cobalt: 1}\n  splits:", text)
    suite = loads(text).to_suite()
    assert (suite.warm_up, suite.scored, suite.run_out, suite.start) == (12, 60, 6, "2026-01")
    assert (suite.max_cover, suite.epoch_months, suite.levers) == (3.0, 12, ("expedite",))
    assert (suite.discount_rate, dict(suite.overrides)) == (0.02, {"bom.cobalt": 1.0})
    assert suite.shortfall_price == {"cobalt": 150.0, "nickel": 40.0, "lithium": 120.0}
    assert suite.splits["test"].families == ("eu_tighten", "eu_weaken", "eu_delay_tariff", "eu_export_delay")
    assert len(suite.scenarios("train")) == 8


def test_defaults_are_those_of_the_suite():
    suite = loads(SMOKE).to_suite()
    assert (suite.levers, suite.discount_rate, suite.epoch_months, suite.max_cover) == (LEVERS, 0.05, 24, 4.0)
    assert (suite.run_out, suite.overrides) == (0, {})


def test_whole_numbers_and_their_real_forms_are_the_same_suite():
    assert loads(changed("nickel: 40", "nickel: 40.0")).to_suite().digest == loads(SMOKE).to_suite().digest


def test_a_spec_does_not_change_after_loading():
    with pytest.raises(ValidationError):
        loads(SMOKE).name = "other"


def test_names_that_look_like_numbers_survive_the_way_there_and_back():
    text = changed("name: smoke", "name: '1e3'")
    text = changed("- name: linear", "- name: 'yes'", text)
    spec = loads(text)
    assert (spec.name, spec.entries[0].name) == ("1e3", "yes")
    assert loads(spec.to_yaml()) == spec


def test_fixed_parameters():
    searched = "search: {method: evolution, evaluations: 24, width: 8, scenarios: 4, finalists: 2, seed: 1}"
    entry = loads(changed(searched, "parameters: {cover: 1}")).entries[1]
    assert (entry.search, entry.parameters) == (None, {"cover": 1.0})


def test_loading_imports_nothing_heavy():
    program = (
        "import sys; from orchestrator.spec import load; load('experiments/demo.yaml')\n"
        "print([name for name in ('ray', 'mlflow', 'torch', 'pyarrow', 'numba', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_reference_names_every_field_and_every_choice():
    text = (ROOT / "docs" / "experiment.md").read_text(encoding="utf-8")
    parts = (ExperimentSpec, Suite, Splits, Split, Entry, Search, Statistics)
    words = {name for part in parts for name in part.model_fields}
    words |= {*METHODS, *CONTROLLERS, *ARCHETYPES, *FAMILY_NAMES, *LEVERS, *NETWORK_TEMPLATES}
    assert {word for word in words if f"`{word}`" not in text} == set()


PATHS = [
    ("version",),
    ("suite",),
    ("suite", "start"),
    ("suite", "splits"),
    ("suite", "splits", "train"),
    ("suite", "splits", "test", "families"),
    ("suite", "levers"),
    ("suite", "overrides"),
    ("suite", "archetype"),
    ("entries",),
    ("entries", 0),
    ("entries", 0, "controller"),
    ("entries", 1, "search"),
    ("entries", 1, "search", "evaluations"),
    ("entries", 1, "parameters"),
    ("reference",),
    ("statistics", "confidence"),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["linear", "schedule", "eu_delay", "2026-01", "{}", "{kind}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(PATHS), values)
def test_any_value_anywhere_is_taken_or_refused(path: tuple[str | int, ...], value: object):
    tree = yaml.safe_load(SMOKE)
    target = tree
    for part in path[:-1]:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
    target[path[-1]] = value
    taken_or_refused(json.dumps(tree))


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_any_text_is_refused(text: str):
    refusal(text)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_damage_to_a_file_is_taken_or_refused(data: st.DataObject):
    start = data.draw(st.integers(0, len(SMOKE)))
    end = data.draw(st.integers(start, min(len(SMOKE), start + 40)))
    marks = st.text(alphabet="ab1.:-[]{},&*!|>'\"%@?#\n\t ~_0", max_size=10)
    taken_or_refused(SMOKE[:start] + data.draw(marks) + SMOKE[end:])


def taken_or_refused(text: str) -> None:
    try:
        spec = loads(text, "x.yaml")
    except SpecError as error:
        message = error.message
    else:
        assert loads(spec.to_yaml()) == spec
        return
    assert message.startswith("x.yaml:")
