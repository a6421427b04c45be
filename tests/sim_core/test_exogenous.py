"""Processes that users write: their distributions, their keys, and what is refused."""

import math
from dataclasses import asdict

import numpy as np
import pytest

from sim_core import exogenous
from sim_core.errors import ModelError
from sim_core.exogenous import Process, draw, process_from_json

PERIODS = 40_000
ALL = {
    "constant": Process(kind="constant", mean=3.0),
    "series": Process(kind="series", values=(1.0, 2.0, 5.0)),
    "normal": Process(kind="normal", mean=50.0, sd=8.0),
    "poisson": Process(kind="poisson", mean=6.0),
    "pmf": Process(kind="pmf", values=(0.0, 1.0, 2.0, 3.0), probabilities=(0.2, 0.4, 0.3, 0.1)),
    "ar1": Process(kind="ar1", mean=100.0, sd=4.0, rho=0.5),
}


def path(process: Process, *, seed: int = 1, number: int = 2, stream: str = "demand/shop", periods: int = PERIODS):
    return draw(process, seed=seed, number=number, stream=stream, periods=periods)


def test_every_kind_of_process_is_tested_here():
    assert tuple(ALL) == exogenous.KINDS


@pytest.mark.parametrize("kind", ALL)
def test_a_path_is_a_pure_function_of_its_keys_and_grows_at_its_end(kind: str):
    long = path(ALL[kind], periods=60)
    assert long.dtype == np.float64 and long.shape == (60,) and (long >= 0.0).all()
    assert (path(ALL[kind], periods=25) == long[:25]).all()
    if kind not in ("constant", "series"):
        for other in ({"seed": 2}, {"number": 3}, {"stream": "demand/kiosk"}):
            assert not np.array_equal(path(ALL[kind], periods=60, **other), long), other


@pytest.mark.parametrize("kind", ALL)
def test_a_process_survives_the_way_through_json(kind: str):
    assert process_from_json(asdict(ALL[kind])) == ALL[kind]


def check_moments(kind: str, mean: float, variance: float, *, correlated: float = 0.0) -> None:
    """Within five standard errors; those of a variance as if normal, widened for correlation."""
    drawn = path(ALL[kind])
    widened = math.sqrt((1.0 + correlated) / (1.0 - correlated))
    assert drawn.mean() == pytest.approx(mean, abs=5.0 * widened * math.sqrt(variance / PERIODS))
    assert drawn.var() == pytest.approx(variance, rel=5.0 * widened * math.sqrt(2.0 / PERIODS))
    assert ALL[kind].expected == pytest.approx(mean)


def test_means_and_variances():
    check_moments("normal", 50.0, 64.0)
    check_moments("poisson", 6.0, 6.0)
    check_moments("pmf", 1.3, 0.81)
    check_moments("ar1", 100.0, 16.0 / 0.75, correlated=0.5)


def test_a_wrong_spread_is_found(monkeypatch: pytest.MonkeyPatch):
    normal = exogenous.normal
    monkeypatch.setattr(exogenous, "normal", lambda *keys: 1.1 * normal(*keys))
    for kind, variance, correlated in (("normal", 64.0, 0.0), ("ar1", 16.0 / 0.75, 0.5)):
        with pytest.raises(AssertionError):
            check_moments(kind, ALL[kind].mean, variance, correlated=correlated)


def test_poisson_and_pmf_have_their_probabilities():
    drawn = path(ALL["poisson"])
    for count in range(12):
        chance = math.exp(-6.0) * 6.0**count / math.factorial(count)
        assert (drawn == count).mean() == pytest.approx(chance, abs=5.0 * math.sqrt(chance / PERIODS))
    assert (drawn == np.floor(drawn)).all()
    drawn = path(ALL["pmf"])
    assert set(drawn) == {0.0, 1.0, 2.0, 3.0}
    assert [(drawn == value).mean() for value in range(4)] == pytest.approx([0.2, 0.4, 0.3, 0.1], abs=0.015)


def test_the_first_period_of_ar1_is_stationary_already():
    first = np.array([path(ALL["ar1"], number=number, periods=2) for number in range(4000)])
    assert first[:, 0].var() == pytest.approx(16.0 / 0.75, rel=0.15)
    assert np.corrcoef(first.T)[0, 1] == pytest.approx(0.5, abs=0.07)


def test_a_value_without_probability_never_comes_and_a_series_repeats_its_last():
    rare = Process(kind="pmf", values=(9.0, 1.0, 7.0), probabilities=(0.0, 1.0, 0.0))
    assert set(path(rare, periods=500)) == {1.0}
    assert path(ALL["series"], periods=5).tolist() == [1.0, 2.0, 5.0, 5.0, 5.0]
    assert path(ALL["series"], periods=2).tolist() == [1.0, 2.0]
    assert ALL["series"].expected == pytest.approx(8.0 / 3.0)


def test_demand_is_never_negative():
    wide = Process(kind="normal", mean=1.0, sd=5.0)
    assert path(wide, periods=200).min() == 0.0
    assert path(Process(kind="poisson"), periods=50).max() == 0.0


@pytest.mark.parametrize("mean", [1e-6, 0.5, 80.0, 1e4, 1e6])
def test_poisson_takes_any_mean(mean: float):
    drawn = path(Process(kind="poisson", mean=mean), periods=4000)
    assert drawn.mean() == pytest.approx(mean, abs=5.0 * math.sqrt(mean / 4000) + 1e-3)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "gamma"}, r"kind is 'gamma'; known are constant, series"),
        ({"kind": "normal", "mean": -1.0}, "mean must be finite and at least 0, not -1"),
        ({"kind": "normal", "mean": math.nan}, "mean must be finite"),
        ({"kind": "normal", "sd": math.inf}, "sd must be finite"),
        ({"kind": "normal", "rho": 0.5}, "rho means nothing to a normal process, which takes mean, sd"),
        ({"kind": "constant", "values": (1.0,)}, "values means nothing to a constant process"),
        ({"kind": "ar1", "rho": 1.0}, "rho must lie between -1 and 1"),
        ({"kind": "ar1", "rho": math.nan}, "rho must lie between -1 and 1"),
        ({"kind": "poisson", "mean": 1e7}, r"at most 1e\+06; beyond, write a normal process"),
        ({"kind": "series"}, "values must hold one or more numbers"),
        ({"kind": "series", "values": (1.0, -2.0)}, "values must all be finite and at least 0, not -2"),
        ({"kind": "pmf", "values": (1.0, 2.0), "probabilities": (1.0,)}, "must be as many as values, 2, not 1"),
        ({"kind": "pmf", "values": (1.0,), "probabilities": (0.9,)}, "probabilities must add up to 1, not 0.9"),
        ({"kind": "pmf", "values": (1.0, 2.0), "probabilities": (1.5, -0.5)}, "at least 0, not -0.5"),
    ],
)
def test_what_no_process_has_is_refused(fields: dict, words: str):
    with pytest.raises(ModelError, match=words):
        Process(**fields)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ModelError, match=r"a pmf process: sd means nothing .*; probabilities must be as many"):
        Process(kind="pmf", sd=1.0, values=(1.0,))
