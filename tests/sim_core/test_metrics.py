"""Metrics of a run: their units, their sources in the ledger, and where they are undefined."""

from types import SimpleNamespace

import numpy as np
import pytest

from sim_core.circularity import expected_lives, material_circularity
from sim_core.ledger import Account, Flow, Ledger
from sim_core.metrics import measure


def test_lives_of_a_run_are_the_chain_of_its_share_of_units_used_again(small):
    """What the metric counts and the fundamental matrix agree; beyond the last life nothing follows."""
    share = 0.4
    found = measured(small, end_of_life=150.0, can_again=100.0, reused=100.0 * share)["lives"][0]
    assert found == pytest.approx(expected_lives(np.diag([share, share], k=1)))


def measured(small, **flows: float) -> dict[str, np.ndarray]:
    ledger = Ledger(small.suite, 8)
    for name, value in flows.items():
        ledger.flow[Flow(name)] += value
    return measure(small, ledger)


def test_compliance_is_undefined_where_nothing_was_due(small):
    assert np.isnan(measured(small)["compliance"]).all()
    assert measured(small, duty=200.0, short=50.0)["compliance"][0] == pytest.approx(0.75)
    assert measured(small, duty=200.0)["compliance"][0] == 1.0


def test_metrics_have_the_stated_units_and_meanings(small):
    found = measured(
        small, carbon=2500.0, feed=100.0, recycled_feed=30.0, reused=25.0, end_of_life=100.0, can_again=80.0,
        to_recycling=50.0, recovered=50.0, to_reuse=25.0, demand=10.0, served=9.0, displaced=400.0,
        due=80.0, lacking=20.0, ended_value=200.0, ended_material_value=120.0, kept_value=70.0, recovered_value=30.0,
    )  # fmt: skip
    assert found["carbon"][0] == 2.5  # t
    assert found["service"][0] == pytest.approx(0.9)
    assert found["recycled_share"][0] == pytest.approx(0.3)
    assert found["lives"][0] == pytest.approx(1.0 + 0.3125 + 0.3125**2)  # a pack has up to three
    assert found["avoided_carbon"][0] == 0.4
    assert (found["served"][0], found["due"][0], found["lacking"][0]) == (9.0, 80.0, 20.0)
    assert found["cei"][0] == 0.25 and found["value_retained"][0] == 0.5
    assert found["node_periods"][0] == 12 * 12
    expected = material_circularity(recycled_feed=30 / 125, reused_feed=25 / 125, to_recycling=0.5, to_reuse=0.25)
    assert found["circularity"][0] == pytest.approx(float(expected))


def test_what_is_counted_as_reused_is_not_counted_as_recycled_again(small):
    found = measured(small, feed=100.0, end_of_life=100.0, to_reuse=60.0, to_recycling=70.0, recovered=70.0)
    expected = material_circularity(to_reuse=0.6, to_recycling=0.4)
    assert found["circularity"][0] == pytest.approx(float(expected))


def test_charges_come_from_their_accounts(small):
    ledger = Ledger(small.suite, 8)
    for number, account in enumerate(Account):
        ledger.money[account] += 10.0**number
    found = measure(small, ledger)
    order = list(Account)
    assert found["capex"][0] == 10.0 ** order.index(Account.CAPEX)
    assert found["shortfall_charge"][0] == 10.0 ** order.index(Account.SHORTFALL)
    statutory = ("tariff", "carbon_charge", "landfill_tax", "fee", "subsidy", "certificates")
    assert found["statutory_charge"][0] == sum(10.0 ** order.index(Account(name)) for name in statutory)
    assert found["objective"][0] == sum(10.0**number for number in range(len(order)))


def test_remanufacture_counts_as_reuse_only_what_is_made(small, bench):
    """Rejects go on to the recycler and count there; a unit may not count as both."""
    from sim_core.engine.reverse import remanufacture

    p = bench.period(small, bench.scenario(small), t=small.suite.warm_up, targets=1.0)
    p.state.goods[...] = 0.0
    p.state.cores[0, 0, 0] = 100.0
    remanufacture(p)
    made = float(100.0 * small.value("reman.yield")[0, 0] * small.products.mass[0])
    assert p.ledger.flow[Flow.TO_REUSE][0] == pytest.approx(made) == p.ledger.flow[Flow.REUSED][0]


def test_every_metric_of_a_run_is_finite_or_undefined_for_a_stated_reason(under_duty, bench):
    ledger = bench.run(under_duty, [bench.scenario(under_duty)], bench.random_schedules(under_duty, 1))
    found = SimpleNamespace(**measure(under_duty, ledger))
    assert np.isfinite(found.objective).all() and (found.carbon > 0).all()
    for share in (found.service, found.recycled_share, found.compliance, found.circularity, found.cei):
        assert ((share >= -1e-12) & (share <= 1.0 + 1e-12)).all()
    assert (found.lives >= 1.0).all()
