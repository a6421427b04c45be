"""The table of law: all published rows are in it as published, its words are closed, and a wrong cell is named."""

import csv
import hashlib
import io
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from sim_core.catalogue import ARCHETYPES
from sim_core.catalogue import law_checks as checks
from sim_core.catalogue.law import COLUMNS, LawQuery, LawRow, by_instrument, find, law, read_law, select, weakest
from sim_core.catalogue.law_words import (
    ASKS,
    ASSUMABLE,
    BASES,
    CONFIDENCE,
    JURISDICTIONS,
    MORE_TYPES,
    PENALTY_FORMS,
    REASONS,
    STATUSES,
    UNITS,
    VERIFICATION,
    WINDOWS,
    listed_words,
    single_words,
)
from sim_core.engine.layout import build_layout
from sim_core.errors import ModelError
from sim_core.generate.families import FAMILIES
from sim_core.generate.family import BASE_LAW
from sim_core.generate.recipe import law_rows
from sim_core.policy.facts import LawFacts, matches
from sim_core.policy.from_catalogue import from_law_rows
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.kinds import TYPES
from sim_core.policy.obligation import obligations
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from sim_core.units import day

# sha256 over "id,date,value,unit" of the 254 published rows, sorted; float() of the value.
PUBLISHED = "1cecc1eab498ed21b322dc9f1d0a68849d6d1a923a36b07b343bb3d163577d83"
# sha256 over the rows that suites used before the catalogue held all law, in the columns that it had then.
USED = "f94383a6c4863c76e8b65f98927e308a2fc111bb6ef7c25a28e0fae26603defa"
USED_COLUMNS = (
    "instrument", "row", "name", "jurisdiction", "type", "archetype", "product", "material", "process", "unit", "shape",
    "applies_on", "value", "announced_on", "adopted_on", "window", "level", "delivered", "against", "lag", "measure",
    "sense", "eligible_origin", "penalty", "penalty_unit", "flexibility", "grandfather", "basis", "reference",
    "confidence", "verification", "source",
)  # fmt: skip
TEXT = files("sim_core.catalogue").joinpath("law.csv").read_text(encoding="utf-8")
PAGE = Path(__file__).parents[2].joinpath("docs", "catalogue.md").read_text(encoding="utf-8")
CELLS = list(csv.DictReader(io.StringIO(TEXT)))
BINDING = by_instrument(row for row in law() if row.binds)


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def table(*changes: tuple[str, str, str]) -> str:
    """The table as text, with cells changed: (row, column, new text)."""
    rows = [dict(cells) for cells in CELLS]
    for row, column, text in changes:
        next(cells for cells in rows if cells["row"] == row)[column] = text
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def line_of(row: str) -> int:
    return next(number for number, cells in enumerate(CELLS, 2) if cells["row"] == row)


def test_the_published_rows_are_all_there_with_their_dates_values_and_units():
    published = [row for row in law() if row.basis != "counterfactual"]
    assert len(published) == 254
    assert digest(sorted(f"{row.row},{row.applies_on},{row.value!r},{row.unit}" for row in published)) == PUBLISHED


def test_the_rows_that_suites_use_mean_what_they_meant():
    used = [",".join(cells[name] for name in USED_COLUMNS) for cells in CELLS if cells["instrument"] in BASE_LAW]
    assert digest(used) == USED
    assert tuple(law_rows(BASE_LAW)) == BASE_LAW
    assert sum(len(rows) for rows in law_rows(BASE_LAW).values()) == len(used) == 25


def test_a_row_joins_the_law_of_suites_by_name_alone():
    assert set(BASE_LAW) < set(BINDING)
    with pytest.raises(ModelError, match="no instrument that binds called \\['ETS-PRICE'\\]"):
        select(law(), ("EU-BM", "ETS-PRICE"))


@pytest.mark.parametrize("column", [*single_words(), *listed_words()])
def test_every_vocabulary_is_closed(column: str):
    with pytest.raises(ModelError, match=f"law.csv:{line_of('EUBAT-RC-CO-01')}: row EUBAT-RC-CO-01, column {column}: "):
        read_law(table(("EUBAT-RC-CO-01", column, "adoptid")))


@pytest.mark.parametrize("column", [*single_words(), *listed_words()])
def test_a_vocabulary_that_nobody_checks_is_found(column: str, monkeypatch: pytest.MonkeyPatch):
    """Were a column dropped from the check, a word that nobody knows would be read."""
    open_words = [{name: words for name, words in known.items() if name != column} for known in checks._words()]
    monkeypatch.setattr(checks, "_words", lambda: open_words)
    said = [name for name, _ in checks._vocabulary(CELLS[0] | {column: "adoptid"})]
    assert said == []


