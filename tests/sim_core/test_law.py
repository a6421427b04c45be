"""The catalogue's law: well-formed rows, and what it does to EV batteries, in the law's arrays and in a simulation."""

from datetime import date
from functools import cache

import numpy as np
import pytest

from optimizers.controllers import build
from sim_core.catalogue import ARCHETYPES, archetype
from sim_core.catalogue.law import law
from sim_core.control import ControllerRecord
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation, simulate
from sim_core.generate.families import FAMILIES
from sim_core.generate.family import BASE_LAW, PROPOSED
from sim_core.generate.recipe import Event, Recipe, law_rows
from sim_core.ledger import Account, Flow, Ledger
from sim_core.metrics import measure
from sim_core.policy.from_catalogue import from_law_rows
from sim_core.policy.instrument import PolicyInstrument
from sim_core.scenario import Scenario, build_scenario, from_recipe
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from sim_core.units import parse_month

ONLY_COBALT = {"cobalt": 150.0}
# All packs at their end of life are collected, they and all scrap recycled in the month they arrive, hardly any reused.
FULL_RECOVERY = {
    "collection.share": 1.0,
    "collection.capacity": 1e12,
    "inspection.capacity": 1e12,
    "recycling.wet.capacity": 1e12,
    "second_life.demand": 0.0,
    "recycling.export.capacity": 0.0,
    "disruption.rate": 0.0,
    "lane_disruption.rate": 0.0,
    "hibernation.share": 0.0,
}
FIRST = parse_month("2026-01")


def suite(**changes) -> SuiteDefinition:
    overrides = changes.pop("overrides", {})
    product = changes.pop("archetype", "ev_battery")
    plain = {
        "name": "law", "network": "regional", "seed": 7, "start": "2026-01", "warm_up": 0, "scored": 24, "run_out": 0,
        "splits": {"test": SplitDefinition(families=("eu_tighten",), scenarios=2)},
        "products": (ProductShare(archetype=product, overrides=overrides),),
    }  # fmt: skip
    return SuiteDefinition(**(plain | changes))


@cache
def eight_years() -> Layout:
    """The region from 2026 to 2033, all that recovery can do, and a price on missing cobalt only."""
    return build_layout(suite(warm_up=12, scored=84, shortfall_price=ONLY_COBALT, overrides=FULL_RECOVERY))


def with_events(layout: Layout, *events: Event) -> Scenario:
    return from_recipe(layout, Recipe(family="eu_baseline", index=0, seed=layout.suite.seed, events=events))


def unrevised(layout: Layout) -> Scenario:
    return with_events(layout)


def run(layout: Layout, scenarios: list[Scenario], **parameters: float) -> Ledger:
    controller = build(layout, [ControllerRecord(kind="compliance_base_stock", parameters=parameters)] * LANE_WIDTH)
    rows = np.arange(LANE_WIDTH) % len(scenarios)
    return simulate(layout, scenarios, rows, controller, [f"cell {i}" for i in range(LANE_WIDTH)])


def first_month_without(layout: Layout, legal: np.ndarray, route: str) -> int | None:
    barred = np.flatnonzero(~legal[:, layout.facts.routes.index(route), 0])
    return FIRST + int(barred[0]) if barred.size else None


def test_rows_are_scoped_to_what_archetypes_hold():
    for row in (row for row in law() if row.binds):
        named = [name for name in ARCHETYPES if row.archetype == "all" or name in row.archetypes]
        held = {material for name in named for material in archetype(name).materials}
        assert row.material == "all" or set(row.material.split("+")) <= held, row.row
    counterfactual = {row.instrument for row in law() if row.basis == "counterfactual"}
    assert counterfactual == {row.instrument for row in law() if row.instrument.startswith("CF-")}
    assert counterfactual & set(BASE_LAW) == {"CF-TARIFF", "CF-CARBON"}


@pytest.mark.parametrize("name", law_rows(BASE_LAW))
def test_every_instrument_of_the_catalogue_can_be_written_and_read(name: str):
    instrument = from_law_rows(law_rows(BASE_LAW)[name])
    assert PolicyInstrument.from_json(instrument.to_json()) == instrument
    assert from_law_rows(law_rows(BASE_LAW)[name][::-1]) == instrument
    assert instrument.provenance["confidence"] == law_rows(BASE_LAW)[name][0].confidence


def test_families_name_only_law_that_the_catalogue_holds():
    for family in FAMILIES:
        assert set(law_rows(family.law)) == set(family.law) and set(family.proposed) <= {*family.law, *PROPOSED}
        assert all(set(rule.targets) <= set(family.law) for rule in family.rules)


def test_the_law_of_batteries_is_no_law_of_phones():
    phones = build_layout(suite(archetype="smartphone"))
    assert {one.id for one in phones.obligations} == {"WEEE-COLL", "WEEE-REC56"}
    assert {one.id for one in eight_years().obligations} == {"EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI"}


