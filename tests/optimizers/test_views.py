"""Views know what they say they know, and nothing else."""

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest

from optimizers.controllers import build, views
from optimizers.controllers.views import VIEWS, Lean, forecast, instruments_of, terms_ahead
from sim_core.control import ControllerRecord
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.situation import Situation
from sim_core.engine.terms import Terms
from sim_core.generate.paths import Paths
from sim_core.scenario import Scenario, build_scenario, with_instrument
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

NOW, LAST = 12, 36
LATER = {
    "id": "LATER", "type": "recycled_content_mandate", "scope": {"material": ["nickel"]},
    "schedule": {"value": 0.9}, "penalty": {"value": 90.0, "unit": "EUR/kg"},
}  # fmt: skip
DATED = {**LATER, "schedule": {"shape": "staircase", "steps": [["2032-01-01", 0.1], ["2032-06-01", 0.5]]}}


@cache
def layout_of(*instruments: str) -> Layout:
    one = SplitDefinition(families=("eu_baseline",), scenarios=1)
    named = {"dated": {**DATED, "announced": "2031-01-01", "adopted": "2031-06-01"}}
    return build_layout(
        SuiteDefinition(
            name="views",
            products=(ProductShare(archetype="ev_battery"),),
            network="loop",
            seed=5,
            start="2031-01",
            warm_up=0,
            scored=LAST,
            run_out=0,
            splits={"train": one},
            epoch_months=12,
            instruments=tuple(named[name] for name in instruments),
        )
    )


def situation(layout: Layout, scenario: Scenario | None = None, t: int = NOW) -> Situation:
    scenario = scenario or build_scenario(layout, "eu_baseline/0")
    controller = build(layout, [ControllerRecord(kind="local_base_stock")] * LANE_WIDTH)
    run = Simulation(layout, [scenario], np.zeros(LANE_WIDTH, dtype=np.intp), controller, ["cell"] * LANE_WIDTH)
    run.advance(t)
    return run._situation()


def seen(view: str, now: Situation) -> dict[str, np.ndarray]:
    return terms_ahead(now, 0, view, LAST)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_gives_all_that_the_programme_reads(view: str):
    found, now = seen(view, situation(layout_of())), situation(layout_of())
    names = {field.name for field in fields(Terms)} - {"duty_soon", "duty_ahead"}
    assert set(found) == names
    for name in names:
        whole = now.table.paths[name][:LAST, ..., 0]
        assert found[name].shape == whole.shape, name
        assert (found[name][:NOW] == whole[:NOW]).all(), name


def test_the_clairvoyant_knows_all():
    now = situation(layout_of())
    for name, values in seen("clairvoyant", now).items():
        assert (values == now.table.paths[name][:LAST, ..., 0]).all(), name


def test_who_knows_the_law_knows_all_of_it_and_the_forecast_alone():
    now = situation(layout_of())
    law, announced = seen("law", now), seen("announced", now)
    for name in ("theta", "content_duty", "route_legal"):
        assert (law[name] == now.table.paths[name][:LAST, ..., 0]).all(), name
    for name in (field.name for field in fields(Paths)):
        assert law[name].tobytes() == announced[name].tobytes(), name


# ---- leaks


def futures(layout: Layout) -> dict[str, Scenario]:
    """Scenarios that differ after NOW: in demand and prices, and by law that nobody has announced by then."""
    one = build_scenario(layout, "eu_baseline/0")
    paths = {}
    for name in (field.name for field in fields(Paths)):
        paths[name] = getattr(one.paths, name).copy()
        paths[name][NOW + 1 :] *= 0.5
    return {
        "paths": replace(one, paths=replace(one.paths, **paths)),
        "law": with_instrument(layout, one, LATER, NOW + 3),
    }


def check_leak(view: str, what: str) -> None:
    layout = layout_of()
    other = futures(layout)[what]
    usual, changed = situation(layout), situation(layout, other)
    if what == "law":  # the new duty is an obligation more; what was there before is compared
        known = len(layout.obligations)
        one, two = seen(view, usual), seen(view, changed)
        two = {**two, "theta": two["theta"][:, :known].copy(), "in_force": two["in_force"][:, :known].copy()}
        assert same(one, two) and not seen(view, changed)["theta"][NOW:, known:].any()
        return
    assert same(seen(view, usual), seen(view, changed))


