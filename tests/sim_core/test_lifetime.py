"""Lifetimes: distribution functions of every kind, discretised without making mass."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from sim_core.catalogue import Archetype, archetype, with_lifetime, with_overrides
from sim_core.engine import lifetime
from sim_core.engine.lifetime import DISTRIBUTIONS, hazard, survival, vintage_hazard
from sim_core.errors import ModelError


def product(kind: str, *, scale: float = 10.0, shape: float = 2.0, again: float = 1.0) -> Archetype:
    values = {"lifetime.scale": scale, "lifetime.shape": shape, "lifetime.again": again}
    return with_overrides(with_lifetime(archetype("plain"), kind), values)


def left(one: Archetype, months: float, life: int = 0) -> float:
    return float(survival(one, life, np.array([months]))[0])


@pytest.mark.parametrize(
    ("one", "months", "expected"),
    [
        (product("weibull"), 60.0, math.exp(-0.25)),  # (5 / 10 years)^2
        (product("normal", shape=2.0), 96.0, float(norm.cdf(1.0))),  # one standard deviation before the mean
        (product("normal", scale=2.0, shape=0.6), 0.0, float(norm.cdf(2.0 / 0.6))),
        (product("logistic", shape=math.pi / math.sqrt(3.0)), 108.0, 1.0 / (1.0 + math.exp(-1.0))),  # scale 1 year
        (product("fixed", scale=5.0 / 12.0), 4.0, 1.0),
        (product("fixed", scale=5.0 / 12.0), 5.0, 0.0),
        (product("geometric", shape=0.1), 3.0, 0.9**3),
        (product("none"), 0.0, 0.0),
    ],
)
def test_what_is_left_is_one_minus_the_distribution_function(one: Archetype, months: float, expected: float):
    assert left(one, months) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["weibull", "normal", "logistic", "fixed"])
def test_later_lives_are_scaled(kind: str):
    one = product(kind, shape=1.5, again=0.5)
    if kind in ("weibull", "fixed"):
        for months in (20.0, 59.0, 61.0):
            assert left(one, months, life=1) == pytest.approx(left(one, 2.0 * months))
    assert left(one, 60.0, life=2) == left(one, 60.0, life=1) < left(one, 60.0)


def test_a_geometric_life_ends_as_often_in_every_life():
    one = product("geometric", shape=0.2, again=0.5)
    assert left(one, 7.0, life=1) == left(one, 7.0)


def test_an_unknown_distribution_is_refused_with_those_that_are_known():
    with pytest.raises(ModelError, match=r"unknown lifetime 'uniform'; known are \['weibull'"):
        left(replace(product("fixed"), lifetime="uniform"), 1.0)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([kind for kind in DISTRIBUTIONS if kind != "none"]),
    scale=st.floats(0.2, 40.0),
    shape=st.floats(0.1, 0.95),
    merged=st.sampled_from([1, 3, 12]),
)
def test_hazards_are_probabilities_and_all_leave_in_the_end(kind: str, scale: float, shape: float, merged: int):
    """The shares that leave, one after another, take what S(a) says, and never more than there is."""
    one = product(kind, scale=scale, shape=shape)
    months = 600
    for rates, expected in (
        (hazard(survival(one, 0, np.arange(months + 1.0))), survival(one, 0, np.arange(months + 1.0))),
        (vintage_hazard(one, 0, months, merged), None),
    ):
        assert ((rates >= 0.0) & (rates <= 1.0)).all()
        remaining = np.concatenate([[1.0], np.cumprod(1.0 - rates)])
        if expected is not None and expected[0] > 0.0:
            assert remaining == pytest.approx(expected / expected[0], abs=1e-9)


def test_a_vintage_survives_as_the_mean_of_its_months():
    one = product("weibull", scale=1.0, shape=3.0)
    rates = vintage_hazard(one, 0, 24, 12)
    ages = np.arange(40.0)
    cohorts = np.mean([survival(one, 0, ages + j) for j in range(12)], axis=0)
    assert np.cumprod(1.0 - rates) == pytest.approx((cohorts[1:] / cohorts[0])[:24], rel=1e-9)


def check_nothing_left_leaves() -> None:
    """Where the distribution function reaches 1 in floating point, the last crumbs leave at once, without a NaN."""
    rates = hazard(survival(product("weibull", scale=0.5, shape=5.0), 0, np.arange(241.0)))
    assert (rates[60:] == 1.0).all() and ((rates > 0.0) & (rates <= 1.0)).all()


def test_what_outlives_the_distribution_leaves_at_once():
    check_nothing_left_leaves()


def test_a_hazard_of_nothing_over_nothing_is_found(monkeypatch):
    safe = lifetime.hazard
    monkeypatch.setitem(globals(), "hazard", lambda values: safe(values) * (values[:-1] > 0.0))
    with pytest.raises(AssertionError):
        check_nothing_left_leaves()
