"""Law as a right-continuous staircase, its revisions, and who may know of them when."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.errors import ModelError
from sim_core.generate.process import Event, Recipe, draw_recipe, instruments
from sim_core.policy import timeline
from sim_core.policy.instrument import PolicyInstrument, Revision
from sim_core.policy.timeline import RouteFacts, binding, compile_timeline
from sim_core.units import day, month_starts, parse_month

FACTS = RouteFacts(
    materials=("cobalt", "lithium"),
    recovery=np.array([[0.0, 0.0], [0.98, 0.0], [0.98, 0.9]]),
    efficiency=np.array([0.0, 0.66, 0.74]),
    exported=np.array([True, False, False]),
)


def steps(*pairs: tuple[str, float]) -> tuple[tuple[int, float], ...]:
    return tuple((day(when), value) for when, value in pairs)


def instrument(
    *revisions: Revision, kind: str = "recycled_content_mandate", material: str = "cobalt"
) -> PolicyInstrument:
    return PolicyInstrument(
        id="X", name="x", type=kind, material=material, process="production", window="calendar year per plant",
        eligible_origins=timeline.ELIGIBLE, basis="law", revisions=revisions,
    )  # fmt: skip


def original(*pairs: tuple[str, float]) -> Revision:
    return Revision(announced=day("2022-12-09"), adopted=day("2023-07-12"), steps=steps(*pairs))


COBALT = original(("2031-08-18", 0.16), ("2036-08-18", 0.26))
# Announced in March 2031, adopted in December: the duty that began in August pauses until 2033.
PAUSE = Revision(
    announced=day("2031-03-10"), adopted=day("2031-12-01"), steps=steps(("2033-08-18", 0.16), ("2036-08-18", 0.26))
)


def months_from(first: str, count: int) -> np.ndarray:
    return month_starts(parse_month(first), count)


def test_a_month_has_the_day_weighted_mean():
    july, august, september = instrument(COBALT).mean_by_month(0, months_from("2031-07", 3))
    assert july == 0.0 and september == 0.16
    assert august == pytest.approx(0.16 * 14 / 31, rel=1e-12)


def test_a_value_is_in_force_from_its_own_day_on():
    first = day("2031-08-18")
    before, on, after = instrument(COBALT).in_force_by_month(0, np.array([first - 1, first, first + 1, first + 2]))
    assert (before, on, after) == (0.0, 0.16, 0.16)


def test_nothing_is_interpolated_between_two_steps():
    mean = instrument(COBALT).realised_by_month(months_from("2031-09", 60))
    assert mean[22] == pytest.approx(0.16, abs=1e-12)  # mid-2033: a line between the steps would give 0.21
    assert mean[:59] == pytest.approx(np.full(59, 0.16), abs=1e-12)


def test_a_mask_binds_from_the_first_full_month():
    ban = instrument(original(("2026-11-09", 1.0)), kind="export_ban", material="all")
    assert ban.realised_by_month(months_from("2026-11", 2), mask=True).tolist() == [0.0, 1.0]
    on_the_first = instrument(original(("2026-11-01", 1.0)), kind="export_ban", material="all")
    assert on_the_first.realised_by_month(months_from("2026-11", 1), mask=True).tolist() == [1.0]


def test_a_revision_applies_from_its_adoption_and_what_lay_before_stays():
    revised = instrument(COBALT, PAUSE)
    assert revised.realised_steps() == steps(
        ("2031-08-18", 0.16), ("2031-12-01", 0.0), ("2033-08-18", 0.16), ("2036-08-18", 0.26)
    )
    days = np.array([day(text) for text in ("2031-03-09", "2031-03-10", "2031-11-30", "2031-12-01")])
    assert revised.newest(days, by="announced").tolist() == [0, 1, 1, 1]
    assert revised.newest(days, by="adopted").tolist() == [0, 0, 0, 1]


def announced_duty(*revisions: Revision) -> np.ndarray:
    return compile_timeline((instrument(*revisions),), FACTS, parse_month("2031-01"), 24).announced_duty[:, :, 0]


def check_announced_view(view) -> None:
    """What is seen at a month's start changes with the announcement, neither with the adoption nor before."""
    plain, revised = view(COBALT), view(COBALT, PAUSE)
    assert np.array_equal(plain[:3], revised[:3])  # January to March 1st: not announced yet
    seen_in_april = revised[3]
    assert seen_in_april[5] == 0.0 and plain[3][5] == 0.16  # about September 2031
    assert seen_in_april[29] == 0.16  # about September 2033
    assert np.array_equal(revised[4][:-1], seen_in_april[1:])


