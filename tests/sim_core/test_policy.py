"""Law as a right-continuous staircase, its revisions, and who may know of them when."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.errors import ModelError
from sim_core.policy import views
from sim_core.policy.from_catalogue import not_yet_law, revised
from sim_core.policy.instrument import PolicyInstrument, Revision, Scope, Window
from sim_core.policy.revisions import revise
from sim_core.policy.timeline import compile_timeline
from sim_core.policy.views import AnnouncedView, RealisedView, newest, realised
from sim_core.units import day, month_starts, parse_month
from tests.sim_core.example_law import FACTS, read

COBALT_COLUMN = (FACTS.products.index("pack"), FACTS.materials.index("cobalt"))


def steps(*pairs: tuple[str, float]) -> tuple[tuple[int, float], ...]:
    return tuple((day(when), value) for when, value in pairs)


def instrument(
    *revisions: Revision, kind: str = "recycled_content_mandate", scope: Scope | None = None
) -> PolicyInstrument:
    scope = scope or Scope(product=("pack",), material=("cobalt",))
    return PolicyInstrument(id="X", type=kind, scope=scope, revisions=revisions)


def original(*pairs: tuple[str, float]) -> Revision:
    return Revision(announced=day("2022-12-09"), adopted=day("2023-07-12"), steps=steps(*pairs))


COBALT = original(("2031-08-18", 0.16), ("2036-08-18", 0.26))
# Announced in March 2031, adopted in December: the duty that began in August pauses until 2033.
PAUSE = Revision(
    announced=day("2031-03-10"), adopted=day("2031-12-01"), steps=steps(("2033-08-18", 0.16), ("2036-08-18", 0.26))
)


def by_month(one: PolicyInstrument, first: str, count: int) -> np.ndarray:
    return RealisedView(parse_month(first), count).mean(one)


def masked(one: PolicyInstrument, first: str, count: int) -> np.ndarray:
    return RealisedView(parse_month(first), count).mask(one)


def test_a_month_has_the_day_weighted_mean():
    july, august, september = by_month(instrument(COBALT), "2031-07", 3)
    assert july == 0.0 and september == 0.16
    assert august == pytest.approx(0.16 * 14 / 31, rel=1e-12)


def test_a_value_is_in_force_from_its_own_day_on():
    first = day("2031-08-18")
    values = views.value_on(realised(instrument(COBALT)), np.array([first - 1, first, first + 1]), 0.0)
    assert values.tolist() == [0.0, 0.16, 0.16]


def test_nothing_is_interpolated_between_two_steps():
    mean = by_month(instrument(COBALT), "2031-09", 60)
    assert mean[22] == pytest.approx(0.16, abs=1e-12)  # mid-2033: a line between the steps would give 0.21
    assert mean[:59] == pytest.approx(np.full(59, 0.16), abs=1e-12)


def test_a_mask_binds_from_the_first_full_month():
    ban = instrument(original(("2026-11-09", 1.0)), kind="export_ban", scope=Scope())
    assert masked(ban, "2026-11", 2).tolist() == [0.0, 1.0]
    on_the_first = instrument(original(("2026-11-01", 1.0)), kind="export_ban", scope=Scope())
    assert masked(on_the_first, "2026-11", 1).tolist() == [1.0]


def test_a_revision_applies_from_its_adoption_and_what_lay_before_stays():
    revised_law = instrument(COBALT, PAUSE)
    assert realised(revised_law) == steps(
        ("2031-08-18", 0.16), ("2031-12-01", 0.0), ("2033-08-18", 0.16), ("2036-08-18", 0.26)
    )
    days = np.array([day(text) for text in ("2031-03-09", "2031-03-10", "2031-11-30", "2031-12-01")])
    assert newest(revised_law, days, by="announced").tolist() == [0, 1, 1, 1]
    assert newest(revised_law, days, by="adopted").tolist() == [0, 0, 0, 1]


def announced_duty(*revisions: Revision) -> np.ndarray:
    law = compile_timeline((instrument(*revisions),), FACTS, parse_month("2031-01"), 24)
    seen = law.announced_content_duty[:, :, *COBALT_COLUMN]
    assert np.array_equal(seen, law.announced_theta[:, :, 0])
    return seen


def check_announced_view(view) -> None:
    """What is seen at a month's start changes with the announcement, neither with the adoption nor before."""
    plain, paused = view(COBALT), view(COBALT, PAUSE)
    assert np.array_equal(plain[:3], paused[:3])  # January to March 1st: not announced yet
    seen_in_april = paused[3]
    assert seen_in_april[5] == 0.0 and plain[3][5] == 0.16  # about September 2031
    assert seen_in_april[29] == 0.16  # about September 2033
    assert np.array_equal(paused[4][:-1], seen_in_april[1:])


