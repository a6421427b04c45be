"""Every archetype simulated: mass is kept (or the run stops), demand is served, and what comes back is used again."""

from dataclasses import replace

import numpy as np
import pytest

from optimizers.controllers import build
from sim_core.catalogue import ARCHETYPES, Archetype, Parameter
from sim_core.control import ControllerRecord, ControlSchedule, ScheduleBatch
from sim_core.engine import products as products_module
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, simulate
from sim_core.ledger import Account, Flow, Ledger
from sim_core.metrics import measure
from sim_core.network import NodeKind
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

REAL = tuple(name for name in ARCHETYPES if name != "plain")
ONE_LIFE = ("pet_bottle", "steel")


def suite(*products: str, network: str = "loop", scored: int = 24, family: str = "eu_baseline") -> SuiteDefinition:
    return SuiteDefinition(
        name="archetypes",
        products=tuple(ProductShare(archetype=name) for name in products),
        network=network,
        seed=5,
        start="2026-01",
        warm_up=12,
        scored=scored,
        run_out=0,
        splits={"test": SplitDefinition(families=(family,), scenarios=2)},
        epoch_months=6,
    )


def practice(layout: Layout) -> Ledger:
    """Run base-stock practice on the suite's two scenarios."""
    scenarios = [build_scenario(layout, one) for one in layout.suite.scenarios("test")]
    controller = build(layout, [ControllerRecord(kind="compliance_base_stock")] * LANE_WIDTH)
    labels = [f"cell {i}" for i in range(LANE_WIDTH)]
    return simulate(layout, scenarios, np.arange(LANE_WIDTH) % len(scenarios), controller, labels)


@pytest.mark.parametrize("network", ["loop", "regional"])
@pytest.mark.parametrize("name", REAL)
def test_an_archetype_runs_serves_its_market_and_recycles(name: str, network: str):
    layout = build_layout(suite(name, network=network))
    ledger = practice(layout)
    found = measure(layout, ledger)
    assert np.isfinite(found["objective"]).all()
    assert found["service"].mean() > 0.9 and (found["service"] <= 1.0 + 1e-9).all()
    assert (ledger.flow[Flow.RECOVERED] > 0.0).all() and (found["recycled_share"] > 0.0).all()
    assert ((ledger.flow[Flow.REUSED] > 0.0) == (name not in ONE_LIFE)).all()
    assert (ledger.money[Account.MATERIALS] < ledger.flow[Flow.DEMAND] * layout.products.common("product.price")).all()


@pytest.mark.parametrize("name", REAL)
def test_treatment_holds_what_comes_back(name: str):
    """Lines are of the size of the flows: little is dumped (scrap counts too), and they are not idle."""
    layout = build_layout(suite(name, network="regional"))
    ledger = practice(layout)
    treated = ledger.flow[Flow.TO_RECYCLING]
    months = layout.suite.scored
    capacity = layout.rates.line.sum() * months
    assert (treated > 0.005 * capacity).all() and (treated < capacity).all()
    dumped = ledger.money[Account.DISPOSAL] / layout.products.common("disposal.cost")
    assert (dumped < 0.1 * capacity).all()


def test_a_plain_product_costs_nothing_and_never_comes_back():
    layout = build_layout(suite("plain", family="none"))
    levels = {
        f"{node.name}.S": 2.0 for node in layout.network.nodes if node.kind in (NodeKind.PLANT, NodeKind.WAREHOUSE)
    }
    controller = build(layout, [ControllerRecord(kind="base_stock", parameters=levels)] * LANE_WIDTH)
    scenario = build_scenario(layout, "none/0")
    ledger = simulate(layout, [scenario], np.zeros(LANE_WIDTH, dtype=np.intp), controller, ["cell"] * LANE_WIDTH)
    assert (ledger.objective() == 0.0).all() and (ledger.flow[Flow.END_OF_LIFE] == 0.0).all()
    assert ledger.flow[Flow.DEMAND] == pytest.approx(layout.suite.scored)
    assert ledger.flow[Flow.SERVED] == pytest.approx(layout.suite.scored)


def test_products_share_a_network():
    layout = build_layout(suite("ev_battery", "smartphone", "pv_module", network="regional"))
    found = measure(layout, practice(layout))
    assert np.isfinite(found["objective"]).all() and (found["service"] > 0.85).all()


class Watched(dict[str, Parameter]):
    """Parameters that remember who was asked for."""

    def __init__(self, parameters: dict[str, Parameter], read: set[str]) -> None:
        super().__init__(parameters)
        self.read = read

    def __getitem__(self, name: str) -> Parameter:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("name", REAL)
def test_every_parameter_is_used(name: str, monkeypatch: pytest.MonkeyPatch):
    """A number that nothing reads promises a mechanism that isn't there."""
    read: set[str] = set()
    original = products_module.with_overrides

    def watch(base: Archetype, overrides: dict[str, float]) -> Archetype:
        product = original(base, overrides)
        return replace(product, parameters=Watched(dict(product.parameters), read))

    monkeypatch.setattr(products_module, "with_overrides", watch)
    layout = build_layout(suite(name, network="regional", scored=12))
    schedule = ControlSchedule(
        levers=np.ones((layout.suite.epochs, len(layout.suite.levers)), dtype=bool),
        targets=np.full((3, len(layout.network.nodes)), 0.5),
    )
    scenario = build_scenario(layout, "eu_baseline/0")
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    simulate(layout, [scenario], rows, ScheduleBatch([schedule] * LANE_WIDTH), ["cell"] * LANE_WIDTH)
    one_life = {"lifetime.again"} if name in ONE_LIFE else set[str]()
    assert set(layout.products.archetypes[0].parameters) - read == one_life