def test_the_announced_view_knows_a_revision_from_its_announcement():
    check_announced_view(announced_duty)


def leak(one: PolicyInstrument, starts: np.ndarray, ahead: np.ndarray, *, mask: bool) -> np.ndarray:
    return one.realised_by_month(starts, mask=mask)[ahead]


def test_an_observation_that_leaks_the_realised_view_is_found(monkeypatch):
    monkeypatch.setattr(timeline, "_announced", leak)
    with pytest.raises(AssertionError):
        check_announced_view(announced_duty)


def test_an_instrument_that_is_not_announced_yet_is_not_seen():
    enacted = Event(
        kind="enact",
        targets=("CF-TARIFF",),
        amount=1.2,
        announced="2031-03-10",
        adopted="2031-06-01",
        ends="2036-06-01",
    )
    recipe = Recipe(family="eu_tariff", index=0, seed=1, events=(enacted,))
    tariff = next(one for one in instruments(recipe) if one.id == "CF-TARIFF")
    starts = months_from("2031-01", 30)
    seen = timeline._announced(tariff, starts, np.arange(12)[:, None] + np.arange(12)[None, :], mask=False)
    assert not seen[:3].any() and seen[3, 1] == 0.0 and seen[3, 2:] == pytest.approx(np.full(10, 0.3))
    assert tariff.realised_by_month(starts)[:6] == pytest.approx(np.array([0, 0, 0, 0, 0, 0.3]))


@pytest.mark.parametrize("index", range(6))
def test_an_instrument_that_only_an_event_enacts_is_nothing_before_it(small, index: int):
    """What the catalogue says of it is the event's to announce: its own dates are those of a law that never was."""
    tariff = next(one for one in instruments(draw_recipe(small.suite, "eu_tariff", index)) if one.id == "CF-TARIFF")
    assert tariff.revisions[0] == Revision(announced=1, adopted=1, steps=())
    assert len(tariff.revisions) == 2 and [value for _, value in tariff.revisions[1].steps][-1] == 0.0
    before = np.array([tariff.revisions[1].announced - 1, tariff.revisions[1].announced])
    assert tariff.newest(before, by="announced").tolist() == [0, 1]


def test_the_realised_duty_follows_the_adoption():
    duty = compile_timeline((instrument(COBALT, PAUSE),), FACTS, parse_month("2031-01"), 36).duty[:, 0]
    assert duty[8:11].tolist() == [0.16] * 3 and duty[11:31].max() == 0.0 and duty[32] == 0.16


@pytest.mark.parametrize(
    "change",
    [
        {"window": "calendar year per fleet"},
        {"window": ""},
        {"eligible_origins": ("post_consumer",)},
        {"eligible_origins": (*timeline.ELIGIBLE, "virgin")},
        {"eligible_origins": ()},
    ],
)
def test_a_mandate_that_the_books_cannot_settle_is_refused(change: dict):
    odd = replace(instrument(COBALT), **change)
    with pytest.raises(ModelError, match=r"X: recycled content is settled per 'calendar year per plant' with origins"):
        compile_timeline((odd,), FACTS, parse_month("2031-01"), 24)


def test_the_order_of_eligible_origins_means_nothing():
    turned = replace(instrument(COBALT), eligible_origins=timeline.ELIGIBLE[::-1])
    duty = compile_timeline((turned,), FACTS, parse_month("2031-01"), 24).duty
    assert np.array_equal(duty, compile_timeline((instrument(COBALT),), FACTS, parse_month("2031-01"), 24).duty)


