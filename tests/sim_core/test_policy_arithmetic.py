"""Statutory arithmetic that is known: liabilities, rates, caps, penalties, means, out of a simulation's objects."""

import numpy as np
import pytest

from sim_core.policy import charges, views
from sim_core.policy.arithmetic import CURRENCIES
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.timeline import compile_timeline
from sim_core.units import KG_PER_T, parse_month
from tests.sim_core.example_law import EXAMPLES, FACTS, read, settle

EXACT = 1e-6


def months(name: str, first: str, count: int):
    return compile_timeline((read(name),), FACTS, parse_month(first), count)


def cbam_liability() -> float:
    """EUR for 1,000 t of steel in January 2028 at 80 EUR/t."""
    charged = months("CBAM", "2028-01", 1).cbam[0, FACTS.materials.index("steel")]
    return float(1000.0 * KG_PER_T * charged * 80.0 / KG_PER_T)


def test_the_cbam_liability_of_2028():
    assert cbam_liability() == pytest.approx(69360.0, rel=EXACT)


def test_the_simple_cbam_formula_is_found(monkeypatch):
    monkeypatch.setattr(
        charges, "cbam_steps", lambda steps, embedded, _benchmark: tuple((day, f * embedded) for day, f in steps)
    )
    assert cbam_liability() == pytest.approx(16800.0) != pytest.approx(69360.0, rel=EXACT)


def test_the_rate_of_weee_collection_fails_at_65_percent():
    year = settle(read("WEEE"), EXAMPLES["WEEE"]["check"]["book"])[3]
    placed = year.duty[0, 0] / 0.65
    assert placed == pytest.approx(100.0, rel=EXACT)
    assert year.delivered[0, 0] / placed == pytest.approx(0.60, rel=EXACT)
    assert year.short[0, 0] > 0.0


def test_the_penalty_of_california_ab_793():
    (year,) = settle(read("AB793"), EXAMPLES["AB793"]["check"]["book"])
    assert year.shortfall_charge[0] / CURRENCIES["USD"] == pytest.approx(30864.68, rel=EXACT)


def test_the_caps_of_the_emissions_trading_system():
    """What an emitter of nothing is allowed: the cap itself."""
    allowed = [
        year.delivered[0, 0] for year in settle(read("ETS"), {"start": "2021-01", "flows": {"emissions": [0] * 3}})
    ]
    assert allowed == pytest.approx([1571583007, 1528579492, 1485575977], rel=1e-12)
    assert np.diff(allowed) == pytest.approx([-43003515] * 2, rel=EXACT)


def mean(form: dict, first: str, years: int) -> float:
    view = views.RealisedView(parse_month(first), 12 * years)
    return float(view.mean(PolicyInstrument.from_json(form)).mean())


def check_means_are_those_of_staircases() -> None:
    pet = {
        "id": "PPWR", "type": "recycled_content_mandate", "scope": {"material": "plastic"},
        "schedule": {"shape": "staircase", "steps": [["2030-01-01", 0.30], ["2040-01-01", 0.50]]},
    }  # fmt: skip
    assert mean(EXAMPLES["CBAM"]["instrument"], "2026-01", 8) == pytest.approx(0.38625, rel=EXACT)
    assert mean(pet, "2030-01", 10) == pytest.approx(0.30, rel=EXACT)
    pack, cobalt = FACTS.products.index("pack"), FACTS.materials.index("cobalt")
    assert months("STAIRCASE", "2033-06", 1).content_duty[0, pack, cobalt] == pytest.approx(0.16, rel=EXACT)


def test_means_are_those_of_staircases():
    check_means_are_those_of_staircases()


def interpolated(steps, starts, out):
    days, values = zip(*steps, strict=True)
    return np.interp((starts[:-1] + starts[1:]) / 2.0, days, values)


def test_law_that_is_interpolated_is_found(monkeypatch):
    monkeypatch.setattr(views, "month_means", interpolated)
    with pytest.raises(AssertionError):
        check_means_are_those_of_staircases()


def test_the_bill_of_a_carbon_tax_that_rises_each_month():
    """40 t a period from t = 10 to 63; a month's tax is that month's step, not the mean of a line."""
    tax = months("RAMP", "2026-01", 64).carbon_tax
    assert not tax[:10].any()
    assert 40.0 * tax.sum() == pytest.approx(2224.8, rel=EXACT)