@pytest.mark.parametrize("view", ["myopic", "announced", "law"])
def test_none_but_the_clairvoyant_sees_coming_demand_and_prices(view: str):
    check_leak(view, "paths")


@pytest.mark.parametrize("view", ["myopic", "announced"])
def test_law_that_is_announced_later_is_not_seen(view: str):
    check_leak(view, "law")


@pytest.mark.parametrize(("view", "what"), [("clairvoyant", "paths"), ("law", "law"), ("clairvoyant", "law")])
def test_the_mutants_that_look_ahead_are_found(view: str, what: str):
    with pytest.raises(AssertionError):
        check_leak(view, what)


# ---- law


def test_announced_law_is_seen_before_its_date_and_the_myopic_waits_for_it():
    layout = layout_of("dated")
    nickel = layout.facts.materials.index("nickel")
    row = next(i for i, one in enumerate(layout.obligations) if one.id == "LATER")
    for t, known in ((0, True), (12, True)):
        now = situation(layout, t=t)
        announced, myopic = (seen(view, now) for view in ("announced", "myopic"))
        assert announced["theta"][20, row] == 0.5 and announced["content_duty"][20, 0, nickel] >= 0.5
        assert bool(announced["theta"][t:].any()) is known
        assert set(myopic["theta"][t:, row]) == ({0.0} if t == 0 else {0.1}), "today's value for ever"
    assert not (seen("myopic", situation(layout, t=0))["in_force"][:, row]).any()


def test_the_myopic_does_not_change_with_law_that_is_announced_and_not_in_force(monkeypatch):
    plain, dated = layout_of(), layout_of("dated")
    one, other = (seen("myopic", situation(layout, t=0)) for layout in (plain, dated))
    known = len(plain.obligations)
    assert one["theta"].tobytes() == other["theta"][:, :known].tobytes() and not other["theta"][:, known:].any()
    monkeypatch.setattr(views, "_as_today", views._as_announced)
    assert seen("myopic", situation(dated, t=0))["theta"][:, known:].any(), "the mutant is found"


def test_every_instrument_is_seen_with_the_one_revision_that_is_expected():
    now = situation(layout_of("dated"))
    for view in ("myopic", "announced"):
        assert all(len(one.revisions) == 1 for one in instruments_of(now, 0, view))


# ---- the forecast


def test_prices_return_to_the_catalogue_and_demand_grows_from_the_markets_forecast():
    now = situation(layout_of())
    found = forecast(now, 0, LAST)
    base = now.layout.products.by_material("price")
    today = now.table.paths["virgin_price"][NOW, :, 0]
    assert found["virgin_price"][0] == pytest.approx(today)
    gaps = np.abs(np.log(found["virgin_price"] / base))
    assert (np.diff(gaps, axis=0) <= 1e-12).all() and (gaps[-1] < gaps[0]).all()
    assert (found["demand"].mean(axis=0) > now.state.forecast[..., 0]).all()
    assert found["demand"].std() < 0.2 * found["demand"].mean()
    assert (found["supplier_available"] == 1.0).all() and (found["virgin_open"] == 1.0).all()
    assert found["product_price"][0] == pytest.approx(now.table.paths["product_price"][NOW, :, 0])
    assert found["product_price"] == pytest.approx(now.table.paths["product_price"][NOW:LAST, :, 0]), "it is known"


def test_a_future_may_lean():
    now = situation(layout_of())
    usual, high, low = (
        forecast(now, 0, LAST, lean) for lean in (Lean(), Lean(demand=1.2, price=1.0), Lean(demand=0.8))
    )
    assert high["demand"][-1] == pytest.approx(1.2 * usual["demand"][-1])
    assert low["demand"][-1] == pytest.approx(0.8 * usual["demand"][-1])
    assert (high["virgin_price"][1:] > usual["virgin_price"][1:]).all()
    assert high["virgin_price"][0] == pytest.approx(usual["virgin_price"][0]), "today's price is known"
