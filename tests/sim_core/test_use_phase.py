"""The use phase: nothing is created or lost, and what comes back follows the lifetime's distribution function."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.engine import use_phase
from sim_core.engine.layout import LIVES, Layout
from sim_core.engine.use_phase import Lifetime, UsePhase, past_sales_left, survival

CELLS = 8
# sales 100 a year, Weibull k = 2.2, scale 20 years: outflow in the year around age 20 and 40, and the stock at rest.
RETURNS = {240: 63.212056, 480: 98.989569}
STOCK_AT_REST = 1771.249521


@pytest.fixture(scope="module")
def century(bench) -> Layout:
    return bench.layout(scored=1198, overrides={"lifetime.shape": 2.2, "lifetime.scale": 20.0})


def outflows(layout: Layout, sales: np.ndarray, *, start: float = 0.0, use: UsePhase | None = None) -> np.ndarray:
    """Sell (T,) kWh a month in the one market, and return what leaves use: (T,)."""
    use = use or UsePhase(layout, np.full(CELLS, start))
    left = []
    for t, amount in enumerate(sales):
        left.append(use.outflow(t).sum(axis=(0, 1))[0])
        use.sell(t, np.full((1, LIVES, CELLS), amount / LIVES))
    return np.array(left)


def exact(layout: Layout, sales: np.ndarray) -> np.ndarray:
    """The monthly convolution of sales with the differences of the distribution function."""
    scale = layout.value("lifetime.scale") * 12
    left = survival(layout.value("lifetime.shape"), scale, np.arange(len(sales) + 1.0))
    return np.convolve(sales, np.concatenate([[0.0], left[:-1] - left[1:]]))[: len(sales)]


def check_known_returns(layout: Layout) -> None:
    """Even sales: the merged vintages are exact, so the published yearly figures hold at monthly steps to 1e-6."""
    left = outflows(layout, np.full(481, 100.0 / 12))
    for month, expected in RETURNS.items():
        assert 12 * left[month] == pytest.approx(expected, abs=1e-5)


def test_returns_of_even_sales_are_the_known_answer(century):
    check_known_returns(century)


def test_a_density_at_midpoints_is_found(century, monkeypatch):
    def midpoint(shape: float, scale: float, ages: np.ndarray) -> np.ndarray:
        x = (np.maximum(ages, 0.0) + 0.5) / scale
        return 1.0 - np.cumsum(shape / scale * x ** (shape - 1) * np.exp(-(x**shape)))

    monkeypatch.setattr(use_phase, "survival", midpoint)
    with pytest.raises(AssertionError):
        check_known_returns(century)


def test_at_rest_as_much_comes_back_as_is_sold(century):
    use = UsePhase(century, np.zeros(CELLS))
    left = outflows(century, np.full(1200, 100.0 / 12), use=use)
    assert left[-12:].sum() == pytest.approx(100.0, rel=1e-9)
    # Units are sold at a month's end, so the stock is that of the continuous model plus half a month's sales.
    assert use.total()[0] == pytest.approx(STOCK_AT_REST + 100.0 / 24, rel=1e-4)


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


def test_the_current_year_is_exact(bench):
    layout = bench.layout(scored=12, warm_up=0, overrides={"lifetime.scale": 1.0, "lifetime.shape": 1.5})
    sales = np.array([5.0, 0.0, 9.0, 1.0, 0.0, 0.0, 30.0, 2.0, 2.0, 2.0, 0.0, 7.0])
    assert outflows(layout, sales) == pytest.approx(exact(layout, sales), rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    sales=st.lists(st.floats(0.0, 1e6), min_size=40, max_size=40),
    shape=st.floats(0.8, 5.0),
    scale=st.floats(0.5, 20.0),
    start=st.floats(0.0, 1e5),
)
def test_no_unit_is_created_or_lost(bench, sales: list[float], shape: float, scale: float, start: float):
    overrides = {"lifetime.shape": shape, "lifetime.scale": scale}
    use = UsePhase(bench.layout(scored=38, overrides=overrides), np.full(CELLS, start))
    held = use.total()
    for t, amount in enumerate(sales):
        left = use.outflow(t)
        assert (left >= 0.0).all()
        use.sell(t, np.full((1, LIVES, CELLS), amount))
        after = use.total()
        expected = held - left.sum(axis=(0, 1)) + LIVES * amount
        assert np.abs(after - expected).max() <= 1e-12 * max(1.0, float(after.max()))
        held = after


def test_hazards_are_differences_of_the_distribution_function():
    life = Lifetime(2.2, 20.0, 60)
    assert life.head[0] == pytest.approx(-math.expm1(-((1 / 240) ** 2.2)), rel=1e-9)
    assert ((life.head >= 0) & (life.head <= 1)).all() and ((life.vintage >= 0) & (life.vintage <= 1)).all()


def check_nothing_left_leaves(lifetime: type[Lifetime]) -> None:
    """Where the distribution function reaches 1 in floating point, the last crumbs leave at once, without a NaN."""
    life = lifetime(5.0, 0.5, 240)
    assert (life.head[60:] == 1.0).all() and (life.vintage[60:] == 1.0).all()
    assert ((life.head > 0.0) & (life.head <= 1.0)).all() and ((life.vintage > 0.0) & (life.vintage <= 1.0)).all()


def test_what_outlives_the_distribution_leaves_at_once():
    check_nothing_left_leaves(Lifetime)


def test_a_hazard_of_nothing_over_nothing_is_found(monkeypatch):
    safe = use_phase._hazard
    monkeypatch.setattr(use_phase, "_hazard", lambda left: safe(left) * (left[:-1] > 0.0))
    with pytest.raises(AssertionError):
        check_nothing_left_leaves(Lifetime)


def test_past_sales_grew_to_the_start_demand_and_die_out(bench):
    layout = bench.layout(start="2030-01", scored=598, overrides={"history.growth": 0.0, "history.first_year": 2010})
    left = past_sales_left(layout)
    scale, shape = layout.value("lifetime.scale") * 12, layout.value("lifetime.shape")
    assert left[0] == pytest.approx(sum(math.exp(-((age / scale) ** shape)) for age in range(1, 241)), rel=1e-12)
    assert (np.diff(left) <= 0).all() and left[-1] < 1e-6 * left[0]
    young = past_sales_left(bench.layout(start="2030-01", overrides={"history.growth": 0.5}))
    assert young[0] < left[0]


def test_all_past_sales_come_back_once(bench):
    layout = bench.layout(scored=598)
    use = UsePhase(layout, np.full(CELLS, 1000.0))
    held = use.total()[0]
    assert held == pytest.approx(1000.0 * past_sales_left(layout)[0])
    back = outflows(layout, np.zeros(600), use=use).sum()
    assert back == pytest.approx(held, rel=1e-9)