FAULTS = [
    ("EUBAT-EFF-LI-02", "confidence", "medium", "unverified: 'low' at most"),
    ("EUBAT-RC-CO-01", "status", "adoptd", "did you mean 'adopted'"),
    ("EUBAT-RC-CO-01", "status", "in_force", "it applies on 2031-08-18: say 'adopted'"),
    ("WEEE-COLL-01", "status", "adopted", "it has applied since 2016-01-01: say 'in_force'"),
    ("ETS-PRICE-01", "status", "in_force", "doesn't go with basis 'record'"),
    ("SG-CT-04", "status", "adopted", "needs the day of adoption"),
    ("EUBAT-RC-CO-01", "applies_on", "18.8.2031", "no day; write YYYY-MM-DD"),
    ("EUBAT-RC-CO-01", "applies_on", "20310818", "no day; write YYYY-MM-DD"),
    ("EUBAT-RC-CO-01", "applies_on", "2022-12-31", "lies before the adoption"),
    ("EUBAT-RC-CO-01", "applies_on", "EIF+6y", "is no day, yet the row binds"),
    ("EUBAT-RC-CO-01", "announced_on", "2024-01-01", "lies before the announcement"),
    ("EUBAT-RC-CO-01", "announced_on", "", "what is adopted has been announced"),
    ("EUBAT-RC-CO-01", "dated_by", "", "name the act"),
    ("EUBAT-RC-CO-01", "value", "nan", "no number"),
    ("EUBAT-RC-CO-01", "value", "-0.1", "no number that it can be"),
    ("EUBAT-RC-CO-01", "lag", "1.5", "no number"),
    ("EUBAT-RC-CO-01", "flexibility", "{", "no JSON"),
    ("EUBAT-RC-CO-01", "window", "", "states it"),
    ("SUP-COLL-01", "penalty_form", "", "states it"),
    ("SUP-COLL-01", "penalty_form", "none_stated", "goes without a sum"),
    ("SUP-COLL-01", "penalty_unit", "", "a value and a unit"),
    ("EUBAT-RC-CO-01", "assumed", "penalty", "names penalty, which is empty"),
    ("EUBAT-RC-CO-01", "process", "sale", "known are ['production']"),
    ("EUBAT-RC-CO-01", "archetype", "none", "'none' can't bind"),
    ("EUBAT-RC-CO-01", "archetype", "all+ev_battery", "all or none beside others"),
    ("EUBAT-RC-CO-01", "reason", "history", "yet the row binds"),
    ("US232-01", "window", "calendar_year", "is a duty's"),
    ("ETS-PRICE-01", "reason", "", "say why"),
    ("EUBAT-RC-CO-01", "source", "", "must not be empty"),
    ("EUBAT-RC-CO-02", "level", "system", "EUBAT-RC-CO-01 of the same instrument says otherwise"),
    ("EUBAT-RC-CO-02", "applies_on", "2031-08-18", "has a step on that day already"),
    ("EUBAT-RC-CO-02", "announced_on", "2022-01-01", "lies before that of the earlier step"),
    ("EUBAT-RC-CO-02", "row", "EUBAT-RC-CO-01", "the id is taken"),
]


@pytest.mark.parametrize(("row", "column", "text", "said"), FAULTS)
def test_a_wrong_cell_is_refused_with_its_place(row: str, column: str, text: str, said: str):
    with pytest.raises(ModelError) as caught:
        read_law(table((row, column, text)), "mine.csv")
    message = caught.value.message
    assert message.startswith("mine.csv:") and said in message
    assert f"row {text if column == 'row' else row}, column " in message


def test_without_its_check_an_unverified_row_would_pass_as_sure(monkeypatch: pytest.MonkeyPatch):
    surer = table(("EUBAT-EFF-LI-02", "confidence", "high"))
    with pytest.raises(ModelError, match="column confidence"):
        read_law(surer)
    monkeypatch.setattr(checks, "_sureness", lambda _: iter(()))
    assert any(row.verification == "unverified" and row.confidence == "high" for row in read_law(surer))


def test_an_unverified_row_is_low_at_most():
    unverified = [row for row in law() if row.verification == "unverified"]
    assert len(unverified) > 35 and {row.confidence for row in unverified} == {"low"}


@pytest.mark.parametrize("cut", ["columns", "cells", "quotes"])
def test_a_table_of_another_form_is_refused(cut: str):
    head, first, *_ = TEXT.splitlines()
    texts = {
        "columns": f"{head.replace('status', 'state')}\n{first}\n",
        "cells": f"{head}\n{first},more\n",
        "quotes": f'{head}\n"a"b,{first}\n',
    }
    with pytest.raises(ModelError, match=r"law\.csv"):
        read_law(texts[cut])


def test_every_word_is_explained_and_nearly_all_are_used():
    rows = law()
    assert set(ASKS) == {*TYPES, *MORE_TYPES}
    assert {row.status for row in rows} == set(STATUSES)
    assert {row.reason for row in rows} == {"", *REASONS}
    assert {row.unit for row in rows} <= set(UNITS) and set(ASSUMABLE) <= set(COLUMNS)


