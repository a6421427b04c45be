"""Elementary functions of the kernel: as exact as they say, over the ranges that they state."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from scipy.special import ndtri

from sim_core.kernel import functions
from sim_core.kernel.functions import exp, log, normal_quantile_32, normal_quantile_at, tail_place

compiled = numba.njit(error_model="numpy")
QUANTILE_ERROR = 1e-13
QUANTILE_ERROR_32 = 1e-6


@compiled
def exps(x):
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = exp(x[i])
    return out


@compiled
def logs(x):
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = log(x[i])
    return out


@compiled
def quantiles(u):
    out = np.empty_like(u)
    for i in range(u.size):
        out[i] = normal_quantile_at(u[i], tail_place(u[i]))
    return out


@compiled
def quantiles_32(word):
    out = np.empty(word.size, np.float32)
    for i in range(word.size):
        out[i] = normal_quantile_32(word[i])
    return out


def ulps(found: np.ndarray, expected: np.ndarray) -> float:
    """The greatest distance in units of the last place, from values of float64 or better."""
    return float(
        np.max(np.abs(found.astype(np.longdouble) - expected) / np.spacing(np.abs(found)).astype(np.longdouble))
    )


def spread(low: float, high: float, dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(1)
    near = rng.uniform(-1.0, 1.0, 20_000)
    return np.concatenate([rng.uniform(low, high, 50_000), near, near * 1e-6, [low, high, 0.0]]).astype(dtype)


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.float64, -708.0, 709.0), (np.float32, -87.0, 88.0)])
def test_exp_is_within_two_ulps_of_numpy_over_its_range(dtype: Any, low: float, high: float):
    x = spread(low, high, dtype)
    assert exps(x).dtype == dtype
    assert ulps(exps(x), np.exp(x.astype(np.longdouble))) <= 1.0
    assert dtype == np.float32 or ulps(exps(x), np.exp(x)) <= 2.0  # NumPy's own for float32 is off by up to 3 ulps


@pytest.mark.parametrize(("dtype", "span"), [(np.float64, 1022.0), (np.float32, 126.0)])
def test_log_is_within_two_ulps_of_numpy_for_all_normal_numbers(dtype: Any, span: float):
    rng = np.random.default_rng(2)
    wide = 2.0 ** rng.uniform(-span, span, 50_000)
    near = 1.0 + rng.uniform(-0.5, 1.0, 20_000)
    closer = 1.0 + rng.uniform(-1.0, 1.0, 20_000) * 1e-4
    x = np.concatenate([wide, near, closer, [1.0, 2.0**-span, 2.0**span, 2.0**0.5, 0.5**0.5]]).astype(dtype)
    assert logs(x).dtype == dtype
    assert ulps(logs(x), np.log(x.astype(np.longdouble))) <= 1.0
    assert dtype == np.float32 or ulps(logs(x), np.log(x)) <= 2.0
    assert logs(np.ones(1, dtype))[0] == 0.0


def numbers() -> np.ndarray:
    """Odd multiples of 2^-53: as the generator makes them, and spread over all magnitudes of both tails."""
    rng = np.random.default_rng(3)
    bits = np.concatenate(
        [
            rng.integers(0, 2**52, 20_000),
            (2.0 ** rng.uniform(0.0, 51.0, 20_000)).astype(np.int64),
            2 ** np.arange(51),
            [0],
        ]
    )
    u = (bits + 0.5) * 2.0**-52
    return np.concatenate([u, 1.0 - u])  # exact: both have 53 bits


def expected(u: np.ndarray) -> np.ndarray:
    return np.where(u < 0.5, ndtri(np.minimum(u, 0.5)), -ndtri(np.minimum(1.0 - u, 0.5)))


def check_quantiles(of: Callable[[np.ndarray], np.ndarray]) -> None:
    u = numbers()
    assert np.max(np.abs(of(u) / expected(u) - 1.0)) <= QUANTILE_ERROR
    assert np.array_equal(of(1.0 - u), -of(u))


def test_normal_quantiles_are_right_in_both_tails():
    check_quantiles(quantiles)
    assert quantiles(np.array([2.0**-53]))[0] == pytest.approx(-8.2095361516013869, rel=1e-14)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda u: quantiles(np.maximum(u, 2.0**-32)),
        lambda u: -quantiles(1.0 - u + 2.0**-53),
        lambda u: quantiles(u) * (1.0 + 1e-12),
    ],
    ids=["cut tail", "lost digits", "scale"],
)
def test_a_wrong_quantile_is_found(mutant: Callable[[np.ndarray], np.ndarray]):
    with pytest.raises(AssertionError):
        check_quantiles(mutant)


def test_float32_quantiles_are_right_in_both_tails_and_near_zero():
    rng = np.random.default_rng(4)
    magnitudes = (2.0 ** rng.uniform(0.0, 31.0, 20_000)).astype(np.uint32)
    word = np.concatenate(
        [rng.integers(0, 2**32, 50_000, dtype=np.uint32), magnitudes, [0, 2**31 - 1, 2**31, 2**31 + 1]]
    )
    word = np.concatenate([word, 2**31 + magnitudes, ~word]).astype(np.uint32)
    found = quantiles_32(word)
    assert found.dtype == np.float32
    assert np.max(np.abs(found / expected((word + 0.5) * 2.0**-32) - 1.0)) <= QUANTILE_ERROR_32
    assert np.array_equal(quantiles_32(~word), -found)
    assert float(found.min()) < -6.2  # not cut at 3.45, where 24 bits of a uniform float32 run out of steps


def test_compiled_code_alone_has_exp_and_log():
    for function in (functions.exp, functions.log):
        with pytest.raises(NotImplementedError):
            function(1.0)