def test_routes_fall_away_in_the_first_full_month_after_their_date():
    layout = eight_years()
    legal = unrevised(layout).timeline.route_legal
    assert first_month_without(layout, legal, "export") == parse_month("2026-12")  # black mass, 2026-11-09
    assert first_month_without(layout, legal, "pyro") == parse_month("2028-01")  # no lithium recovered, 2027-12-31
    assert first_month_without(layout, legal, "hydro") == parse_month("2032-01")  # 95 % of copper, 2031-12-31
    assert first_month_without(layout, legal, "hydro_high") is None
    for route in ("export", "pyro", "hydro"):
        gone = (first_month_without(layout, legal, route) or 0) - FIRST
        assert not legal[gone:, layout.facts.routes.index(route)].any()


def test_a_repealed_export_ban_opens_the_route_again():
    layout = build_layout(suite(scored=204))
    routes = build_scenario(layout, "eu_export_reopened/0").timeline.route_legal
    legal = routes[:, layout.facts.routes.index("export"), 0]
    assert legal[:11].all() and not legal[11:59].any() and legal[-1]


def test_the_duty_begins_in_august_2031():
    layout = eight_years()
    duty = unrevised(layout).timeline.content_duty[:, 0]
    august = parse_month("2031-08") - FIRST
    shares = {"cobalt": 0.16, "lithium": 0.06, "nickel": 0.06}
    full = np.array([shares.get(name, 0.0) for name in layout.facts.materials])
    assert not duty[:august].any()
    assert duty[august] == pytest.approx(full * 14 / 31)
    assert duty[august + 1] == pytest.approx(full)


def test_returns_and_scrap_alone_miss_the_cobalt_duty_even_under_full_recovery():
    layout = eight_years()
    ledger = run(layout, [unrevised(layout)], recycled_cover=0.0, reman_cover=0.0, keep_cover=0.0)
    recovered = (ledger.flow[Flow.TO_RECYCLING] + ledger.flow[Flow.TO_REUSE]) / ledger.flow[Flow.END_OF_LIFE]
    assert (recovered > 0.8).all(), "all but what is on its way"
    assert (ledger.money[Account.SHORTFALL] > 0.0).all(), "cobalt is short"
    assert (measure(layout, ledger)["compliance"] < 0.95).all()


def test_bought_recycled_material_closes_the_gap():
    layout = eight_years()
    without, bought = (run(layout, [unrevised(layout)], recycled_cover=cover, reman_cover=0.0) for cover in (0.0, 0.5))
    assert (bought.money[Account.SHORTFALL] < 0.1 * without.money[Account.SHORTFALL]).all()


def test_a_carbon_price_is_charged_and_a_tariff_only_where_enacted():
    layout = build_layout(suite(network="loop", scored=12))
    days = {"announced": "2026-03-01", "adopted": "2026-06-01", "ends": "2030-01-01"}
    enacted = Event(kind="enact", targets=("CF-TARIFF",), amount=1.0, **days)
    calm, tariff = (run(layout, [with_events(layout, *events)]) for events in ((), (enacted,)))
    assert (calm.money[Account.CARBON_CHARGE] > 0).all()
    assert not calm.money[Account.TARIFF].any() and (tariff.money[Account.TARIFF] > 0).all()


INJECTED = {"id": "LIVE", "type": "import_tariff", "scope": {"material": "cobalt"}, "schedule": {"value": 0.25}}
AT = 9


def money(layout: Layout, scenario: Scenario, at: int | None) -> dict[Account, bytes]:
    """Run a year, with the live tariff injected before period `at` where one is given."""
    controller = build(layout, [ControllerRecord(kind="compliance_base_stock", parameters={})] * LANE_WIDTH)
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    simulation = Simulation(layout, [scenario], rows, controller, [f"cell {i}" for i in range(LANE_WIDTH)])
    if at is not None:
        simulation.advance(at)
        simulation.inject(INJECTED)
    simulation.advance()
    return {account: simulation.ledger.money[account].tobytes() for account in Account}


def test_law_injected_into_a_running_simulation_gives_the_bytes_of_law_so_dated():
    live = build_layout(suite(network="loop", scored=12))
    begins = date(2026, 1 + AT, 1).isoformat()
    scheduled = INJECTED | {"entry_into_force": begins, "announced": begins, "adopted": begins}
    dated = build_layout(suite(network="loop", scored=12, instruments=(scheduled,)))
    expected = money(dated, unrevised(dated), None)
    assert money(live, unrevised(live), AT) == expected
    assert money(live, unrevised(live), AT + 1) != expected, "one period late"
    assert money(live, unrevised(live), None) != expected
