"""Mass: checked every period, for the product and for each material; a leaking engine is stopped."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.control import Control
from sim_core.engine import books, rollout
from sim_core.engine.period import Period
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.state import PRODUCT_CARGO
from sim_core.engine.use_phase import UsePhase
from sim_core.errors import BalanceError, ModelError
from sim_core.network import LaneGroup

LEAK = 1e-6  # of a flow
LATE = (LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS)  # hardly any in the first year
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
            lowest[name] = min(lowest.get(name, 0.0), float(stock.min()))
        for flow in (p.made, p.left, p.entered, p.recovered):
            assert (flow >= 0.0).all()

    with pytest.MonkeyPatch.context() as patch:
        bench.watch(patch, see)
        bench.run(layout, scenarios, bench.random_schedules(layout, seed))
    assert {name: low for name, low in lowest.items() if low < SMALLEST} == {}


def leaking_sales(patch: pytest.MonkeyPatch) -> None:
    sell = UsePhase.sell
    patch.setattr(UsePhase, "sell", lambda self, t, sold: sell(self, t, sold * (1.0 - LEAK)))


def leaking_lane(patch: pytest.MonkeyPatch, group: LaneGroup, leak: float, part: object = ...) -> None:
    arrive = Period.arrive

    def leaking(self: Period, which: LaneGroup) -> np.ndarray:
        arrived = arrive(self, which)
        if which is group:
            arrived[part] *= 1.0 - leak
        return arrived

    patch.setattr(Period, "arrive", leaking)


def broken_names(bench, layout) -> set[str]:
    """Run until the check stops the engine; return what it calls broken."""
    with pytest.raises(BalanceError, match=r"mass balance broken in period \d+: .* in cell \d") as caught:
        bench.run(layout, [bench.scenario(layout)], bench.reference(layout))
    return set(re.findall(r"'(\w+)': ", caught.value.message))


def test_an_engine_that_loses_a_millionth_of_its_sales_is_stopped(small, bench, monkeypatch):
    leaking_sales(monkeypatch)
    assert "product" in broken_names(bench, small)


@pytest.mark.parametrize("group", [group for group in PRODUCT_CARGO if group not in LATE])
def test_an_engine_that_loses_a_millionth_of_a_product_flow_is_stopped(small, bench, monkeypatch, group: LaneGroup):
    leaking_lane(monkeypatch, group, LEAK)
    assert "product" in broken_names(bench, small)


@pytest.mark.parametrize("group", LATE)
def test_an_engine_that_loses_a_millionth_of_a_late_flow_is_stopped(bench, monkeypatch, group: LaneGroup):
    leaking_lane(monkeypatch, group, LEAK)
    layout = bench.layout(start="2034-01", scored=118)
    assert broken_names(bench, layout) >= set(layout.product.materials), "all materials go with the product"


@pytest.mark.parametrize("group", [LaneGroup.VIRGIN, LaneGroup.SECONDARY])
@pytest.mark.parametrize("material", ["cobalt", "lithium"])
def test_an_engine_that_loses_a_millionth_of_one_material_is_stopped(
    small, bench, monkeypatch, group: LaneGroup, material: str
):
    leaking_lane(monkeypatch, group, LEAK, (slice(None), small.product.materials.index(material)))
    assert broken_names(bench, small) == {material}


def test_an_engine_that_makes_mass_is_stopped(small, bench, monkeypatch):
    step = rollout.take_back

    def creating(p: Period) -> None:
        step(p)
        p.state.collected += 1e-2

    monkeypatch.setattr(rollout, "take_back", creating)
    assert "product" in broken_names(bench, small)


def check_a_leak_of_a_small_flow_is_seen(bench, layout) -> None:
    with pytest.MonkeyPatch.context() as patch:
        leaking_lane(patch, LaneGroup.REMAN_FEED, LEAK)
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
        if self._slots.ndim == 3 and t == 4:
            send(self, t, flow * LEAK, sooner=sooner)

    monkeypatch.setattr(Pipeline, "send", twice)
    assert "product" in broken_names(bench, small)


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
