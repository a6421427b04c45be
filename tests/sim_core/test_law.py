"""The real law binds: routes fall away on their dates, and returns and scrap alone can't meet the duties of 2031."""

import numpy as np
import pytest

from sim_core.engine.layout import ROUTES
from sim_core.ledger import Account, Flow
from sim_core.metrics import measure
from sim_core.scenario import build_scenario
from sim_core.units import parse_month

ONLY_COBALT = {"cobalt": 150.0}
# All packs at their end of life are collected, they and all scrap recycled in the month they arrive, none reused.
FULL_RECOVERY = {
    "collection.share": 1.0,
    "collection.capacity": 1e9,
    "inspection.capacity": 1e9,
    "recycling.wet.capacity": 1e9,
    "second_life.demand": 0.0,
    "recycling.export.capacity": 0.0,
    "disruption.rate": 0.0,
}


@pytest.fixture(scope="module")
def eight_years(bench):
    """The region from 2026 to 2033, all that recovery can do, and a price on missing cobalt only."""
    return bench.layout(
        network="regional", warm_up=12, scored=84, shortfall_price=ONLY_COBALT, overrides=FULL_RECOVERY, epoch_months=24
    )


def first_month_without(legal: np.ndarray, route: str) -> int | None:
    barred = np.flatnonzero(~legal[:, ROUTES.index(route)])
    return parse_month("2026-01") + int(barred[0]) if barred.size else None


@pytest.mark.parametrize("index", range(4))
def test_routes_fall_away_in_the_first_full_month_after_their_date(eight_years, index: int):
    legal = build_scenario(eight_years, f"eu_baseline/{index}").timeline.route_legal
    assert first_month_without(legal, "export") == parse_month("2026-12")  # black mass, 2026-11-09
    assert first_month_without(legal, "pyro") == parse_month("2028-01")  # no lithium recovered, 2027-12-31
    assert first_month_without(legal, "hydro") == parse_month("2032-01")  # 95 % of copper, 2031-12-31
    assert first_month_without(legal, "hydro_high") is None
    for route in ("export", "pyro", "hydro"):
        gone = first_month_without(legal, route) - parse_month("2026-01")
        assert not legal[gone:, ROUTES.index(route)].any()


def test_a_repealed_export_ban_opens_the_route_again(bench):
    layout = bench.layout(scored=200)
    legal = build_scenario(layout, "eu_export_reopened/0").timeline.route_legal[:, ROUTES.index("export")]
    assert legal[:11].all() and not legal[11:59].any() and legal[-1]


def test_the_duty_begins_in_august_2031(eight_years, bench):
    duty = bench.scenario(eight_years).timeline.duty
    august = parse_month("2031-08") - parse_month("2026-01")
    assert not duty[:august].any()
    assert duty[august] == pytest.approx(np.array([0.16, 0.06, 0.06, 0.0, 0.0]) * 14 / 31)
    assert duty[august + 1] == pytest.approx(np.array([0.16, 0.06, 0.06, 0.0, 0.0]))


def test_returns_and_scrap_alone_miss_the_cobalt_duty_even_under_full_recovery(eight_years, bench):
    scenarios = [build_scenario(eight_years, f"eu_baseline/{index}") for index in range(8)]
    due = [index for index, one in enumerate(scenarios) if not one.recipe.events]
    controller = bench.reference(eight_years, recycled_cover=0.0, reman_cover=0.0, keep_cover=0.0)
    ledger = bench.run(eight_years, scenarios, controller)
    assert len(due) >= 3
    recovered = ledger.flow[Flow.TO_RECYCLING] / ledger.flow[Flow.END_OF_LIFE]
    assert (recovered[due] > 0.8).all(), "all but what is on its way"
    missing = ledger.money[Account.SHORTFALL][due]
    assert (missing > 0.0).all(), "cobalt is short"
    assert (measure(eight_years, ledger)["compliance"][due] < 0.95).all()


def test_bought_recycled_material_closes_the_gap(eight_years, bench):
    scenarios = [bench.scenario(eight_years)]
    without, bought = (
        bench.run(eight_years, scenarios, bench.reference(eight_years, recycled_cover=cover, reman_cover=0.0))
        for cover in (0.0, 0.5)
    )
    assert (bought.money[Account.SHORTFALL] < 0.1 * without.money[Account.SHORTFALL]).all()


def test_a_carbon_price_is_charged_and_a_tariff_only_where_enacted(bench):
    layout = bench.layout(scored=118)
    calm, tariff = (
        bench.run(layout, [build_scenario(layout, name)], bench.reference(layout))
        for name in ("eu_baseline/0", "eu_tariff/0")
    )
    assert (calm.money[Account.CARBON_CHARGE] > 0).all()
    assert not calm.money[Account.TARIFF].any() and (tariff.money[Account.TARIFF] > 0).all()
