"""The programme counts as the engine does: its solution, acted out by flows, costs there what the programme says."""

from typing import Any

import pytest

from sim_core.bound import bound, replay
from sim_core.engine.layout import Layout
from sim_core.engine.rollout import Simulation
from sim_core.ledger import Flow
from sim_core.network import NodeKind
from sim_core.policy.kinds import TYPES
from sim_core.suite import ProductShare
from tests.sim_core.bound_models import RELAXED_LEVERS, TOLERANCE, batteries, exact, size_of, solved

RANDOM = range(24)
LIVES = {"lifetime.scale": 0.2}


def law(kind: str, value: float, **fields: Any) -> dict[str, Any]:
    """An instrument in force from some day of the tenth month on, so that both sides of its start are replayed."""
    return {"id": "law", "type": kind, "schedule": {"shape": "step", "from": "2032-10-11", "value": value}, **fields}


def penalty(amount: float, unit: str = "EUR/unit") -> dict[str, Any]:
    return {"penalty": {"value": amount, "unit": unit}}


def on(**scope: str) -> dict[str, Any]:
    return {"scope": scope}


def pack(**overrides: float) -> ProductShare:
    """Batteries for whose feed some choice pays that would not otherwise."""
    names = {name.replace("__", "."): value for name, value in overrides.items()}
    return ProductShare(archetype="ev_battery", name="pack", overrides={**LIVES, **names})


BURIED = pack(
    disposal__cost=0.0,
    recycling__export__cost=9.0, recycling__pyro__cost=9.0, recycling__hydro__cost=9.0, recycling__hydro_high__cost=9.0,
)  # fmt: skip
EXPORTED = pack(recycling__export__cost=-30.0)
OTHER = ProductShare(archetype="ev_battery", name="other", share=0.5, overrides=LIVES)
# What must be so for an instrument to matter to the least cost, beside that it is there.
DEAR_TO_KEEP = {kind: {"holding": 20.0} for kind in (NodeKind.COLLECTOR, NodeKind.INSPECTION, NodeKind.RECYCLER)}
SETTING: dict[str, dict[str, Any]] = {
    "landfill_ban": {"products": (BURIED,), "nodes": DEAR_TO_KEEP},
    "landfill_tax": {"products": (BURIED,), "nodes": DEAR_TO_KEEP},
    "export_ban": {"products": (EXPORTED,)},
    "export_quota": {"products": (EXPORTED,)},
    "sales_mandate": {"products": (pack(), OTHER)},
}
EXAMPLES = {
    "carbon_tax": law("carbon_tax", 90.0),
    "ets_cap": law("ets_cap", 1000.0, **penalty(100.0, "EUR/t")),
    "cbam": law("cbam", 0.5),
    "recycled_content_mandate": law("recycled_content_mandate", 0.3, **on(material="cobalt")),
    "collection_target": law("collection_target", 0.95, basis="ended", **penalty(500.0)),
    "recovery_efficiency": law("recovery_efficiency", 0.99, **on(material="lithium")),
    "recycling_target": law("recycling_target", 0.99, basis="ended", **penalty(2.0, "EUR/kg")),
    "landfill_ban": law("landfill_ban", 1.0),
    "landfill_tax": law("landfill_tax", 0.5),
    "epr_fee": law("epr_fee", 40.0, unit="EUR/unit"),
    "import_tariff": law("import_tariff", 0.2, grandfather="entry"),
    "import_ban": law("import_ban", 1.0),
    "export_ban": law("export_ban", 1.0),
    "export_quota": law("export_quota", 5.0, unit="unit/month"),
    "material_restriction": law("material_restriction", 0.0, **on(material="cobalt")),
    "repair_reuse_quota": law("repair_reuse_quota", 0.5, **penalty(300.0)),
    "sales_mandate": law("sales_mandate", 0.9, **on(product="pack"), **penalty(1000.0)),
    "subsidy": law("subsidy", 100.0, unit="EUR/unit", **on(process="reuse")),
    "traceability": law("traceability", 1.0),
    "sourcing_quota": law("sourcing_quota", 0.6, **on(material="cobalt"), **penalty(30.0, "EUR/kg")),
}
# The same duty of content under each rule of flexibility.
FLEXIBLE = {
    "carry_forward": {"carry_forward": {"share": 0.5}},
    "certificates": {"certificates": {"price": 20.0, "limit": 0.3}},
    "banking": {"banking": {"windows": 2, "share": 0.8}},
}