def check_a_second_mandate_is_refused(second: str) -> None:
    law = (instrument(COBALT), instrument(COBALT, material=second))
    refused = ""
    try:
        compile_timeline(law, FACTS, parse_month("2031-01"), 24)
    except ModelError as error:
        refused = error.message
    assert refused.startswith(f"X: {second} has another recycled-content mandate already")


@pytest.mark.parametrize("second", ["cobalt", "all"])
def test_a_second_mandate_on_a_material_is_refused(second: str):
    check_a_second_mandate_is_refused(second)


def test_a_mandate_that_silently_replaces_another_is_found(monkeypatch):
    monkeypatch.setattr(timeline, "_refuse_unsupported", lambda mandate, *, taken: None)
    with pytest.raises(AssertionError):
        check_a_second_mandate_is_refused("cobalt")


def test_mandates_on_two_materials_stand_side_by_side():
    lithium = instrument(original(("2031-08-18", 0.06)), material="lithium")
    duty = compile_timeline((instrument(COBALT), lithium), FACTS, parse_month("2031-09"), 1).duty
    assert duty == pytest.approx(np.array([[0.16, 0.06]]))


def test_recovery_law_and_export_bans_mask_routes():
    law = (
        instrument(original(("2027-12-31", 0.5)), kind="recovery_efficiency", material="lithium"),
        instrument(original(("2025-12-31", 0.65), ("2030-12-31", 0.7)), kind="recovery_efficiency", material="all"),
        instrument(original(("2026-11-09", 1.0)), kind="export_ban", material="all"),
    )
    legal = compile_timeline(law, FACTS, parse_month("2026-01"), 36).route_legal
    assert legal[:11, 0].all() and not legal[11:, 0].any()
    assert legal[:24, 1].all() and not legal[24:, 1].any()
    assert legal[:, 2].all()
    assert binding(law, FACTS, parse_month("2026-01"), 24) == {"X": True}
    assert binding((instrument(COBALT),), FACTS, parse_month("2026-01"), 24) == {"X": False}


def test_charges_add_up_and_duties_do_not():
    law = (
        instrument(original(("2026-01-01", 0.1)), kind="import_tariff", material="all"),
        instrument(original(("2026-02-01", 0.2)), kind="import_tariff"),
        instrument(original(("2026-01-01", 2.0)), kind="carbon_tax", material="all"),
    )
    compiled = compile_timeline(law, FACTS, parse_month("2026-01"), 2)
    assert compiled.tariff == pytest.approx(np.array([[0.1, 0.1], [0.3, 0.1]]))
    assert compiled.carbon_multiple.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"announced": day("2024-01-01")}, "adopted before it is announced"),
        ({"steps": ((5, 0.1), (5, 0.2))}, "increasing order"),
    ],
)
def test_a_revision_out_of_order_is_refused(change: dict, message: str):
    with pytest.raises(ModelError, match=message):
        replace(COBALT, **change)


@pytest.mark.parametrize(
    "dates",
    [
        ("2022-12-08", "2031-12-01"),  # announced before the original
        ("2023-01-01", "2023-07-11"),  # adopted before the original
    ],
)
def test_revisions_out_of_their_order_are_refused(dates: tuple[str, str]):
    early = Revision(announced=day(dates[0]), adopted=day(dates[1]), steps=PAUSE.steps)
    with pytest.raises(ModelError, match="X: revisions must lie in order of announcement and of adoption"):
        instrument(COBALT, early)


def test_revisions_of_one_day_are_in_order():
    twin = replace(COBALT, steps=steps(("2031-08-18", 0.5)))
    assert instrument(COBALT, twin).realised_by_month(months_from("2031-09", 1)).tolist() == [0.5]


FIRST = day("2030-01-01")
STAIRCASES = st.lists(st.tuples(st.integers(0, 700), st.floats(0.0, 1.0)), max_size=4, unique_by=lambda step: step[0])


@st.composite
def histories(draw) -> tuple[Revision, ...]:
    announced = sorted(draw(st.lists(st.integers(0, 600), min_size=1, max_size=3, unique=True)))
    adopted = sorted(value + draw(st.integers(0, 90)) for value in announced)
    return tuple(
        Revision(
            announced=FIRST + (one if number else -9999),
            adopted=FIRST + (two if number else -999),
            steps=tuple((FIRST + first, value) for first, value in sorted(draw(STAIRCASES))),
        )
        for number, (one, two) in enumerate(zip(announced, adopted, strict=True))
    )