def test_added_days_have_a_reference_or_are_marked():
    for row in law():
        if row.basis == "law":
            assert row.announced_on and row.dated_by, row.row
            if row.dated_by.startswith("assumed"):
                assert {"announced_on", "adopted_on"} <= set(row.assumed), row.row


@pytest.mark.parametrize("name", BINDING)
def test_every_instrument_that_binds_can_be_written_and_read(name: str):
    instrument = from_law_rows(BINDING[name])
    assert PolicyInstrument.from_json(instrument.to_json()) == instrument
    assert instrument.revisions[-1].steps == tuple((day(row.applies_on), row.value) for row in BINDING[name])


def test_a_step_that_was_announced_later_is_a_revision():
    """Before May 2025 nobody knew of the second step of the tariff on steel."""
    first, second = from_law_rows(BINDING["US232"]).revisions
    assert [len(one.steps) for one in (first, second)] == [1, 2]
    assert (second.announced, second.adopted) == (day("2025-05-30"), day("2025-06-03"))


def facts_of(product: str) -> LawFacts:
    suite = SuiteDefinition(
        name="law", products=(ProductShare(archetype=product),), network="loop", seed=1, start="2026-01", warm_up=0,
        scored=12, run_out=0, splits={"test": SplitDefinition(families=("none",), scenarios=1)},
    )  # fmt: skip
    return build_layout(suite).facts


def test_every_instrument_that_is_said_to_bind_means_something_for_each_archetype_in_its_scope():
    meant: set[str] = set()
    for product in (name for name in ARCHETYPES if name != "plain"):
        facts = facts_of(product)
        for name, rows in BINDING.items():
            one, here = from_law_rows(rows), replace(facts, jurisdiction=rows[0].jurisdiction)
            found = matches(one, here)
            assert bool(found) == rows[0].concerns(product), (name, product)
            assert len(obligations([one], here, {})) == int(bool(found) and one.acts == "duty")
            meant |= {name} if found else set()
    assert meant == set(BINDING)


def test_queries_by_every_field():
    rows = law()

    def ids(**fields: Any) -> set[str]:
        return {row.row for row in find(rows, LawQuery(**fields))}

    assert len(ids()) == len(rows)
    assert ids(type="cbam", binds=False) == {"CBAM-SALE-01", "CBAM-DM-01"}
    assert ids(jurisdiction="ID") == {"ID-NI-01"}
    assert "CBAM-01" in ids(archetype="smartphone") and "SUP-RC-01" not in ids(archetype="smartphone")
    assert "US301-MINERALS" not in {row.instrument for row in find(rows, LawQuery(archetype="pv_module"))}
    assert ids(confidence="high") | ids(confidence="medium") | ids(confidence="low") == ids()
    assert ids(status="repealed") == {row.row for row in rows if row.row.startswith("US30D")}
    assert ids(since="2036-01-01", until="2036-12-31") == {f"EUBAT-RC-{one}-02" for one in ("CO", "LI", "NI", "LE")}
    assert not any(row.startswith("ELVR") for row in ids(since="1900-01-01"))
    assert ids(text="right-TO-repair") == {"R2R-01"}
    assert ids(verification="partly", type="landfill_ban") == set()


def test_the_weakest_word_is_that_of_the_least_sure_row():
    rows: tuple[LawRow, ...] = law_rows(BASE_LAW)["EUBAT-EFF-LI"]
    assert [row.confidence for row in rows] == ["high", "low"]
    assert (
        weakest(rows, "confidence", tuple(CONFIDENCE)) == "low" == weakest(rows[::-1], "confidence", tuple(CONFIDENCE))
    )


def test_the_page_says_how_much_there_is_and_every_word_and_column():
    rows = law()
    counts = {
        "rows": len(rows),
        "rows of the published collection": sum(row.basis != "counterfactual" for row in rows),
        "counterfactual rows of this project": sum(row.basis == "counterfactual" for row in rows),
        "instruments": len(by_instrument(rows)),
        "instruments that the model can express": len(BINDING),
        "rows that the model can express": sum(row.binds for row in rows),
        "instruments in the law of the shipped families": len({key for one in FAMILIES for key in one.law}),
        "unverified rows": sum(row.verification == "unverified" for row in rows),
        "rows with an assumption": sum(bool(row.assumed) for row in rows),
    }
    for what, count in counts.items():
        assert f"| {what} | {count} |" in PAGE, (what, count)
    words = (
        *COLUMNS,
        *JURISDICTIONS,
        *STATUSES,
        *REASONS,
        *PENALTY_FORMS,
        *CONFIDENCE,
        *VERIFICATION,
        *BASES,
        *WINDOWS,
    )
    assert [word for word in words if f"`{word}`" not in PAGE] == []