def least_cost(layout: Layout) -> float:
    return solved(layout, "none/0", vertex=True).found.cost


def test_every_type_of_instrument_has_an_example():
    assert EXAMPLES.keys() == TYPES.keys()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_instrument_costs_in_the_programme_what_it_costs_in_the_engine(kind: str):
    setting = SETTING.get(kind, {})
    run = solved(batteries(EXAMPLES[kind], **setting), "none/0", vertex=True)
    assert run.built.model.relaxed == set()
    assert run.error() <= TOLERANCE
    assert abs(run.found.cost / least_cost(batteries(**setting)) - 1.0) > 1e-5  # it matters, so it was counted


@pytest.mark.parametrize("family", ["eu_tighten", "eu_delay_tariff", "eu_export_reopened"])
def test_batteries_under_european_law_replay_exactly(family: str):
    assert solved(batteries(), f"{family}/3", vertex=True).error() <= TOLERANCE


@pytest.mark.parametrize("part", [0, 1])
def test_random_models_replay_exactly(part: int):
    """Networks, products and law of any kind; half of the scenarios at least are such that a replay can be exact."""
    replayed = 0
    for seed in RANDOM[part::2]:
        found = exact(size_of(seed))
        if found is not None:
            run = solved(found.layout, found.names[part], vertex=True)
            assert run.error() <= TOLERANCE, (seed, found.names[part])
            replayed += 1
    assert replayed >= len(RANDOM) / 4


@pytest.mark.parametrize("rule", FLEXIBLE)
def test_flexibility_lowers_the_charge_and_is_never_dearer_than_in_the_engine(rule: str):
    """The engine draws, carries and buys in a fixed order; the programme may choose."""
    duty = law("recycled_content_mandate", 0.3, **on(material="cobalt"))
    strict = least_cost(batteries(duty))
    run = solved(batteries({**duty, "flexibility": FLEXIBLE[rule]}), "none/0", vertex=True)
    assert run.found.cost <= strict + TOLERANCE * abs(strict)
    assert run.found.cost <= run.replay() + TOLERANCE * abs(strict)


def test_a_duty_that_may_be_carried_on_or_bought_off_replays_exactly():
    """With one rule alone and no surplus there is no order to choose."""
    duty = law("recycled_content_mandate", 0.3, **on(material="cobalt"))
    for rule in ("carry_forward", "certificates"):
        assert solved(batteries({**duty, "flexibility": FLEXIBLE[rule]}), "none/0", vertex=True).error() <= TOLERANCE


def test_a_volume_below_which_nothing_is_due_is_relaxed_and_named():
    duty = law("recycled_content_mandate", 0.3, **on(material="cobalt"), flexibility={"de_minimis": 1e4})
    run = solved(batteries(duty), "none/0", vertex=True)
    assert run.built.model.relaxed == {"de_minimis"}
    assert run.found.cost <= run.replay() + TOLERANCE * abs(run.found.cost)


@pytest.mark.parametrize("lever", RELAXED_LEVERS)
def test_a_lever_that_is_relaxed_is_named_and_costs_no_more_than_in_the_engine(lever: str):
    run = solved(batteries(levers=(lever,)), "none/0", vertex=True)
    assert run.built.model.relaxed == {lever}
    assert run.found.cost <= run.replay() + TOLERANCE * abs(run.found.cost)


def test_what_a_plan_lacks_is_what_the_engine_finds_short(monkeypatch: pytest.MonkeyPatch):
    run = solved(batteries(EXAMPLES["collection_target"]), "none/0", vertex=True)
    lacking = float(run.built.lacking.value(run.found.values)[0])
    found = bound(run.layout, run.scenario)
    assert found.lacking == pytest.approx(lacking, rel=1e-4)
    assert 0.0 < found.least_lacking <= lacking * (1.0 + TOLERANCE)
    acted: list[Simulation] = []
    monkeypatch.setattr(replay, "Simulation", lambda *given: acted.append(Simulation(*given)) or acted[-1])
    run.replay()
    assert acted[0].ledger.flow[Flow.LACKING][0] == pytest.approx(lacking, rel=TOLERANCE)