def value_on(revision: Revision, ordinal: int) -> float:
    return next((value for first, value in reversed(revision.steps) if first <= ordinal), 0.0)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_the_realised_law_is_each_days_newest_adopted_revision(revisions: tuple[Revision, ...]):
    starts = months_from("2030-01", 24)
    by_day = [
        value_on([one for number, one in enumerate(revisions) if not number or one.adopted <= today][-1], today)
        for today in range(starts[0], starts[-1])
    ]
    edges = starts - starts[0]
    expected = [np.mean(by_day[low:high]) for low, high in pairwise(edges)]
    one = instrument(*revisions)
    assert one.realised_by_month(starts) == pytest.approx(np.array(expected), abs=1e-12)
    assert one.realised_by_month(starts, mask=True).tolist() == [by_day[edge] for edge in edges[:-1]]


@settings(max_examples=40, deadline=None)
@given(histories())
def test_no_announced_value_comes_from_a_later_announcement(revisions: tuple[Revision, ...]):
    starts = months_from("2030-01", 24)
    seen = compile_timeline((instrument(*revisions),), FACTS, parse_month("2030-01"), 24).announced_duty[:, :, 0]
    for number in range(1, len(revisions)):
        without = compile_timeline((instrument(*revisions[:number]),), FACTS, parse_month("2030-01"), 24)
        unaware = starts[:-1] < revisions[number].announced
        assert np.array_equal(seen[unaware], without.announced_duty[unaware, :, 0])


def event(kind: str, announced: str, adopted: str, amount: float) -> Event:
    return Event(kind=kind, targets=("EUBAT-RC-CO",), amount=amount, announced=announced, adopted=adopted)


def test_a_later_revision_changes_nothing_before_its_announcement(under_duty, bench, monkeypatch):
    """Causality, through the whole engine: no observation and no stock moves before the month of the announcement."""
    taken = []
    for events in ((), (event("repeal", "2032-03-20", "2032-05-02", 0.0),)):
        one = bench.scenario(under_duty, *events)
        states: list[dict] = []
        with monkeypatch.context() as patch:
            kept = lambda p, states=states: states.append({k: v.copy() for k, v in bench.stocks(p.state).items()})  # noqa: E731
            bench.watch(patch, kept)
            controller = bench.recorder(bench.reference(under_duty))
            bench.run(under_duty, [one], controller)
        taken.append((controller.seen, states))
    (seen, states), (other_seen, other_states) = taken
    month = 14  # 2032-03
    for one, two in zip(seen, other_seen, strict=True):
        equal = np.array_equal(one.announced_duty, two.announced_duty)
        assert equal or one.period > month
    assert all(np.array_equal(states[t][name], other_states[t][name]) for t in range(month + 1) for name in states[t])
    assert not all(np.array_equal(states[-1][name], other_states[-1][name]) for name in states[-1])


def test_every_kind_of_revision_changes_the_law_as_it_says():
    def realised(one: Event) -> tuple:
        recipe = Recipe(family="eu_baseline", index=0, seed=1, events=(one,))
        return next(found for found in instruments(recipe) if found.id == "EUBAT-RC-CO").realised_steps()

    before = ("2030-01-01", "2030-06-01")
    assert realised(event("delay", *before, 24.0))[1:] == steps(("2033-08-18", 0.16), ("2038-08-18", 0.26))
    assert dict(realised(event("tighten", *before, 1.5)))[day("2036-08-18")] == pytest.approx(0.39)
    assert dict(realised(event("weaken", *before, 0.5)))[day("2031-08-18")] == pytest.approx(0.08)
    frozen = realised(event("freeze", "2034-01-01", "2034-06-01", 1.0))
    assert frozen[-1] == (day("2034-06-01"), 0.16)
    assert realised(event("repeal", "2034-01-01", "2034-06-01", 0.0))[-1] == (day("2034-06-01"), 0.0)
