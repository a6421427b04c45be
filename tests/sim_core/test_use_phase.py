"""The use phase: nothing is created or lost, and what comes back follows the lifetime's distribution function."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.catalogue import Archetype
from sim_core.engine import lifetime, use_phase
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.lifetime import survival
from sim_core.engine.use_phase import UsePhase, past_sales_left
from sim_core.suite import ProductShare
from tests.sim_core import tiny

CELLS = 8
NOBODY = np.zeros(CELLS)
# sales 100 a year, Weibull k = 2.2, scale 20 years: outflow in the year around age 20 and 40, and the stock at rest.
RETURNS = {240: 63.212056, 480: 98.989569}
STOCK_AT_REST = 1771.249521
SHOP = tiny.net(
    {"v": "supplier", "w": "warehouse", "m": ("market", {"demand": tiny.demand(0.0)})},
    {"v > w": {"lead": 1}, "w > m": {}},
)


@pytest.fixture(scope="module")
def century(bench) -> Layout:
    return bench.layout(scored=1198, overrides={"lifetime.shape": 2.2, "lifetime.scale": 20.0})


def made_of(lifetime: str, *, periods: int, vintage: int = 12, **values: float) -> Layout:
    """A plain product with a lifetime of some kind, in a network of one market."""
    share = ProductShare(archetype="plain", lifetime=lifetime, overrides=tiny.dotted(values))
    return build_layout(tiny.suite(SHOP, (share,), scored=periods, vintage_periods=vintage))


def new_use(layout: Layout, start: float = 0.0) -> UsePhase:
    return UsePhase(layout, np.full((1, len(layout.products.archetypes), CELLS), start))


def units(layout: Layout, amount: float) -> np.ndarray:
    """So many units, the same number of each class, in the one market."""
    classes = layout.products.classes
    return np.full((1, len(layout.products.archetypes), classes, CELLS), amount / classes)


def new_units(layout: Layout, amount: float) -> np.ndarray:
    sold = units(layout, 0.0)
    sold[:, :, 0] = amount
    return sold


def outflows(layout: Layout, sales: Any, *, start: float = 0.0, use: UsePhase | None = None) -> np.ndarray:
    """Sell (T,) units a month, and return what leaves use: (T,)."""
    use = use or new_use(layout, start)
    left = []
    for t, amount in enumerate(sales):
        left.append(use.outflow(t).sum(axis=(0, 1, 2))[0])
        use.sell(t, units(layout, amount), NOBODY)
    return np.array(left)


def exact(layout: Layout, sales: np.ndarray) -> np.ndarray:
    """The monthly convolution of sales with the differences of the distribution function."""
    left = survival(layout.products.archetypes[0], 0, np.arange(len(sales) + 1.0))
    return np.convolve(sales, np.concatenate([[0.0], left[:-1] - left[1:]]))[: len(sales)]


def check_known_returns(layout: Layout) -> None:
    """Even sales: the merged vintages are exact, so the published yearly figures hold at monthly steps to 1e-6."""
    left = outflows(layout, np.full(481, 100.0 / 12))
    for month, expected in RETURNS.items():
        assert 12 * left[month] == pytest.approx(expected, abs=1e-5)


def test_returns_of_even_sales_are_the_known_answer(century):
    check_known_returns(century)


def test_a_density_at_midpoints_is_found(century, monkeypatch):
    def midpoint(product: Archetype, life: int, ages: np.ndarray) -> np.ndarray:
        shape, scale = product.value("lifetime.shape"), product.value("lifetime.scale") * 12
        x = (np.maximum(ages, 0.0) + 0.5) / scale
        return 1.0 - np.cumsum(shape / scale * x ** (shape - 1) * np.exp(-(x**shape)))

    monkeypatch.setattr(lifetime, "survival", midpoint)
    monkeypatch.setattr(use_phase, "survival", midpoint)
    with pytest.raises(AssertionError):
        check_known_returns(century)


def test_at_rest_as_much_comes_back_as_is_sold(century):
    use = new_use(century)
    left = outflows(century, np.full(1200, 100.0 / 12), use=use)
    assert left[-12:].sum() == pytest.approx(100.0, rel=1e-9)
    # Units are sold at a month's end, so the stock is that of the continuous model plus half a month's sales.
    assert use.total()[0, 0] == pytest.approx(STOCK_AT_REST + 100.0 / 24, rel=1e-4)


def test_uneven_sales_follow_the_exact_convolution_closely(bench):
    """Merging a year's sales into one vintage costs little: 3 % of a year's outflow early, 1 % from half a life on."""
    layout = bench.layout(scored=358)
    months = np.arange(360)
    sales = 1000.0 * (1.0 + months / 60.0) * (1.0 + 0.3 * np.sin(2 * np.pi * months / 12))
    found, expected = outflows(layout, sales), exact(layout, sales)
    yearly, right = found.reshape(30, 12).sum(axis=1), expected.reshape(30, 12).sum(axis=1)
    assert yearly[5:] == pytest.approx(right[5:], rel=0.03)
    assert yearly[15:] == pytest.approx(right[15:], rel=0.01)
    assert found[-1] == pytest.approx(expected[-1], rel=0.01)


SALES = np.array([5.0, 0.0, 9.0, 1.0, 0.0, 0.0, 30.0, 2.0, 2.0, 2.0, 0.0, 7.0])


def test_the_current_year_is_exact():
    layout = made_of("weibull", periods=12, lifetime__scale=1.0, lifetime__shape=1.5)
    assert outflows(layout, SALES) == pytest.approx(exact(layout, SALES), rel=1e-12)


@pytest.mark.parametrize(("kind", "shape"), [("weibull", 1.5), ("normal", 0.2), ("logistic", 0.2), ("geometric", 0.3)])
def test_with_vintages_of_one_month_every_month_is_exact(kind: str, shape: float):
    layout = made_of(kind, periods=48, vintage=1, lifetime__scale=0.8, lifetime__shape=shape)
    sales = np.tile(SALES, 4)
    expected = exact(layout, sales)
    at_once = 1.0 - survival(layout.products.archetypes[0], 0, np.zeros(1))[0]
    expected[1:] += at_once * sales[:-1]  # what is dead as it is sold comes back in the next month
    assert outflows(layout, sales) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_fixed_life_ends_on_its_day():
    layout = made_of("fixed", periods=24, vintage=1, lifetime__scale=5.0 / 12.0)
    assert outflows(layout, [3.0, 4.0, *[0.0] * 22]) == pytest.approx([0.0] * 5 + [3.0, 4.0] + [0.0] * 17)


def test_what_fails_as_it_is_sold_is_not_in_use_and_comes_back_the_month_after():
    layout = made_of("normal", periods=12, vintage=1, lifetime__scale=2.0, lifetime__shape=2.0)
    use = new_use(layout)
    use.outflow(0)
    use.sell(0, new_units(layout, 100.0), NOBODY)
    dead = 100.0 * float(1.0 - survival(layout.products.archetypes[0], 0, np.zeros(1))[0])
    assert dead > 10.0
    assert use.in_use()[0, 0] == pytest.approx(100.0 - dead) and use.total()[0, 0] == pytest.approx(100.0)
    assert use.outflow(1).sum(axis=(0, 1, 2))[0] > dead


def test_consumed_products_never_enter_use():
    layout = made_of("none", periods=12)
    assert not outflows(layout, np.full(12, 10.0)).any()
    use = new_use(layout)
    use.outflow(0)
    use.sell(0, new_units(layout, 10.0), NOBODY)
    assert not use.total().any() and not use.durable.any()


@settings(max_examples=15, deadline=None)
@given(
    sales=st.lists(st.floats(0.0, 1e6), min_size=40, max_size=40),
    kind=st.sampled_from(["weibull", "normal", "logistic", "fixed", "geometric"]),
    shape=st.floats(0.1, 0.95),
    scale=st.floats(0.5, 20.0),
    vintage=st.sampled_from([1, 5, 12]),
    start=st.floats(0.0, 1e5),
    kept=st.floats(0.0, 1.0),
)
def test_no_unit_is_created_or_lost(
    sales: list[float], kind: str, shape: float, scale: float, vintage: int, start: float, kept: float
):
    layout = made_of(
        kind, periods=40, vintage=vintage, lifetime__scale=scale, lifetime__shape=shape, history__first_year=2020
    )
    use = new_use(layout, start)
    held, share = use.total(), np.full((1, 1), kept)
    for t, amount in enumerate(sales):
        out = use.hibernate(use.outflow(t), share, np.full((1, 1), 0.1))
        assert (out >= -1e-9).all() and (use.hibernating >= -1e-9).all()
        use.sell(t, units(layout, amount), NOBODY)
        after = use.total()
        expected = held - out.sum(axis=(0, 2)) + amount
        assert np.abs(after - expected).max() <= 1e-12 * max(1.0, float(after.max()), float(held.max()))
        held = after


def test_hibernation_delays_what_comes_back_and_keeps_all_of_it():
    """Half of 100 units that fail stays in drawers; a tenth of these is let go each month."""
    layout = made_of("fixed", periods=200, vintage=1, lifetime__scale=2.0 / 12.0)
    use = new_use(layout)
    offered = []
    for t in range(200):
        out = use.hibernate(use.outflow(t), np.array([[0.5]]), np.array([[0.1]]))
        offered.append(out.sum(axis=(0, 1, 2))[0])
        use.sell(t, new_units(layout, 100.0 if t == 0 else 0.0), NOBODY)
    assert offered[:5] == pytest.approx([0.0, 0.0, 50.0, 5.0, 4.5])
    assert sum(offered) == pytest.approx(100.0, abs=1e-4)


@pytest.mark.usefixtures("all_classes")
def test_hibernating_units_keep_their_class_and_are_no_longer_in_use():
    layout = made_of("fixed", periods=12, vintage=1, lifetime__scale=2.0 / 12.0)
    use = new_use(layout)
    use.outflow(0)
    sold = np.zeros((1, 1, 3, CELLS))
    sold[0, 0, 2] = 8.0
    use.sell(0, sold, NOBODY)
    assert not use.outflow(1).any()
    use.hibernate(use.outflow(2), np.array([[1.0]]), np.array([[0.0]]))
    assert use.hibernating[0, 0, :, 0].tolist() == [0.0, 0.0, 8.0]
    assert use.in_use()[0, 0] == 0.0 and use.total()[0, 0] == 8.0


def test_past_sales_grew_to_the_start_demand_and_die_out(bench):
    overrides = {"history.growth": 0.0, "history.first_year": 2010}
    layout = bench.layout(start="2030-01", scored=598, overrides=overrides)
    left = past_sales_left(layout)[:, 0]
    scale, shape = layout.common("lifetime.scale") * 12, layout.common("lifetime.shape")
    assert left[0] == pytest.approx(sum(math.exp(-((age / scale) ** shape)) for age in range(1, 241)), rel=1e-12)
    assert (np.diff(left) <= 0).all() and left[-1] < 1e-6 * left[0]
    young = past_sales_left(bench.layout(start="2030-01", overrides={"history.growth": 0.5}))
    assert young[0, 0] < left[0]


def test_all_past_sales_come_back_once(bench):
    layout = bench.layout(scored=598)
    use = new_use(layout, 1000.0)
    held = use.total()[0, 0]
    assert held == pytest.approx(1000.0 * past_sales_left(layout)[0, 0])
    back = outflows(layout, np.zeros(600), use=use).sum()
    assert back == pytest.approx(held, rel=1e-9)


def test_what_ends_its_use_is_as_easy_to_take_apart_as_it_was_made():
    """A year's vintage of which a quarter was made for disassembly gives back a quarter of such units."""
    layout = made_of("fixed", periods=36, lifetime__scale=1.5)
    use = new_use(layout)
    for t in range(36):
        out = use.outflow(t).sum(axis=(0, 1, 2))[0]
        if out > 0.0 and 12 <= t < 30:
            assert use.easy_share[0, 0] == pytest.approx(0.25)
        use.sell(t, new_units(layout, 4.0 if t < 12 else 0.0), np.full(CELLS, 1.0 if t < 3 else 0.0))


@pytest.mark.usefixtures("all_classes")
def test_only_new_units_are_made_for_disassembly():
    """Units sold again with them in a year live half as long; they make none of what comes back easier."""
    layout = made_of("fixed", periods=36, lifetime__scale=2.0, lifetime__again=0.75)
    use = new_use(layout)
    shares = []
    for t in range(36):
        out = use.outflow(t).sum(axis=(0, 1))[:, 0]
        if out[0] > 0.0 and out[2] == 0.0:
            shares.append(use.easy_share[0, 0])
        sold = new_units(layout, 4.0 if t < 12 else 0.0)
        sold[:, :, 2] = sold[:, :, 0]
        use.sell(t, sold, np.ones(CELLS))
    assert shares == pytest.approx([1.0] * len(shares)) and len(shares) > 5
