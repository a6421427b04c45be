"""Scenarios: recomputed from an id or a stored recipe, with the suite's own law, and with law injected later."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core import scenario as scenario_module
from sim_core.engine import layout as layout_module
from sim_core.engine.layout import Layout, build_layout
from sim_core.errors import ModelError
from sim_core.generate.families import FAMILY_NAMES
from sim_core.generate.paths import Paths, mean_demand
from sim_core.generate.recipe import Recipe
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.timeline import PolicyTimeline
from sim_core.scenario import Scenario, build_scenario, from_recipe, with_instrument
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SUITE = SuiteDefinition(
    name="scenarios",
    products=(ProductShare(archetype="ev_battery"),),
    network="loop",
    seed=7,
    start="2030-01",
    warm_up=2,
    scored=22,
    run_out=0,
    splits={"test": SplitDefinition(families=("eu_baseline",), scenarios=1)},
)


def tax(value: float = 40.0, **more: Any) -> dict[str, Any]:
    return {"id": "tax", "type": "carbon_tax", "schedule": {"shape": "staircase", "steps": [["EIF", value]]}, **more}


def quota(**more: Any) -> dict[str, Any]:
    steps = [["EIF", 0.3], ["EIF+6m", 0.6]]
    return {
        "id": "quota",
        "type": "recycled_content_mandate",
        "scope": {"material": ["copper"]},
        "schedule": {"shape": "staircase", "steps": steps},
        **more,
    }


def layout_of(**changes: Any) -> Layout:
    return build_layout(replace(SUITE, **changes))


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of()


def law_differs(one: PolicyTimeline, other: PolicyTimeline, until: int) -> list[str]:
    """The arrays that differ in the first periods; an obligation more, with nothing due, is no difference."""
    found: list[str] = []
    for name in PolicyTimeline.__slots__:
        a, b = getattr(one, name)[:until], getattr(other, name)[:until]
        if a.shape != b.shape:
            common = min(a.shape[-1], b.shape[-1])
            if a[..., common:].any() or b[..., common:].any():
                found.append(name)
            a, b = np.ascontiguousarray(a[..., :common]), np.ascontiguousarray(b[..., :common])
        if a.tobytes() != b.tobytes():
            found.append(name)
    return found


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_stored_recipe_gives_the_same_scenario(name: str):
    layout = layout_of(splits={"test": SplitDefinition(families=(name,), scenarios=1)})
    scenario = build_scenario(layout, f"{name}/3")
    again = from_recipe(layout, Recipe.from_json(scenario.recipe.to_json()))
    assert again.recipe == scenario.recipe and again.instruments == scenario.instruments
    assert law_differs(scenario.timeline, again.timeline, SUITE.periods) == []
    for field in Paths.__slots__:
        assert np.array_equal(getattr(again.paths, field), getattr(scenario.paths, field))
    with pytest.raises(ModelError, match="suite seed"):
        from_recipe(layout_of(seed=SUITE.seed + 1), scenario.recipe)


@pytest.mark.parametrize("name", ["eu_baseline", "eu_baseline/x", "/3", ""])
def test_a_bad_scenario_id_is_refused(layout: Layout, name: str):
    with pytest.raises(ModelError, match="is not a scenario id"):
        build_scenario(layout, name)


def test_the_suites_own_law_holds_in_every_family():
    own = layout_of(instruments=(tax(entry_into_force="2031-01-01"),))
    for name in ("none", "eu_baseline"):
        scenario = build_scenario(own, f"{name}/0")
        assert [one.id for one in scenario.instruments][-1] == "tax"
        assert scenario.timeline.carbon_tax.tolist() == [0.0] * 12 + [40.0] * 12
    assert [one.id for one in build_scenario(own, "none/0").instruments] == ["tax"]


def test_own_law_that_concerns_nothing_in_the_suite_is_refused():
    with pytest.raises(ModelError, match="'quota' matches nothing in this suite"):
        layout_of(instruments=(quota(scope={"material": ["gold"]}, entry_into_force="2031-01-01"),))


# ---- injection


def check_nothing_changes_before(layout: Layout, at: int) -> None:
    before = build_scenario(layout, "eu_tighten/0")
    for new in (tax(), quota()):
        after = with_instrument(layout, before, new, at)
        assert law_differs(before.timeline, after.timeline, at) == [], "what was before stays as it was"
        assert law_differs(before.timeline, after.timeline, at + 1) != [], "and from then on it applies"
        assert after.paths is before.paths and after.id == before.id


@pytest.mark.parametrize("at", [0, 1, 9, 23])
def test_injected_law_changes_nothing_before_its_period(layout: Layout, at: int):
    check_nothing_changes_before(layout, at)


@pytest.mark.parametrize("shift", [-1, 1])
def test_injection_a_period_off_is_found(layout: Layout, monkeypatch: pytest.MonkeyPatch, shift: int):
    inject = scenario_module.inject
    monkeypatch.setattr(scenario_module, "inject", lambda law, new, t, first: inject(law, new, t + shift, first))
    with pytest.raises(AssertionError):
        check_nothing_changes_before(layout, 9)


def check_injected_is_written(layout: Layout, new: dict[str, Any], at: int, entry: str) -> Scenario:
    written = layout_of(instruments=({**new, "entry_into_force": entry},))
    live = with_instrument(layout, build_scenario(layout, "eu_delay/1"), new, at)
    planned = build_scenario(written, "eu_delay/1")
    assert law_differs(live.timeline, planned.timeline, SUITE.periods) == []
    assert live.obligations == planned.obligations
    return live


def test_injected_law_is_law_written_to_enter_into_force_then(layout: Layout):
    check_injected_is_written(layout, tax(), 7, "2030-08-01")
    live = check_injected_is_written(layout, quota(), 7, "2030-08-01")
    assert live.obligations[:-1] == layout.obligations and live.obligations[-1].id == "quota"
    assert live.timeline.theta[:, -1].tolist() == [0.0] * 7 + [0.3] * 6 + [0.6] * 11


def test_an_instrument_may_be_injected_as_data(layout: Layout):
    scenario = build_scenario(layout, "none/0")
    built = PolicyInstrument.from_json(tax(entry_into_force="2030-08-01"))
    one, other = (with_instrument(layout, scenario, new, 7) for new in (built, tax()))
    assert one.instruments == other.instruments and law_differs(one.timeline, other.timeline, SUITE.periods) == []


def test_injections_add_up_and_the_same_id_is_a_revision(layout: Layout):
    scenario = with_instrument(layout, build_scenario(layout, "none/0"), tax(), 3)
    scenario = with_instrument(layout, with_instrument(layout, scenario, quota(), 5), tax(10.0), 8)
    assert [one.id for one in scenario.instruments] == ["tax", "quota"]
    assert scenario.timeline.carbon_tax[:10].tolist() == [0.0] * 3 + [40.0] * 5 + [10.0] * 2
    assert [one.id for one in scenario.obligations][len(layout.obligations) :] == ["quota"]


@pytest.mark.parametrize("at", [-1, 24])
def test_an_injection_outside_the_horizon_is_refused(layout: Layout, at: int):
    with pytest.raises(ModelError, match="not in the horizon: inject in 0 to 23"):
        with_instrument(layout, build_scenario(layout, "none/0"), tax(), at)


def test_an_injection_that_concerns_nothing_is_refused(layout: Layout):
    with pytest.raises(ModelError, match="'quota' matches nothing in this suite"):
        with_instrument(layout, build_scenario(layout, "none/0"), quota(scope={"material": ["gold"]}), 3)


# ---- capacities beside the scenarios of a horizon


def check_capacities_do_not_hang_on_the_horizon() -> None:
    """Else a longer run would be an easier one."""
    usual = layout_of()
    (product,) = usual.products.archetypes
    peak = float(mean_demand(product, 20.0))
    for other in (usual, layout_of(scored=238), layout_of(start="2034-01", scored=40, run_out=3)):
        assert other.rates.production.sum() == pytest.approx(product.value("production.capacity") * peak)
        for name in ("production", "supplier", "line", "reman"):
            assert np.array_equal(getattr(other.rates, name), getattr(usual.rates, name))


def test_capacities_are_set_for_the_demand_of_2046_whatever_the_horizon():
    check_capacities_do_not_hang_on_the_horizon()


def test_capacities_for_another_year_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout_module, "_PEAK_YEARS", 5.0)
    with pytest.raises(AssertionError):
        check_capacities_do_not_hang_on_the_horizon()
