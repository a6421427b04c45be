"""Faults of an Entry's search: settings, races, repeats, limits; each at its place, with what to write."""

import pytest

from optimizers.contract import Domain
from optimizers.random_search import RandomSearch
from optimizers.settings import Setting
from orchestrator import entry_checks
from orchestrator.spec import loads
from sim_core.errors import SpecError
from tests.orchestrator.test_spec import SMOKE, changed, refusal

SEARCH = "method: random, evaluations: 48, width: 8, scenarios: 4, finalists: 2, seed: 1"

REFUSALS = {
    "width": ("width: 8", "width: 300", "search.width", "must be at most 256"),
    "settings of a method without": (
        "seed: 1",
        "seed: 1, settings: {speed: 1.0}",
        "search.settings.speed",
        "is no setting of method random; remove it",
    ),
    "settings no number": ("seed: 1", "seed: 1, settings: {speed: fast}", "search.settings.speed", "number"),
    "repeats": ("seed: 1", "seed: 1, repeats: 0", "search.repeats", "must be at least 1"),
    "cpu_seconds": ("seed: 1", "seed: 1, cpu_seconds: 0", "search.cpu_seconds", "greater than 0"),
    "race's scenarios": (
        "seed: 1",
        "seed: 1, race: {candidates: 4, scenarios: 5}",
        "search.race.scenarios",
        "is more than the 4 scenarios of the train split that the search leaves (got 5); write at most 4",
    ),
    "race's candidates": (
        "seed: 1",
        "seed: 1, race: {candidates: 49, scenarios: 4}",
        "search.race.candidates",
        "is more than the 48 evaluations (got 49); write at most 48",
    ),
    "race's finalists": (
        "finalists: 2, seed: 1",
        "finalists: 5, seed: 1, race: {candidates: 4, scenarios: 4}",
        "search.finalists",
        "is more than the 4 candidates of the race (got 5); write at most 4",
    ),
    "race's p": ("seed: 1", "seed: 1, race: {candidates: 4, scenarios: 4, p: 0.6}", "search.race.p", "0.5"),
    "race's field": ("seed: 1", "seed: 1, race: {candidate: 4, scenarios: 4}", "race.candidate", "'candidates'?"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_search_cannot_be_is_refused_at_its_place(case: str) -> None:
    old, new, field, words = REFUSALS[case]
    lines = refusal(changed(SEARCH, SEARCH.replace(old, new)))
    assert any(f"entries[2].{field}:" in line or f".{field}:" in line for line in lines), lines
    assert any(words in line for line in lines), lines


def test_a_race_of_all_that_is_left_is_valid() -> None:
    new = SEARCH.replace("seed: 1", "seed: 1, repeats: 3, cpu_seconds: 60, race: {candidates: 4, scenarios: 4}")
    search = loads(changed(SEARCH, new)).entries[2].search
    assert search is not None and search.race is not None
    assert (search.race.first, search.race.p, search.repeats, search.cpu_seconds) == (16, 0.05, 3, 60.0)


def settings_faults(settings: str) -> list[str]:
    return refusal(changed(SEARCH, SEARCH.replace("seed: 1", f"seed: 1, settings: {settings}")))


def test_settings_are_checked_against_the_methods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "speed": Setting(usual=1.0, domain=Domain(low=0.5, high=4.0), meaning="of a test"),
        "chains": Setting(usual=None, domain=Domain(low=1, high=9, integer=True), meaning="of a test"),
    }
    monkeypatch.setattr(RandomSearch, "SETTINGS", known)
    (near,) = settings_faults("{sped: 1.0}")
    assert "settings.sped: is no setting of method random" in near and "did you mean 'speed'?" in near
    (wide,) = settings_faults("{speed: 9.0}")
    assert "settings.speed: must be from 0.5 to 4" in wide
    (whole,) = settings_faults("{chains: 2.5}")
    assert "settings.chains: must be a whole number" in whole
    search = loads(changed(SEARCH, SEARCH.replace("seed: 1", "seed: 1, settings: {speed: 2, chains: 3}")))
    assert search.entries[2].search is not None
    assert search.entries[2].search.settings == {"speed": 2.0, "chains": 3.0}


def test_settings_that_nobody_checks_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above is what refuses them."""
    monkeypatch.setattr(entry_checks, "_settings", lambda tree, path: iter(()))
    assert loads(changed(SEARCH, SEARCH.replace("seed: 1", "seed: 1, settings: {sped: 1.0}")))
    with pytest.raises(SpecError):
        loads(SMOKE.replace("method: random", "method: randm"))
