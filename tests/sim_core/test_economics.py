"""Ways to look good without doing the work, each of which must not pay."""

import numpy as np
import pytest

from sim_core.generate.families import FAMILIES
from sim_core.generate.family import BASE_LAW
from sim_core.ledger import Account, Flow
from sim_core.metrics import measure
from sim_core.scenario import build_scenario

YEARS = 11


@pytest.fixture(scope="module")
def eleven_years(bench):
    return bench.layout(network="regional", warm_up=12, scored=12 * YEARS - 12, epoch_months=24)


@pytest.fixture(scope="module")
def scenarios(eleven_years):
    """One scenario of each family whose law is the usual one."""
    usual_law = [one.name for one in FAMILIES if set(one.law) <= set(BASE_LAW)]
    return [build_scenario(eleven_years, f"{family}/0") for family in usual_law]


@pytest.fixture(scope="module")
def usual(eleven_years, scenarios, bench):
    return bench.run(eleven_years, scenarios, bench.reference(eleven_years, cells=8))


def test_closing_down_does_not_pay(eleven_years, scenarios, usual, bench):
    """A chain that serves nobody owes no duty and emits nothing; the lost sales must still cost more."""
    closed = bench.run(eleven_years, scenarios, bench.reference(eleven_years, plant_cover=0.0, warehouse_cover=0.0))
    assert (measure(eleven_years, closed)["service"] < 0.1).all()
    assert (measure(eleven_years, usual)["service"] > 0.95).all()
    assert (closed.objective() > usual.objective()).all()


def test_serving_half_the_demand_does_not_pay(eleven_years, scenarios, usual, bench):
    half = bench.run(eleven_years, scenarios, bench.reference(eleven_years, plant_cover=0.12))
    service = measure(eleven_years, half)["service"]
    assert (service < 0.9).all()
    assert (half.objective() > usual.objective()).all()


def test_ignoring_the_duty_does_not_pay(eleven_years, scenarios, usual, bench):
    ignored = bench.run(eleven_years, scenarios, bench.reference(eleven_years, recycled_cover=0.0))
    more = ignored.money[Account.SHORTFALL] - usual.money[Account.SHORTFALL]
    due = usual.flow[Flow.DUTY] > 0.0
    assert due.any() and (more[due] > 0.0).all()
    assert (ignored.objective() > usual.objective())[due].mean() > 0.5


def test_the_reference_meets_most_of_its_duty(eleven_years, usual):
    compliance = measure(eleven_years, usual)["compliance"]
    assert (compliance[~np.isnan(compliance)] > 0.8).all()