def test_the_announced_view_knows_a_revision_from_its_announcement():
    check_announced_view(announced_duty)


def test_an_observation_that_leaks_the_realised_view_is_found(monkeypatch):
    def leak(view: AnnouncedView, part: PolicyInstrument) -> np.ndarray:
        ahead = np.arange(view.periods)[:, None] + np.arange(views.LOOKAHEAD)[None, :]
        return RealisedView(view.first, view.periods + views.LOOKAHEAD).mean(part)[ahead]

    monkeypatch.setattr(AnnouncedView, "mean", leak)
    with pytest.raises(AssertionError):
        check_announced_view(announced_duty)


def test_an_instrument_that_is_not_announced_yet_is_not_seen():
    """Neither one that an event enacts, nor one whose own announcement is still to come."""
    tariff = read("TARIFF")
    days = day("2031-03-10"), day("2031-06-01")
    enacted = revised(not_yet_law(tariff), "enact", 1.2, *days, ends=day("2036-06-01"), base=tariff)
    assert enacted.revisions[0] == Revision(announced=1, adopted=1, steps=())
    late = replace(tariff, revisions=(Revision(announced=days[0], adopted=days[1], steps=((days[1], 0.3),)),))
    for one in (enacted, late):
        seen = AnnouncedView(parse_month("2031-01"), 12).mean(one)
        assert not seen[:3].any() and seen[3, 1] == 0.0 and seen[3, 2:12] == pytest.approx(np.full(10, 0.3))
        assert by_month(one, "2031-01", 6) == pytest.approx(np.array([0, 0, 0, 0, 0, 0.3]))


def test_the_realised_duty_follows_the_adoption():
    law = compile_timeline((instrument(COBALT, PAUSE),), FACTS, parse_month("2031-01"), 36)
    duty = law.content_duty[:, *COBALT_COLUMN]
    assert duty[8:11].tolist() == [0.16] * 3 and duty[11:31].max() == 0.0 and duty[32] == 0.16
    assert np.array_equal(duty, law.theta[:, 0])


def test_the_stricter_of_two_mandates_on_a_material_is_what_production_aims_at():
    """And each is a duty of its own."""
    second = replace(instrument(original(("2031-01-01", 0.2)), scope=Scope(material=("cobalt",))), id="Y")
    law = compile_timeline((instrument(COBALT), second), FACTS, parse_month("2036-09"), 1)
    phone = (FACTS.products.index("phone"), COBALT_COLUMN[1])
    assert law.content_duty[0][COBALT_COLUMN] == 0.26 and law.content_duty[0][phone] == 0.2
    assert law.theta[0].tolist() == [0.26, 0.2]


def test_recovery_law_and_export_bans_mask_routes():
    law = (
        instrument(original(("2027-12-31", 0.5)), kind="recovery_efficiency", scope=Scope(material=("lithium",))),
        instrument(original(("2025-12-31", 0.51), ("2030-12-31", 0.7)), kind="recovery_efficiency", scope=Scope()),
        instrument(original(("2026-11-09", 1.0)), kind="export_ban", scope=Scope(product=("pack",))),
    )
    legal = compile_timeline(law, FACTS, parse_month("2026-01"), 72).route_legal
    pack, phone = legal[:, :, 0], legal[:, :, 1]
    export, pyro, hydro = (pack[:, FACTS.routes.index(name)] for name in ("export", "pyro", "hydro"))
    assert export[:11].all() and not export[11:].any()
    assert pyro[:24].all() and not pyro[24:].any(), "51.2 % of a pack's mass, no lithium"
    assert hydro.all(), "72 % of a pack's mass"
    assert phone[:, 0].all() and not phone[:, 1].any(), "17 % of a phone's mass; exported feed escapes the target"


def test_several_materials_in_scope_must_all_be_recovered():
    both = instrument(
        original(("2026-01-01", 0.95)), kind="recovery_efficiency", scope=Scope(material=("cobalt", "lithium"))
    )
    legal = compile_timeline((both,), FACTS, parse_month("2026-01"), 1).route_legal[0]
    assert legal[:, 0].tolist() == [True, False, False], "98 % of cobalt and 90 % of lithium at most"
    assert legal[:, 1].tolist() == [True, True, True], "a phone holds no lithium"


def test_charges_of_several_instruments_add_up():
    law = (
        instrument(original(("2026-01-01", 0.1)), kind="import_tariff", scope=Scope()),
        instrument(original(("2026-02-01", 0.2)), kind="import_tariff"),
    )
    law = tuple(replace(one, grandfather="departure") for one in law)
    tariff = compile_timeline(law, FACTS, parse_month("2026-01"), 2).tariff_departure
    assert tariff == pytest.approx(np.array([[0.1] * 4, [0.3, 0.1, 0.1, 0.1]]))


