"""The revision process: rates by stage, dates in order, draws that belong to the instrument, small recipes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sim_core.errors import ModelError
from sim_core.generate import revision_process
from sim_core.generate.families import FAMILIES, family
from sim_core.generate.family import BASE_LAW, PROPOSED
from sim_core.generate.hazards import STAGES, hazards_of
from sim_core.generate.recipe import Recipe, draw_recipe, draw_recipes, instruments, law_of, law_rows
from sim_core.generate.revision_process import MOST_EVENTS, MOST_INSTRUMENTS, Frame, RevisionProcess, draw_events
from sim_core.policy.kinds import TYPES
from sim_core.policy.revisions import KINDS, revise
from sim_core.policy.views import realised
from sim_core.units import day
from tests.sim_core.test_paths import SUITE

PROCESSES = tuple(one.name for one in FAMILIES if one.process is not None)
NUMBERS = np.arange(1, 4001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
CONTENT = ("EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI")


def frames() -> dict[str, Frame]:
    span = family("eu_revised").process.span
    return {
        key: revision_process.frame_of(one, proposed=key in PROPOSED, span=span)
        for key, one in law_of(family("eu_revised")).items()
    }


def alone(instrument: str, intensity: float) -> RevisionProcess:
    return RevisionProcess(pools=((instrument,),), least=1, most=1, intensity=intensity)


@pytest.mark.parametrize("name", PROCESSES)
def test_recipes_are_small_and_revise_few_instruments_of_their_family(name: str):
    process = family(name).process
    assert process is not None and set(process.instruments) <= set(family(name).law)
    for one in draw_recipes(SUITE, name, range(600)):
        revised = {target for event in one.events for target in event.targets}
        assert len(one.to_json().encode()) <= 1024
        assert len(one.events) <= MOST_EVENTS and len(revised) <= process.most <= MOST_INSTRUMENTS
        assert revised <= set(process.instruments)
        assert Recipe.from_json(one.to_json()) == one


@pytest.mark.parametrize("name", [*PROCESSES, "eu_weaken", "none"])
def test_a_batch_draws_what_each_draws_alone(name: str):
    batch = draw_recipes(SUITE, name, (9, 2, 1_000_000, 4))
    assert batch == [draw_recipe(SUITE, name, index) for index in (9, 2, 1_000_000, 4)]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_revision_is_adopted_before_what_it_changes_and_the_next_one_is_announced_after(name: str):
    for one in draw_recipes(SUITE, name, range(300)):
        for target in {target for event in one.events for target in event.targets}:
            own = [event for event in one.events if target in event.targets]
            adopted = 0
            for event in own:
                assert event.kind in KINDS and day(event.announced) <= day(event.adopted)
                phase = event.kind == "amend" and event.announced == own[0].announced
                assert phase or day(event.announced) > adopted, "one bill at a time"
                adopted = day(event.adopted)
        for law in instruments(SUITE, one):
            drawn = [event for event in one.events if law.id in event.targets]
            dates = [(revision.announced, revision.adopted) for revision in law.revisions[1:]]
            assert dates == [(day(event.announced), day(event.adopted)) for event in drawn], "no date is moved"


def check_rate(instrument: str, stage: str, intensity: float, *, expected: float) -> None:
    """The share of scenarios whose first revision comes in the first stage is 1 - exp(-rate x years)."""
    first, last = {name: (begin, end) for name, _, begin, end in frames()[instrument].stages}[stage]
    events = draw_events(alone(instrument, intensity), frames(), 3, NUMBERS)
    share = np.mean([bool(found) and first <= day(found[0].announced) < last for found in events])
    chance = 1.0 - np.exp(-expected * intensity * (last - max(first, frames()[instrument].free)) / 365.2425)
    assert share == pytest.approx(chance, abs=4.0 * np.sqrt(chance * (1.0 - chance) / len(NUMBERS)))


@pytest.mark.parametrize("intensity", [0.3, 2.0])
def test_law_is_revised_as_often_as_its_hazards_say(intensity: float):
    duty = hazards_of("recycled_content_mandate", "duty", scales=True)["pending"]
    check_rate("EUBAT-RC-CO", "pending", intensity, expected=sum(one.rate for one in duty))
    tariff = hazards_of("import_tariff", "charge", scales=True)["proposed"]
    check_rate("CF-TARIFF", "proposed", intensity, expected=sum(one.rate for one in tariff))


def test_a_process_that_forgets_its_rates_is_found(monkeypatch):
    stages = revision_process._stages
    monkeypatch.setattr(
        revision_process, "_stages", lambda *args: tuple((a, 1.3 * rate, b, c) for a, rate, b, c in stages(*args))
    )
    with pytest.raises(AssertionError):
        check_rate("EUBAT-RC-CO", "pending", 0.3, expected=0.192)


def test_kinds_are_drawn_in_proportion_to_their_rates():
    events = draw_events(alone("EUBAT-RC-CO", 0.4), frames(), 3, NUMBERS)
    entry = day(law_rows(BASE_LAW)["EUBAT-RC-CO"][0].applies_on)
    found = Counter(each[0].kind for each in events if each and day(each[0].announced) < entry)
    pending = {one.kind: one.rate for one in hazards_of("recycled_content_mandate", "duty", scales=True)["pending"]}
    assert set(found) == set(pending)
    for kind, rate in pending.items():
        assert found[kind] / found.total() == pytest.approx(rate / sum(pending.values()), abs=0.06), kind


def test_an_instrument_more_changes_nothing_for_the_others():
    few = RevisionProcess(pools=(CONTENT,), least=3, most=3)
    more = RevisionProcess(pools=(("EU-BM", *CONTENT[::-1]),), least=4, most=4)
    for one, two in zip(*(draw_events(each, frames(), 5, NUMBERS[:200]) for each in (few, more)), strict=True):
        if len(two) < MOST_EVENTS:
            assert list(one) == [event for event in two if event.targets[0] in CONTENT]


def test_a_scenario_keeps_to_one_pool_and_all_pairs_come():
    process = RevisionProcess(pools=(CONTENT, ("EU-BM", "CF-TARIFF", "EUBAT-PASS")), least=2, most=3, intensity=3.0)
    assert len(process.pairs) == 6 and ("EUBAT-RC-CO", "EU-BM") not in process.pairs
    seen = set()
    for events in draw_events(process, frames(), 5, NUMBERS):
        revised = sorted({event.targets[0] for event in events})
        pairs = {(a, b) for i, a in enumerate(revised) for b in revised[i + 1 :]}
        assert pairs <= process.pairs
        seen |= pairs
    assert seen == process.pairs


def test_bans_are_never_halved_and_recovery_is_never_raised():
    for kind, one in TYPES.items():
        for scales in (False, True):
            hazards = hazards_of(kind, one.acts, scales=scales)
            assert set(hazards) == set(STAGES)
            for several in hazards.values():
                kinds = {each.kind for each in several}
                assert scales or not kinds & {"weaken", "tighten", "amend"}
                if one.acts == "mask":
                    assert "tighten" not in kinds and all(
                        each.amount[1] <= 1.0 for each in several if each.kind == "amend"
                    )


def test_tariffs_come_with_days_of_notice_and_duties_with_months():
    def notice(instrument: str, kind: str) -> list[int]:
        events = draw_events(alone(instrument, 3.0), frames(), 3, NUMBERS[:500])
        return [day(e.adopted) - day(e.announced) for each in events for e in each if e.kind == kind]

    tariff, duty = notice("CF-TARIFF", "enact"), notice("EUBAT-RC-CO", "amend")
    assert min(tariff) >= 3 and max(tariff) <= 90 and min(tariff) < 10 < max(tariff)
    assert min(duty) >= 90 and max(duty) > 360


def test_what_is_proposed_with_steps_is_phased_in():
    law = next(
        one for one in instruments(SUITE, Recipe(family="eu_delay", index=0, seed=7, events=())) if one.id == CONTENT[0]
    )
    frame = revision_process.frame_of(law, proposed=True, span=(day("2026-01-01"), day("2050-12-31")))
    events = draw_events(alone(law.id, 20.0), {law.id: frame}, 3, NUMBERS[:50])
    first, second = (law.revisions[0].steps[i] for i in (0, 1))
    lasting = [each for each in events if not each[0].ends]
    assert len(lasting) > 20
    for each in lasting:
        assert each[0].kind == "enact" and day(each[1].adopted) - day(each[0].adopted) == second[0] - first[0]
        assert each[1].kind == "amend" and each[1].amount == pytest.approx(second[1] / first[1], abs=1e-4)
        assert each[1].announced == each[0].announced


def test_repealed_law_is_not_revised_again():
    for events in draw_events(alone("EUBAT-RC-CO", 4.0), frames(), 3, NUMBERS[:800]):
        kinds = [event.kind for event in events]
        assert "repeal" not in kinds[:-1]
    repealed = next(
        one for one in draw_recipes(SUITE, "eu_turmoil", range(200)) if any(e.kind == "repeal" for e in one.events)
    )
    gone = next(e for e in repealed.events if e.kind == "repeal")
    law = next(one for one in instruments(SUITE, repealed) if one.id == gone.targets[0])
    assert realised(law)[-1] == (day(gone.adopted), law.neutral)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pools": ()},
        {"pools": (("A",),)},
        {"pools": (("A", "A", "B"),)},
        {"most": 7},
        {"least": 0},
        {"least": 4, "most": 3},
    ],
)
def test_a_process_that_can_not_be_is_refused(wrong: dict):
    with pytest.raises(ModelError):
        RevisionProcess(**{"pools": (CONTENT,), **wrong})


def test_amend_changes_the_value_in_force_until_the_next_step():
    steps = ((10, 0.2), (30, 0.4))
    assert revise(steps, "amend", 1.5, 20) == ((10, 0.2), (20, pytest.approx(0.3)), (30, 0.4))
    assert revise(steps, "amend", 0.5, 30) == ((10, 0.2), (30, 0.2))
    assert revise(steps, "amend", 9.0, 40, ceiling=1.0) == (*steps, (40, 1.0))
    assert revise(steps, "amend", 2.0, 5) == steps, "what is out of force stays so"
    assert revise((*steps, (50, 0.0)), "amend", 2.0, 60) == (*steps, (50, 0.0))


def test_the_same_seed_and_index_draw_the_same_whatever_the_intensity_of_another_family():
    one = replace(SUITE, seed=SUITE.seed + 1)
    assert draw_recipe(SUITE, "eu_revised", 3).events != draw_recipe(one, "eu_revised", 3).events
    assert draw_recipe(SUITE, "eu_revised", 3).events != draw_recipe(SUITE, "eu_revised", 4).events
