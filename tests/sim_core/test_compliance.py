"""The books of compliance: what is owed over the legal window, by whom, and what flexibility gives."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core.engine.compliance import ComplianceBook, Settlement
from sim_core.policy.instrument import PolicyInstrument, Window
from sim_core.policy.obligation import Obligation, obligations
from sim_core.policy.timeline import compile_timeline, inject
from sim_core.units import parse_month
from tests.sim_core.example_law import CELLS, FACTS, read, register, suite_of

THETA = 0.2
PLANT = read("BANKED")  # 20 % of a pack's cobalt from 2026 on, by plant and calendar year
STRICT = replace(PLANT, flexibility=type(PLANT.flexibility)())


def book_months(
    duty: PolicyInstrument,
    monthly: Iterable[dict[str, float]],
    *,
    start: str = "2032-01",
    scored: int | None = None,
    warm_up: int = 0,
    adjust: Any = lambda owed: owed,
) -> list[tuple[int, Settlement]]:
    """Book months of flows and return (period, what closed)."""
    flows = list(monthly)
    suite = replace(suite_of(start, scored or len(flows)), warm_up=warm_up)
    owed = tuple(adjust(one) for one in obligations((duty,), FACTS, {"cobalt": 150.0}))
    law = compile_timeline((duty,), FACTS, parse_month(start), len(flows), owed)
    book = ComplianceBook(owed, suite, plants=1, cells=CELLS)
    found = [(t, record(book, t, one, law)) for t, one in enumerate(flows)]
    return [(t, settled) for t, settled in found if settled is not None]


def record(book: ComplianceBook, t: int, flows: dict[str, float], law) -> Settlement | None:
    spread = np.ones(CELLS)
    theta, in_force = law.theta[t][:, None] * spread, law.in_force[t][:, None] * spread
    return book.record(t, register(flows), theta=theta, in_force=in_force, carbon_price=np.zeros(CELLS))


def cobalt(content: float, recycled: float) -> dict[str, float]:
    return {"content.pack.cobalt": content, "recycled.pack.cobalt.external": recycled}


def shorts(closed: list[tuple[int, Settlement]]) -> list[float]:
    return [float(settled.short[0, 0]) for _, settled in closed]


def check_the_window_is_the_year(adjust=lambda owed: owed) -> None:
    """Short in one month and over in another of the same year is no shortfall."""
    closed = book_months(STRICT, [cobalt(100.0, 0.0), cobalt(100.0, 40.0)] * 12, adjust=adjust)
    assert [t for t, _ in closed] == [11, 23]
    assert shorts(closed) == pytest.approx([0.0, 0.0], abs=1e-9)
    assert sum(settled.duty[0, 0] for _, settled in closed) == pytest.approx(24 * 100.0 * THETA)
    assert not any(settled.shortfall_charge.any() for _, settled in closed)


def test_a_duty_is_owed_over_the_calendar_year():
    check_the_window_is_the_year()


def test_a_duty_that_is_checked_each_month_is_found():
    def monthly(owed: Obligation) -> Obligation:
        return replace(owed, window=Window(months=1))

    with pytest.raises(AssertionError):
        check_the_window_is_the_year(monthly)


def test_a_surplus_does_not_pass_into_the_next_year_without_a_bank():
    surplus = [cobalt(100.0, 40.0)] * 12 + [cobalt(100.0, 0.0)] * 12
    assert shorts(book_months(STRICT, surplus)) == pytest.approx([0.0, 12 * 20.0])


def test_recycled_content_from_before_entry_into_force_does_not_count():
    """A duty from 18 August is on what is made from then on: earlier months are outside the window."""
    august = replace(STRICT, revisions=read("STAIRCASE").revisions)
    closed = book_months(august, [cobalt(100.0, 100.0)] * 7 + [cobalt(100.0, 0.0)] * 5, start="2031-01")
    assert shorts(closed) == pytest.approx([(14 / 31 + 4) * 16.0])


def test_each_plant_and_each_product_answers_for_itself():
    duty = replace(STRICT, scope=read("CBAM").scope.__class__(material=("cobalt",)))
    (owed,) = obligations((duty,), FACTS, {"cobalt": 150.0})
    assert owed.per_plant
    book = ComplianceBook((owed,), suite_of("2032-01", 12), plants=2, cells=CELLS)
    month = register({})
    month["content"], month["recycled"] = np.zeros((2, 2, 4, CELLS)), np.zeros((2, 2, 4, 3, CELLS))
    month["content"][:, :, 0] = 100.0
    month["recycled"][0, 0, 0, 2], month["recycled"][1, 1, 0, 0] = 80.0, 15.0
    law = {"theta": np.full((1, CELLS), THETA), "in_force": np.ones((1, CELLS)), "carbon_price": np.zeros(CELLS)}
    settled = [book.record(t, month, **law) for t in range(12)][-1]
    assert settled is not None
    assert settled.short[0] == pytest.approx(np.full(CELLS, 12 * (0.0 + 20.0 + 20.0 + 5.0)))
    assert settled.shortfall_charge == pytest.approx(settled.short[0] * 150.0)


def test_only_eligible_origins_count():
    picky = replace(STRICT, eligible_origins=("post_consumer",))
    scrap = {"content.pack.cobalt": 100.0, "recycled.pack.cobalt.manufacturing_scrap": 90.0}
    used = {"content.pack.cobalt": 100.0, "recycled.pack.cobalt.post_consumer": 90.0}
    assert shorts(book_months(picky, [scrap] * 12)) == pytest.approx([240.0])
    assert shorts(book_months(picky, [used] * 12)) == [0.0]


def test_the_window_follows_the_calendar_not_the_run():
    closed = book_months(STRICT, [cobalt(100.0, 0.0)] * 12, start="2032-07")
    assert [t for t, _ in closed] == [5, 11] and shorts(closed) == pytest.approx([120.0, 120.0])


def test_a_window_of_three_years_closes_after_three():
    rolling = replace(STRICT, window=Window(months=36, phase=parse_month("2031-01") % 36))
    closed = book_months(rolling, [cobalt(100.0, 20.0)] * 40, start="2032-01", scored=60)
    assert [t for t, _ in closed] == [23]


def check_warm_up_and_scoring_answer_for_themselves(warm_up: int) -> None:
    """Months 0 to 5 warm up, 6 to 11 are scored, all in 2032: neither debt nor surplus nor bank passes on."""
    debt = [cobalt(100.0, 0.0)] * 6 + [cobalt(100.0, 40.0)] * 6
    surplus = [cobalt(100.0, 40.0)] * 6 + [cobalt(100.0, 0.0)] * 12
    for duty in (STRICT, PLANT, read("CARRIED")):
        closed = book_months(duty, debt, warm_up=warm_up, scored=6)
        assert [t for t, _ in closed] == [5, 11] and shorts(closed) == pytest.approx([120.0, 0.0])
        closed = book_months(duty, surplus, warm_up=warm_up, scored=6)
        assert shorts(closed)[:2] == pytest.approx([0.0, 120.0])


def test_warm_up_and_scoring_answer_for_themselves():
    check_warm_up_and_scoring_answer_for_themselves(6)


def test_a_book_that_does_not_know_the_warm_up_is_found():
    with pytest.raises(AssertionError):
        check_warm_up_and_scoring_answer_for_themselves(0)


def test_a_banked_surplus_lapses_after_its_windows():
    two = replace(PLANT, flexibility=replace(PLANT.flexibility, bank_windows=2, bank_share=0.5))
    years = [cobalt(100.0, 40.0), cobalt(100.0, 15.0), cobalt(100.0, 18.0), cobalt(100.0, 19.0), cobalt(100.0, 20.0)]
    closed = book_months(two, [month for month in years for _ in range(12)])
    # 240 over, 120 banked for two years: 60 serve in the second, 24 in the third, and 36 lapse.
    assert shorts(closed) == pytest.approx([0.0, 0.0, 0.0, 12.0, 0.0])


def test_a_debt_that_was_carried_forward_is_not_carried_again():
    years = [cobalt(100.0, 15.0), cobalt(100.0, 0.0), cobalt(100.0, 20.0), cobalt(100.0, 20.0)]
    closed = book_months(read("CARRIED"), [month for month in years for _ in range(12)])
    # 60 wait, then 240 + 60 are due and nothing comes: a quarter of 240 waits, the rest is short.
    assert shorts(closed) == pytest.approx([0.0, 240.0, 0.0, 60.0])
    assert [settled.carried[0, 0] for _, settled in closed] == pytest.approx([60.0, 60.0, 60.0, 0.0])


@pytest.mark.parametrize(("price", "bought"), [(9.0, 2.0), (11.0, 0.0)])
def test_certificates_are_bought_where_they_cost_no_more_than_the_penalty(price: float, bought: float):
    duty = read("CERTIFIED")
    duty = replace(duty, flexibility=replace(duty.flexibility, certificate_price=price))
    ((_, settled),) = book_months(duty, [cobalt(100.0 / 12, 15.0 / 12)] * 12)
    assert settled.certificates[0] == pytest.approx(np.full(CELLS, bought))
    assert settled.certificate_charge == pytest.approx(np.full(CELLS, bought * price))


def test_a_largest_value_counts_the_part_of_a_month_in_which_it_is_in_force():
    cap = read("CRMA")
    middle = replace(cap, revisions=(replace(cap.revisions[0], steps=((cap.revisions[0].steps[0][0] + 15, 0.0),)),))
    flows = [{"virgin.cobalt": 31.0, "imported.cobalt": 31.0}] * 12
    ((_, settled),) = book_months(middle, flows, start="2026-01")
    assert settled.short[0] == pytest.approx(np.full(CELLS, 16.0 + 11 * 31.0)), "16 of January's 31 days"


def test_nothing_is_due_before_a_largest_value_is_in_force():
    ((_, settled),) = book_months(read("CRMA"), [{"imported.cobalt": 5.0}] * 12, start="2024-01")
    assert not settled.duty.any() and not settled.short.any()


def test_a_look_back_needs_windows_that_were_simulated_in_full():
    """From July: the half of 2026 is no year, 2027 is the first."""
    duty = read("WEEE")
    flows = [{"placed.phone": 10.0}] * 36
    closed = book_months(duty, flows, start="2026-07", scored=36)
    assert [float(settled.duty[0, 0]) for _, settled in closed] == pytest.approx([0.0, 0.0, 78.0, 39.0])


def test_a_duty_in_mass_weighs_units_by_their_materials():
    duty = replace(read("WEEE"), scope=read("ETS").scope, measure="mass", lag=0)
    flows = [{"placed.phone": 10.0, "placed.pack": 1.0, "collected.pack": 1.0}] * 12
    ((_, settled),) = book_months(duty, flows, start="2026-01")
    assert settled.duty[0, 0] == pytest.approx(12 * 0.65 * (10 * 0.2 + 1 * 4.0))
    assert settled.delivered[0, 0] == pytest.approx(12 * 4.0)


def check_an_injected_duty_is_settled_as_if_known_from_the_start(forget: bool) -> None:
    """Banks, look-backs and minimum volumes too; the injection falls into the middle of a window."""
    first, months, at = parse_month("2026-01"), 60, 29
    base, new = (STRICT,), (read("WEEE"), read("SMALL"), read("CRMA"), replace(PLANT, id="AGAIN"))
    law = base
    for one in new:
        law = inject(law, one, at, first)
    before, after = obligations(base, FACTS, {}), obligations(law, FACTS, {})
    compiled = [compile_timeline(each, FACTS, first, months, owed) for each, owed in ((base, before), (law, after))]
    draw = np.random.default_rng(3)
    paths = (
        "placed.phone", "collected.phone", "content.pack.cobalt", "recycled.pack.cobalt.external", "virgin.cobalt",
        "imported.cobalt",
    )  # fmt: skip
    flows = [dict(zip(paths, draw.random(len(paths)) * 60, strict=True)) for _ in range(months)]
    suite = suite_of("2026-01", months)
    known, live = (ComplianceBook(owed, suite, plants=1, cells=CELLS) for owed in (after, before))
    for t, one in enumerate(flows):
        if t == at:
            live.adopt(after)
            if forget:
                live._past["placed"][:12] = [np.zeros_like(old) for old in live._past["placed"][:12]]
        ours, theirs = record(live, t, one, compiled[t >= at]), record(known, t, one, compiled[1])
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert ours.shortfall_charge.tobytes() == theirs.shortfall_charge.tobytes()
            rows = len(ours.duty)
            for name in ("duty", "delivered", "short", "carried"):
                assert getattr(ours, name).tobytes() == getattr(theirs, name)[:rows].tobytes(), (t, name)


def test_an_injected_duty_is_settled_as_if_known_from_the_start():
    check_an_injected_duty_is_settled_as_if_known_from_the_start(forget=False)


def test_a_book_that_forgets_what_came_before_an_injection_is_found():
    with pytest.raises(AssertionError):
        check_an_injected_duty_is_settled_as_if_known_from_the_start(forget=True)


# ---- in money


def test_what_is_due_and_what_lacks_are_weighed_by_the_price_of_a_shortfall():
    """Of 20 % of 12 x 100 kg at 150 EUR/kg, 120 of 240 kg were delivered."""
    ((_, settled),) = book_months(STRICT, [cobalt(100.0, 10.0)] * 12)
    assert settled.due[0] == pytest.approx(240.0 * 150.0)
    assert settled.shortfall_charge[0] == pytest.approx(120.0 * 150.0)
