import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from optimizers import METHODS
from optimizers.controllers import KINDS
from optimizers.controllers.views import VIEWS
from orchestrator.entry_checks import CONTROLLERS, TEXTS
from orchestrator.network_reader import _LANE_FIELDS, _NODE_FIELDS, _PROCESS_FIELDS
from orchestrator.spec import (
    Bound,
    Entry,
    ExperimentSpec,
    ForecastPart,
    Pairs,
    Product,
    RacePart,
    Search,
    Split,
    Splits,
    Statistics,
    Suite,
    load,
    loads,
)
from sim_core.catalogue import ARCHETYPES, LIFETIMES
from sim_core.control import LEVERS
from sim_core.errors import ModelError, SpecError
from sim_core.exogenous import KINDS as PROCESSES
from sim_core.generate.families import FAMILY_NAMES
from sim_core.network import LaneGroup, Network, NodeKind
from sim_core.network_generator import NETWORK_TEMPLATES
from sim_core.suite import FORECASTS, Forecast, ProductShare, SuiteDefinition

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))
_DOCS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall("```yaml\n(version:.*?)```", _DOCS, flags=re.DOTALL)
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
    assert suite.discount_rate == 0.02
    assert suite.products == (ProductShare(archetype="ev_battery", overrides={"bom.cobalt": 1.0}),)
    assert suite.shortfall_price == {"cobalt": 150.0, "nickel": 40.0, "lithium": 120.0}
    assert suite.splits["test"].families == ("eu_tighten", "eu_weaken", "eu_delay_tariff", "eu_export_delay")
    assert len(suite.scenarios("train")) == 8


def test_defaults_are_those_of_the_suite():
    suite = loads(SMOKE).to_suite()
    assert (suite.levers, suite.discount_rate, suite.epoch_months, suite.max_cover) == (LEVERS, 0.05, 24, 4.0)
    assert (suite.run_out, suite.products) == (0, (ProductShare(archetype="ev_battery"),))
    assert (suite.forecast, suite.vintage_periods, suite.instruments) == (Forecast(), 12, ())
    assert (suite.jurisdiction, suite.network) == ("EU", "loop")
    fields = {field.name: field.default for field in SuiteDefinition.__dataclass_fields__.values()}
    for name, field in Suite.model_fields.items():
        if name in (
            "discount_rate",
            "epoch_months",
            "max_cover",
            "targets",
            "vintage_periods",
            "jurisdiction",
            "levers",
        ):
            assert field.default == fields[name], name
    assert ForecastPart().model_dump() == {"method": Forecast().method, "periods": Forecast().periods}


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


def test_what_an_entry_may_name_is_what_there_is():
    """Named twice, because reading a file must not load the controllers."""
    assert set(CONTROLLERS) == set(KINDS)
    assert TEXTS["mpc"]["view"] == VIEWS


def test_the_reference_names_every_field_and_every_choice():
    text = (ROOT / "docs" / "experiment.md").read_text(encoding="utf-8")
    parts = (
        ExperimentSpec,
        Suite,
        Product,
        ForecastPart,
        Splits,
        Split,
        Entry,
        Search,
        RacePart,
        Statistics,
        Bound,
        Pairs,
    )
    words = {name for part in parts for name in part.model_fields}
    words |= {*CONTROLLERS, *ARCHETYPES, *FAMILY_NAMES, *LEVERS, *NETWORK_TEMPLATES, *LIFETIMES, *FORECASTS}
    assert {word for word in words if f"`{word}`" not in text} == set()
    search = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    assert {method for method in METHODS if f"`{method}`" not in search} == set()


def test_the_network_reference_names_every_field_and_every_choice():
    words = {*_NODE_FIELDS, *_LANE_FIELDS, *_PROCESS_FIELDS, *PROCESSES, *NETWORK_TEMPLATES, *NodeKind}
    words |= {group.name for group in LaneGroup}
    assert {word for word in words if f"`{word}`" not in _DOCS} == set()


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_network_reference_are_valid(example: str):
    spec = loads(example)
    assert loads(spec.to_yaml()) == spec
    assert spec.check_model() == []


def test_the_network_reference_has_its_examples():
    assert len(EXAMPLES) == 3


OWN = """\
version: 1
name: own
suite:
  name: own
  archetype: plain
  seed: 1
  scored: 5
  splits: {test: {families: [none], scenarios: 2}}
  network:
    nodes:
      - {name: factory, kind: supplier}
      - {name: shop, kind: warehouse, holding: 0.18, max_target: {S: 128}}
      - {name: town, kind: market, demand: {process: normal, mean: 50, sd: 8}, backlog: true, shortage_cost: 0.7}
    lanes:
      - {from: factory, to: shop}
      - {from: shop, to: town}
entries:
  - {name: only, controller: base_stock, parameters: {shop.S: 56.6}}
"""


def test_a_small_case_needs_little():
    """No law, no search: no January, no whole years, no train and validation, no reference."""
    spec = loads(OWN)
    suite = spec.to_suite()
    assert (spec.reference, suite.start, suite.periods, list(suite.splits)) == ("only", "2026-01", 5, ["test"])
    assert suite.scenarios("train") == () and suite.scenarios("test") == ("none/0", "none/1")
    assert isinstance(suite.network, Network) and [node.name for node in suite.network.nodes] == [
        "factory",
        "shop",
        "town",
    ]
    again = SuiteDefinition.from_json(json.loads(json.dumps(suite.to_json())))
    assert again.network == suite.network and again.digest == suite.digest
    july = changed("  seed: 1\n", "  seed: 1\n  start: 2026-07\n  warm_up: 7\n", OWN)
    assert loads(july).to_suite().periods == 12


