"""`circularbench catalogue`: what it prints, how it filters, what it says where there is nothing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator import catalogue_view, cli
from orchestrator.report import write_report
from sim_core.catalogue.law import law
from sim_core.generate.families import FAMILIES

EXPLAINED = """\
SUP-COLL: SUP: separate bottle collection
  asks       collection_target: at least this share of products is collected
             measured as: separately collected/POM
  of whom    EU (European Union): plastic beverage bottles <=3 l
             in the model: archetype pet_bottle; material all; process collection
  counts     at_least: collected of placed, by mass
             over calendar_year (January to December), level system
  dates      announced 2018-05-28, adopted 2019-06-05 (COM(2018) 340; Dir. (EU) 2019/904 of 2019-06-05, OJ L 155, 12.6.2019, p. 1)
  steps      2025-12-31  0.77 fraction  in_force
             2029-12-31  0.9 fraction  adopted
  status     in_force: applies on 2026-01-01; a later step of the same instrument may have taken its place
             adopted: law, but not applied yet on 2026-01-01
  penalty    0.8 EUR/kg*
             per_unit_of_shortfall: a sum for each unit of a shortfall
  model      duty: a duty over a window, with a shortfall where it is missed
             law in no shipped family: bring it as your own
  revised by no family
  how sure   high: value and date are established
             secondary_source: value and date read in a secondary source
  reference  Dir. (EU) 2019/904 Art.9
  source     beslisboom.kidv.nl; beveragedaily.com
  assumed    penalty
  ? no source was read   * an assumption of this project is part of it
"""  # noqa: E501  as printed
LISTED = """\
3 instruments

  id          name                                                   what   where   when                            value                      binds   how sure
 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  CBAM        CBAM phase-in (share of free allocation removed)       cbam   EU      2026-01-01 ... 2034-01-01 (9)   0.025 ... 1 (9) fraction   yes     high*
  CBAM-SALE   CBAM certificate sales start (moved from 2026-01-01)   cbam   EU      2027-02-01                      1 bool                     no      high
  CBAM-DM     CBAM de-minimis                                        cbam   EU      2025-10-20                      50 t                       no      medium

                                              ? no source was read   * an assumption of this project is part of it
"""  # noqa: E501  as printed


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["catalogue", *arguments])


def plain(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_one_instrument_is_explained():
    result = call("SUP-COLL")
    assert (result.exit_code, plain(result.stdout)) == (0, EXPLAINED)


def test_instruments_are_listed():
    result = call("--type", "cbam")
    assert (result.exit_code, plain(result.stdout)) == (0, LISTED)


@pytest.mark.parametrize("name", [*dict.fromkeys(row.instrument for row in law()), "eubat-rc-co", "EUBAT-REC-CO-03"])
def test_every_instrument_is_explained_by_its_id_in_any_case_and_by_its_rows(name: str):
    result = call(name)
    assert result.exit_code == 0, result.output
    known = {"EUBAT-REC-CO-03": "EUBAT-REC-CU"}.get(name, name.upper())
    assert result.stdout.startswith(f"{known}: ") and "  steps " in result.stdout


def test_an_explanation_names_the_families_that_revise_and_marks_doubt():
    text = call("EUBAT-RC-CO").stdout
    revising = [one.name for one in FAMILIES if any("EUBAT-RC-CO" in rule.targets for rule in one.rules)]
    assert revising and all(name in text for name in revising)
    assert "law in eu_baseline ... " in text and "none_stated" in text
    assert "once a scenario enacts it" in call("CF-TARIFF").stdout and "eu_turmoil (hazards)" in text
    assert "0.7 fraction?  adopted" in call("EUBAT-EFF-LI").stdout
    assert "announced 2019-02-20*" in call("CA-AB793").stdout
    assert "not expressed: history" in call("ETS-PRICE").stdout
    assert (
        "EIF+6y  0.03 fraction  proposed, not in the model: not_adopted\n             EIF+10y" in call("ELVR-CL").stdout
    )


def test_machines_get_one_object():
    explained = json.loads(call("US232", "--json").stdout.splitlines()[-1])
    assert [row["applies_on"] for row in explained["rows"]] == ["2025-03-12", "2025-06-04"]
    assert explained["rows"][1]["announced_on"] == "2025-05-30" and explained["mark"] == "*"
    listed = json.loads(call("--where", "EU", "--verification", "unverified", "--json").stdout.splitlines()[-1])
    assert listed["count"] == len(listed["instruments"]) > 5
    assert {one["confidence"] for one in listed["instruments"]} == {"low"}
    assert all("?" in one["mark"] for one in listed["instruments"])
    whole = json.loads(call("--json").stdout)
    assert sum(len(one["steps"]) for one in whole["instruments"]) == len(law())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["EUBAT-RC-XO"], "did you mean 'EUBAT-RC-CO'"),
        (["EUBAT-RC-CO", "--where", "EU"], "not both"),
        (["--type", "carbon_tacks"], "did you mean 'carbon_tax'"),
        (["--where", "FR"], "--where: unknown 'FR'"),
        (["--status", "inforce"], "did you mean 'in_force'"),
        (["--since", "2026"], "--since"),
    ],
)
def test_what_no_row_can_have_is_refused(arguments: list[str], said: str):
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and "Traceback" not in result.output


def test_an_empty_list_says_what_to_relax():
    result = call("--type", "cbam", "--where", "US", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout) == {"count": 0, "instruments": []}
    others = {row.instrument for row in law() if row.jurisdiction == "US"}
    assert f"all 2 options: {len(others)} without --type, 3 without --where" in result.stderr
    alone = call("--type", "cbam", "--where", "US", "--status", "repealed", "--text", "quux")
    assert alone.stdout == "" and "leave out two of the options at once" in alone.stderr


def test_the_report_marks_unverified_and_assumed_law(tmp_path: Path):
    rows = [
        {"name": "doubted", "confidence": "low", "verification": "unverified", "assumed": ["archetype", "window"]},
        {"name": "settled", "confidence": "high", "verification": "secondary_source", "assumed": []},
    ]
    board = {"digest": "0", "entries": []}
    write_report(tmp_path / "report.html", title="law", leaderboard=board, instruments=rows)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Law used</h2>" in text and "1 of 2 carry a mark" in text
    assert "doubted?*" in text and "archetype, window" in text and ">settled<" in text


def test_marks_are_explained():
    assert catalogue_view.MARKS in call("EUBAT-EFF-LI").stdout
