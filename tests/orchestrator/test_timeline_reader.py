"""A user's own law from files: YAML, JSON and CSV, each fault with its place."""

import json
from pathlib import Path

import pytest

from orchestrator.plan import instruments
from orchestrator.spec import load
from orchestrator.timeline_reader import read_timeline
from sim_core.errors import SpecError
from sim_core.generate.timeline import family_of
from sim_core.units import day

YAML = """\
name: my_law
instruments:
  - id: MY-RC-CO
    type: recycled_content_mandate
    scope: {material: cobalt}
    unit: fraction
    schedule: {shape: step, from: 2028-01-01, value: 0.1}
    announced: 2024-06-01
revisions: {intensity: 2.0}
"""
CSV = """\
instrument,type,material,applies_on,value,announced_on
MY-RC-CO,recycled_content_mandate,cobalt,2028-01-01,0.10,2024-06-01
MY-RC-CO,recycled_content_mandate,cobalt,2031-01-01,0.20,2024-06-01
MY-RC-CO,recycled_content_mandate,cobalt,2030-01-01,0.12,2025-06-01
MY-TARIFF,import_tariff,all,2026-04-05,0.25,2026-04-02
"""


EXPERIMENT = (Path(__file__).parents[2] / "experiments" / "smoke.yaml").read_text()


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_yaml_and_json_say_the_same(tmp_path: Path):
    form = read_timeline(written(tmp_path, "my_law.yaml", YAML))
    assert family_of(form).name == "my_law" and family_of(form).process.intensity == 2.0
    assert read_timeline(written(tmp_path, "other.json", json.dumps(form))) == form


def test_a_table_of_dated_values_is_a_history(tmp_path: Path):
    found = family_of(read_timeline(written(tmp_path, "my law.csv", CSV)))
    assert found.name == "my_law" and [one.id for one in found.own] == ["MY-RC-CO", "MY-TARIFF"]
    content, tariff = found.own
    assert [revision.steps for revision in content.revisions] == [
        ((day("2028-01-01"), 0.1), (day("2031-01-01"), 0.2)),
        ((day("2028-01-01"), 0.1), (day("2030-01-01"), 0.12)),
    ]
    assert [revision.announced for revision in content.revisions] == [day("2024-06-01"), day("2025-06-01")]
    assert content.scope.material == ("cobalt",) and tariff.revisions[0].adopted == day("2026-04-02")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("material", "materal", "my.csv:1:3: unknown column (got 'materal'); did you mean 'material'?"),
        (",value", ",reference", "my.csv:1:1: the columns ['value'] are missing"),
        ("2031-01-01", "2031-13-01", "my.csv:3:4: applies_on: must be a day (got '2031-13-01'); write YYYY-MM-DD"),
        ("0.25", "a quarter", "my.csv:5:5: value: must be a number (got 'a quarter')"),
        (
            "import_tariff",
            "tariff",
            "my.csv:5:2: type: unknown type of law (got 'tariff'); did you mean 'import_tariff'?",
        ),
        ("MY-TARIFF", "", "my.csv:5:1: instrument: the cell is empty (got '')"),
        ("0.10", "1.70", "my.csv:2:1: "),
    ],
)
def test_a_fault_of_a_table_has_line_and_column(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(SpecError) as error:
        read_timeline(written(tmp_path, "my.csv", CSV.replace(old, new, 1)))
    assert message in error.value.message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("law.yaml", YAML.replace("name:", "nam:"), "name is missing (there is 'nam'"),
        ("law.yaml", "- a\n", "a timeline is a mapping"),
        ("law.yaml", "name: [", "law.yaml:1:"),
        ("law.txt", YAML, "not .txt"),
        ("law.csv", "instrument,type,applies_on,value\n", "the table holds no law"),
    ],
)
def test_a_file_that_is_no_timeline_is_refused(tmp_path: Path, name: str, text: str, message: str):
    with pytest.raises(SpecError) as error:
        read_timeline(written(tmp_path, name, text))
    assert message in error.value.message


def test_an_experiment_names_its_timelines(tmp_path: Path):
    written(tmp_path, "my_law.csv", CSV)
    text = EXPERIMENT.replace("  splits:", "  timelines: [my_law.csv]\n  splits:", 1)
    text = text.replace("test: {families: [", "test: {families: [my_law, ", 1)
    spec = load(written(tmp_path, "experiment.yaml", text))
    suite = spec.to_suite()
    assert "my_law" in suite.splits["test"].families and suite.family("my_law").own
    told = {row["id"]: row for row in instruments(suite)}
    assert told["MY-RC-CO"]["source"] == "timeline my_law" and told["MY-TARIFF"]["binds"]
    assert "EUBAT-RC-CO" in told, "the law of the families beside it"
    assert load(written(tmp_path, "resolved.yaml", spec.to_yaml())) == spec, "the resolved file stands alone"


def test_a_family_that_no_timeline_brings_is_unknown(tmp_path: Path):
    text = EXPERIMENT.replace("test: {families: [", "test: {families: [my_law, ", 1)
    with pytest.raises(SpecError, match="unknown family"):
        load(written(tmp_path, "experiment.yaml", text))


def test_a_timeline_at_fault_is_named_with_its_file(tmp_path: Path):
    written(tmp_path, "my_law.csv", CSV.replace("0.25", "x"))
    text = EXPERIMENT.replace("  splits:", "  timelines: [my_law.csv]\n  splits:", 1)
    with pytest.raises(SpecError, match=r"suite.timelines\[0\]: .*my_law.csv:5:5: value: must be a number"):
        load(written(tmp_path, "experiment.yaml", text))