def test_a_suite_of_several_products():
    text = changed(
        "  archetype: plain\n",
        "  products:\n    - {archetype: plain, name: old, share: 0.25, overrides: {product.price: 3}}\n"
        "    - {archetype: plain, name: new, lifetime: geometric, overrides: {lifetime.shape: 0.1}}\n",
        OWN,
    )
    spec = loads(text)
    assert loads(spec.to_yaml()) == spec
    assert spec.to_suite().products == (
        ProductShare(archetype="plain", name="old", share=0.25, overrides={"product.price": 3.0}),
        ProductShare(archetype="plain", name="new", lifetime="geometric", overrides={"lifetime.shape": 0.1}),
    )


def test_a_suites_own_law_and_forecast():
    tax = "{id: TAX, type: carbon_tax, unit: EUR/t, schedule: {shape: step, from: 2026-01-01, value: 50}}"
    fields = f"  forecast: {{method: moving_average, periods: 10}}\n  vintage_periods: 1\n  instruments: [{tax}]\n"
    spec = loads(changed("  seed: 1\n", "  seed: 1\n  jurisdiction: UK\n" + fields, OWN))
    suite = spec.to_suite()
    assert (suite.forecast, suite.vintage_periods) == (Forecast(method="moving_average", periods=10), 1)
    assert (suite.jurisdiction, suite.instruments[0]["id"]) == ("UK", "TAX")
    assert loads(spec.to_yaml()) == spec


def own_files(folder: Path) -> Path:
    """The small case with its network in tables and its law in files."""
    (folder / "tables").mkdir()
    (folder / "tables" / "nodes.csv").write_text(
        "name,kind,demand.process,demand.mean\nfactory,supplier,,\nshop,warehouse,,\ntown,market,poisson,6\n"
    )
    (folder / "tables" / "lanes.csv").write_text("from,to\nfactory,shop\nshop,town\n")
    (folder / "tables" / "network.yaml").write_text("nodes: nodes.csv\nlanes: lanes.csv\n")
    tax = {"type": "carbon_tax", "unit": "EUR/t", "schedule": {"shape": "step", "from": "2026-01-01", "value": 5}}
    (folder / "law.json").write_text(json.dumps([{"id": "A", **tax}, {"id": "B", **tax}]))
    (folder / "more.yaml").write_text(yaml.safe_dump({"id": "C", **tax}))
    start, end = OWN.index("  network:"), OWN.index("entries:")
    text = OWN[:start] + "  network: tables/network.yaml\n  instruments: [law.json, more.yaml]\n" + OWN[end:]
    (folder / "own.yaml").write_text(changed("shop.S: 56.6", "shop.S: 1", text))
    return folder / "own.yaml"


def test_what_an_experiment_refers_to_is_read_in(tmp_path: Path):
    """The resolved experiment needs no other file, so that it can be sent away."""
    spec = load(own_files(tmp_path))
    assert [form["id"] for form in spec.suite.instruments] == ["A", "B", "C"]
    assert loads(spec.to_yaml(), folder=tmp_path / "elsewhere") == spec
    written = spec.to_yaml()
    assert "nodes: |\n" in written and ".csv" not in written
    suite = spec.to_suite()
    assert isinstance(suite.network, Network) and suite.network.nodes[-1].name == "town"


def test_files_that_are_missing_or_broken_are_named(tmp_path: Path):
    path = own_files(tmp_path)
    (tmp_path / "law.json").write_text('[{"id": "A",]')
    (tmp_path / "more.yaml").unlink()
    (tmp_path / "tables" / "lanes.csv").write_text("from,to\nfactory,shp\nshop,town\n")
    with pytest.raises(SpecError) as caught:
        load(path)
    assert caught.value.message.splitlines() == [
        f"{tmp_path}/law.json:1:13: not valid JSON: Expecting property name enclosed in double quotes",
        f"{tmp_path}/more.yaml:1:1: can't be read: No such file or directory",
        f"{tmp_path}/tables/lanes.csv:2:2: to: unknown node (got 'shp'); did you mean 'shop'?",
    ]


def test_structural_templates_are_noted():
    assert loads(SMOKE).check_model() == [] == loads(OWN).check_model()
    (note,) = loads(changed("archetype: plain", "archetype: steel", OWN)).check_model()
    assert note.startswith("archetype steel is a structural template: it runs, but")


def test_an_instrument_without_a_subject_is_found():
    ban = "{id: BAN, type: material_restriction, scope: {material: gold}, unit: fraction, sense: at_most,"
    ban += " schedule: {shape: step, from: 2026-01-01, value: 0}}"
    spec = loads(changed("  seed: 1\n", f"  seed: 1\n  instruments: [{ban}]\n", OWN))
    with pytest.raises(ModelError, match="BAN"):
        spec.check_model()


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
    ("suite", "products"),
    ("suite", "network"),
    ("suite", "instruments"),
    ("suite", "forecast"),
    ("suite", "shortfall_price"),
    ("suite", "lifetime"),
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