def test_a_wider_stage_of_scope_is_not_charged_twice():
    own, later = (((day(when), 1000.0),) for when in ("2026-01-01", "2027-01-01"))
    wider = replace(
        read("EPR-PLASTIC"),
        scope=Scope(product=("phone",), material=("plastic",)),
        wider=(Scope(product=("phone",), material=("plastic", "steel")),),
        revisions=(Revision(announced=1, adopted=1, steps=own, wider=(later,)),),
        unit="EUR/t",
    )
    fee = compile_timeline((wider,), FACTS, parse_month("2026-12"), 2).epr_fee[:, FACTS.products.index("phone")]
    assert fee == pytest.approx([0.14, 0.19])


def test_a_stage_that_widens_two_ways_at_once_is_refused():
    odd = replace(
        instrument(COBALT),
        wider=(Scope(material=("cobalt", "lithium", "plastic")),),
        revisions=(replace(COBALT, wider=(COBALT.steps,)),),
    )
    with pytest.raises(ModelError, match="stage 2 widens products and materials at once"):
        compile_timeline((odd,), FACTS, parse_month("2031-01"), 1)


def test_an_instrument_that_matches_nothing_is_left_out():
    elsewhere = instrument(COBALT, scope=Scope(archetype=("wind_blade",)))
    assert compile_timeline((elsewhere,), FACTS, parse_month("2031-09"), 1).theta.shape == (1, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"announced": day("2024-01-01")}, "adopted before it is announced"),
        ({"steps": ((5, 0.1), (5, 0.2))}, "increasing order"),
        ({"wider": (((5, 0.1), (5, 0.2)),)}, "increasing order"),
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


def test_a_drawn_revision_that_comes_too_early_is_moved_behind_the_newest():
    moved = revised(instrument(COBALT, PAUSE), "delay", 12, day("2020-01-01"), day("2020-01-01"))
    assert (moved.revisions[2].announced, moved.revisions[2].adopted) == (PAUSE.announced, PAUSE.adopted)


def test_revisions_of_one_day_are_in_order():
    twin = replace(COBALT, steps=steps(("2031-08-18", 0.5)))
    assert by_month(instrument(COBALT, twin), "2031-09", 1).tolist() == [0.5]


def test_a_strengthened_share_stays_a_share_and_a_strengthened_price_does_not():
    assert revise(((10, 0.8),), "strengthen", 2.0, 5, ceiling=1.0) == ((10, 1.0),)
    assert revise(((10, 80.0),), "tighten", 2.0, 5) == ((10, 160.0),)


def test_a_ceiling_that_is_repealed_or_has_not_begun_is_no_ceiling():
    law = revised(read("CRMA"), "repeal", 0.0, day("2027-01-01"), day("2027-06-01"))
    compiled = compile_timeline((law,), FACTS, parse_month("2025-12"), 24)
    assert compiled.in_force[:, 0].tolist() == [0.0] + [1.0] * 17 + [0.0] * 6
    assert np.isfinite(compiled.theta).all() and compiled.theta[18:].max() == 0.0


def test_windows_follow_the_calendar():
    year, half = Window(), Window(months=6, phase=parse_month("2030-04") % 6)
    closing = [month for month in range(parse_month("2030-01"), parse_month("2032-01")) if year.closes(month)]
    assert closing == [parse_month("2030-12"), parse_month("2031-12")]
    assert half.closes(parse_month("2030-09")) and half.closes(parse_month("2030-03"))
    assert half.first_month(parse_month("2030-09")) == parse_month("2030-04")


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
    starts = month_starts(parse_month("2030-01"), 24)
    by_day = [
        value_on([one for number, one in enumerate(revisions) if not number or one.adopted <= today][-1], today)
        for today in range(starts[0], starts[-1])
    ]
    edges = starts - starts[0]
    expected = [np.mean(by_day[low:high]) for low, high in pairwise(edges)]
    one = instrument(*revisions)
    assert by_month(one, "2030-01", 24) == pytest.approx(np.array(expected), abs=1e-12)
    assert masked(one, "2030-01", 24).tolist() == [by_day[edge] for edge in edges[:-1]]


@settings(max_examples=40, deadline=None)
@given(histories())
def test_no_announced_value_comes_from_a_later_announcement(revisions: tuple[Revision, ...]):
    starts = month_starts(parse_month("2030-01"), 24)
    seen = compile_timeline((instrument(*revisions),), FACTS, parse_month("2030-01"), 24).announced_theta
    for number in range(1, len(revisions)):
        without = compile_timeline((instrument(*revisions[:number]),), FACTS, parse_month("2030-01"), 24)
        unaware = starts[:-1] < revisions[number].announced
        assert np.array_equal(seen[unaware], without.announced_theta[unaware])
