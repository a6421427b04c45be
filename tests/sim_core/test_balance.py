"""Mass: checked every period, for the product and for each material; a leaking engine is stopped."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.control import LEVERS, Control
from sim_core.engine import books, production, rollout
from sim_core.engine.period import Period
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.state import BY_CLASS, BY_PRODUCT
from sim_core.engine.use_phase import UsePhase
from sim_core.errors import BalanceError, ModelError
from sim_core.network import LaneGroup
from sim_core.suite import ProductShare

LEAK = 1e-6  # of a flow
LATE = (LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS, LaneGroup.REUSE)  # hardly any in the first year
IDLE = (LaneGroup.PURCHASE, LaneGroup.LATERAL)  # no goods are bought in, and the reference moves none sideways
SMALLEST = -1e-6  # kWh or kg: a rounding, not a stock


@pytest.mark.parametrize("network", ["loop", "regional"])
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_whatever_the_controls_no_mass_is_lost_and_no_stock_is_negative(bench, network: str, seed: int):
    layout = bench.layout(network=network, start="2029-06", scored=34, epoch_months=4)
    scenarios = [bench.scenario(layout, family="eu_price_shock", index=seed + i) for i in range(4)]
    lowest: dict[str, float] = {}

    def see(p: Period) -> None:
        for name, stock in bench.stocks(p.state).items():
            lowest[name] = min(lowest.get(name, 0.0), float(stock.min(initial=0.0)))
        for flow in (p.made, p.left, p.entered, p.recovered, p.sold_off):
            assert (flow >= 0.0).all()

    with pytest.MonkeyPatch.context() as patch:
        bench.watch(patch, see)
        bench.run(layout, scenarios, bench.random_schedules(layout, seed))
    assert {name: low for name, low in lowest.items() if low < SMALLEST} == {}


def leaking_sales(patch: pytest.MonkeyPatch) -> None:
    sell = UsePhase.sell
    patch.setattr(UsePhase, "sell", lambda self, t, sold, easy: sell(self, t, sold * (1.0 - LEAK), easy))


def leaking_lane(patch: pytest.MonkeyPatch, layout, group: LaneGroup, leak: float, part: Any = ...) -> None:
    take = Pipeline.take

    def leaking(self: Pipeline, t: int) -> np.ndarray:
        arrived = take(self, t)
        if self.lanes is layout.lanes[group]:
            arrived[part] *= 1.0 - leak
        return arrived

    patch.setattr(Pipeline, "take", leaking)


def broken_names(bench, layout) -> set[str]:
    """Run until the check stops the engine; return what it calls broken."""
    with pytest.raises(BalanceError, match=r"mass balance broken in period \d+: .* in cell \d") as caught:
        bench.run(layout, [bench.scenario(layout)], bench.reference(layout))
    return set(re.findall(r"'(\w+)': ", caught.value.message))


def test_an_engine_that_loses_a_millionth_of_its_sales_is_stopped(small, bench, monkeypatch):
    leaking_sales(monkeypatch)
    assert "ev_battery" in broken_names(bench, small)


@pytest.mark.parametrize("group", [group for group in (*BY_CLASS, *BY_PRODUCT) if group not in (*LATE, *IDLE)])
def test_an_engine_that_loses_a_millionth_of_a_product_flow_is_stopped(small, bench, monkeypatch, group: LaneGroup):
    leaking_lane(monkeypatch, small, group, LEAK)
    assert "ev_battery" in broken_names(bench, small)


@pytest.mark.parametrize("group", LATE)
def test_an_engine_that_loses_a_little_of_a_small_flow_is_stopped(bench, monkeypatch, group: LaneGroup):
    layout = bench.layout(start="2034-01", scored=118)
    leaking_lane(monkeypatch, layout, group, 10.0 * LEAK)
    assert broken_names(bench, layout) >= set(layout.products.materials), "all materials go with the product"


@pytest.mark.parametrize("group", [LaneGroup.VIRGIN, LaneGroup.SECONDARY])
@pytest.mark.parametrize("material", ["cobalt", "lithium"])
def test_an_engine_that_loses_a_millionth_of_one_material_is_stopped(
    small, bench, monkeypatch, group: LaneGroup, material: str
):
    leaking_lane(monkeypatch, small, group, LEAK, (slice(None), small.products.materials.index(material)))
    assert broken_names(bench, small) == {material}


def test_an_engine_that_makes_mass_is_stopped(small, bench, monkeypatch):
    def create(p: Period) -> None:
        p.state.collected += 1e-2

    put_after(monkeypatch, "take_back", create)
    assert "ev_battery" in broken_names(bench, small)


def check_a_leak_of_a_small_flow_is_seen(bench, layout) -> None:
    with pytest.MonkeyPatch.context() as patch:
        leaking_lane(patch, layout, LaneGroup.REMAN_FEED, LEAK)
        broken_names(bench, layout)


def test_a_check_relative_to_the_stock_is_found(small, bench, monkeypatch):
    """Beside all that is in use a small flow may leak unseen: the check must be relative to the flow."""
    check_a_leak_of_a_small_flow_is_seen(bench, small)
    monkeypatch.setattr(books, "_scale", np.maximum)
    with pytest.raises(pytest.fail.Exception):
        check_a_leak_of_a_small_flow_is_seen(bench, small)


def test_a_sound_engine_stays_far_within_the_tolerance(bench, monkeypatch):
    """Rounding in a large stock beside a small flow is no leak: else a long horizon would stop by itself."""
    layout = bench.layout(scored=238, overrides={"lifetime.scale": 30.0}, epoch_months=24)
    monkeypatch.setattr(books, "TOLERANCE", books.TOLERANCE / 20.0)
    bench.run(layout, [bench.scenario(layout)], bench.random_schedules(layout, 1))
    bench.run(layout, [bench.scenario(layout)], bench.reference(layout, plant_cover=0.0, warehouse_cover=0.0))


def test_without_the_check_the_leak_goes_unseen(small, bench, monkeypatch):
    leaking_sales(monkeypatch)
    monkeypatch.setattr(books, "TOLERANCE", np.inf)
    bench.run(small, [bench.scenario(small)], bench.reference(small))


def test_a_cargo_that_leaves_twice_is_stopped(small, bench, monkeypatch):
    send = Pipeline.send

    def twice(self, t, flow, *, sooner=0):
        send(self, t, flow, sooner=sooner)
        if self.lanes is small.lanes[LaneGroup.GOODS] and t == 4:
            send(self, t, flow * LEAK, sooner=sooner)

    monkeypatch.setattr(Pipeline, "send", twice)
    assert broken_names(bench, small) == {"ev_battery", *small.products.materials}


def two_products(bench):
    shares = (ProductShare(archetype="ev_battery"), ProductShare(archetype="smartphone"))
    return bench.layout(products=shares, levers=(*LEVERS,))


def test_a_step_that_loses_one_of_two_products_names_that_one(bench, monkeypatch):
    layout = two_products(bench)
    bench.run(layout, [bench.scenario(layout)], bench.reference(layout))
    leaking_lane(monkeypatch, layout, LaneGroup.GOODS, LEAK, (slice(None), 1))
    names = broken_names(bench, layout)
    assert "smartphone" in names and "ev_battery" not in names


def put_after(patch: pytest.MonkeyPatch, name: str, more: Callable[[Period], None]) -> None:
    """Let a step of the period do more than it should."""
    step = getattr(rollout, name)

    def done(p: Period) -> None:
        step(p)
        more(p)

    patch.setattr(rollout, name, done)
    patch.setattr(rollout, "_REVERSE", tuple((kind, done if one is step else one) for kind, one in rollout._REVERSE))


STEPS = ("take_back", "consolidate", "inspect", "remanufacture", "recycle", "produce", "sell", "order")


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("stock", ["goods", "feed"])
def test_a_step_that_loses_some_of_a_stock_is_stopped(small, bench, monkeypatch, name: str, stock: str):
    def lose(p: Period) -> None:
        getattr(p.state, stock)[...] *= 1.0 - 1e-3

    put_after(monkeypatch, name, lose)
    assert broken_names(bench, small)


def test_material_sold_off_without_leaving_is_stopped(bench, monkeypatch):
    """Surplus of recycled feed leaves with its sale: a sale that only brings money makes material from nothing."""
    layout = bench.layout(start="2032-01", scored=34)
    reference = bench.reference(layout)

    def hoard(observation) -> Control:
        """Recycled feed used only up to the duty, and none of the rest kept."""
        control = reference.decide(observation)
        levers, targets = control.levers.copy(), control.targets.copy()
        levers[layout.suite.levers.index("stock_ahead")], targets[2] = 1.0, 0.0
        return Control(targets=targets, levers=levers)

    controller = SimpleNamespace(decide=hoard)
    surplus = production.sell_material

    def paid_only(p: Period, kilograms: np.ndarray) -> None:
        surplus(p, kilograms)
        p.sold_off -= kilograms

    bench.run(layout, [bench.scenario(layout)], controller)
    monkeypatch.setattr(production, "sell_material", paid_only)
    with pytest.raises(BalanceError):
        bench.run(layout, [bench.scenario(layout)], controller)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 1.5])
@pytest.mark.parametrize("part", ["targets", "levers"])
def test_nonsense_from_a_controller_is_never_called_a_broken_balance(small, bench, value: float, part: str):
    """The fault is the controller's, one cell's: it must not stop the experiment as a fault of the engine."""

    class Nonsense:
        def decide(self, observation) -> Control:
            control = bench.reference(small).decide(observation)
            changed = {"targets": control.targets.copy(), "levers": control.levers.copy()}
            changed[part][..., 3] = value
            return Control(**changed)

    with pytest.raises(ModelError, match="in \\[0, 1\\]"):
        bench.run(small, [bench.scenario(small)], Nonsense())
