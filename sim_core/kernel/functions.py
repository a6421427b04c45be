"""Elementary functions of one number for compiled loops: exp, log and the inverse normal distribution function.

Only IEEE additions, multiplications, divisions, square roots and integer operations, in a fixed order and without a
branch: loops that call them become vector code, and the bytes are the same for every CPU target. Each exists for
float64 and float32; the argument's type decides. They can be called from compiled code only.
"""

import math
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

OPTIONS: Any = {"fastmath": False, "error_model": "numpy", "boundscheck": False, "nogil": True, "forceinline": True}
inlined = cast(Any, numba.njit(**OPTIONS))  # a call that stays a call keeps the caller's loop scalar

# exp and log follow fdlibm (Sun Microsystems 1993: e_exp.c, e_log.c; FreeBSD's e_expf.c, e_logf.c for float32).
_LOG_64 = (
    0.6666666666666735130,
    0.3999999999940941908,
    0.2857142874366239149,
    0.2222219843214978396,
    0.1818357216161805012,
    0.1531383769920937332,
    0.1479819860511658591,
)
_EXP_64 = (
    0.166666666666666019037,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_PER_LN2 = 1.44269504088896338700
_ROUND = 1.5 * 2.0**52  # added and taken away, rounds to an integer, which then stands in the low bits
_LOG_32 = tuple(np.float32(c) for c in (0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841))
_EXP_32 = tuple(np.float32(c) for c in (0.16666625440, -2.7667332906e-3))
_LN2_HIGH_LOG_32, _LN2_LOW_LOG_32 = np.float32(6.9313812256e-01), np.float32(9.0580006145e-06)
_LN2_HIGH_EXP_32, _LN2_LOW_EXP_32 = np.float32(6.9314575195e-01), np.float32(1.4286067653e-06)
_PER_LN2_32 = np.float32(1.4426950216)
_ROUND_32 = np.float32(1.5 * 2.0**23)

# Quantile of u = (2 u - 1) N(s) / D(s) with s = sqrt(5 - log(4 u (1 - u))) - 2.236: one formula for the middle and both
# tails. Fitted for least relative error by iteratively reweighted least squares in 50 digits: float64 5.6e-16 for
# u >= 2^-53, float32 2.1e-7 for u >= 2^-33. tests/sim_core/kernel/test_functions.py holds what is left of it in use.
_OFFSET, _ORIGIN = 5.0, 2.236
_TOP_64 = (
    1.2532143912953884,
    0.24002320017618542,
    1.6228745108839446,
    0.5906840737921516,
    0.8958890154642871,
    0.37862191832120995,
    0.29228084622472594,
    0.11367568754358541,
    0.05990076571317589,
    0.020319092812493895,
    0.00810536688562492,
    0.0024152762766714154,
    0.0003574784755350537,
    0.00028283161614257125,
)
_BOTTOM_64 = (
    1.0,
    -0.9792985577889182,
    1.919050430478966,
    -1.1447838119564568,
    1.1387721813718867,
    -0.4102116790337668,
    0.2749261586838418,
    -0.05371404901378743,
    0.032880157558646525,
    -0.00255133949457722,
    0.0027769242911057346,
    -0.00018493953387544444,
    0.00019984922552669057,
)
_TOP_32 = tuple(
    np.float32(c)
    for c in (
        1.2532141210964112,
        1.2939086114914853,
        1.499875479727737,
        1.0508455665793466,
        0.6267597155312996,
        0.3093431090234891,
    )
)
_BOTTOM_32 = tuple(
    np.float32(c) for c in (1.0, -0.13838021211157364, 0.836923082250259, 0.04531585341215926, 0.2142025024901769)
)
_OFFSET_32, _ORIGIN_32 = np.float32(_OFFSET), np.float32(_ORIGIN)
_PER_WORD_32, _PER_HALF_WORD_32 = np.float32(2.0**-32), np.float32(2.0**-31)
_HALF_32, _ONE_32, _TWO_32, _FOUR_32 = (np.float32(c) for c in (0.5, 1.0, 2.0, 4.0))


_INTEGERS = {types.float64: types.uint64, types.float32: types.uint32}
_FLOATS = {types.uint64: (types.float64, ir.DoubleType()), types.uint32: (types.float32, ir.FloatType())}


def _emit_bits(_context: Any, value: Any) -> Any:
    integer = _INTEGERS[value]
    return integer(value), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.IntType(integer.bitwidth))


def _emit_float(_context: Any, value: Any) -> Any:
    kind, made = _FLOATS[value]
    return kind(value), lambda _c, builder, _s, args: builder.bitcast(args[0], made)


bits_of = cast(Any, intrinsic(_emit_bits))  # the bits of a float64 as uint64, of a float32 as uint32
float_of = cast(Any, intrinsic(_emit_float))  # and back


def exp(x: Any) -> Any:
    """Return e^x within 1 ulp of the true value; for x in [-708, 709], float32 [-87, 88], outside it means nothing."""
    raise NotImplementedError(x)  # compiled code takes the versions below


def log(x: Any) -> Any:
    """Return the natural logarithm within 1 ulp; x must be a positive normal number, else the result means nothing."""
    raise NotImplementedError(x)  # likewise


def _exp_64(x):
    shifted = x * _PER_LN2 + _ROUND
    k = shifted - _ROUND
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    a0, a1, a2, a3, a4 = _EXP_64
    c = r - t * (a0 + t * (a1 + t * (a2 + t * (a3 + t * a4))))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    return y * float_of((bits_of(shifted) << np.uint64(52)) + np.uint64(0x3FF0000000000000))


def _exp_32(x):
    shifted = x * _PER_LN2_32 + _ROUND_32
    k = shifted - _ROUND_32
    high = x - k * _LN2_HIGH_EXP_32
    low = k * _LN2_LOW_EXP_32
    r = high - low
    t = r * r
    a0, a1 = _EXP_32
    c = r - t * (a0 + t * a1)
    y = _ONE_32 - ((low - (r * c) / (_TWO_32 - c)) - high)
    return y * float_of(np.uint32((bits_of(shifted) << np.uint32(23)) + np.uint32(0x3F800000)))


def _log_64(x):
    bits = bits_of(x)
    away = bits - np.uint64(0x3FE6A09E667F3BCD)  # of sqrt(1/2)
    exponent = (away + np.uint64(0x4000000000000000)) >> np.uint64(52)  # + 1024: without a sign, which AVX2 can't shift
    k = float_of(exponent | np.uint64(0x4330000000000000)) - (2.0**52 + 1024.0)
    f = float_of(bits - (away & np.uint64(0xFFF0000000000000))) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    a1, a2, a3, a4, a5, a6, a7 = _LOG_64
    r = w * (a2 + w * (a4 + w * a6)) + z * (a1 + w * (a3 + w * (a5 + w * a7)))
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + r) + k * _LN2_LOW)) - f)


def _log_32(x):
    bits = bits_of(x)
    away = np.uint32(bits - np.uint32(0x3F3504F3))
    k = np.float32(np.int32(away) >> np.int32(23))
    f = float_of(np.uint32(bits - (away & np.uint32(0xFF800000)))) - _ONE_32
    s = f / (_TWO_32 + f)
    z = s * s
    w = z * z
    a1, a2, a3, a4 = _LOG_32
    r = w * (a2 + w * a4) + z * (a1 + w * a3)
    half = _HALF_32 * f * f
    return k * _LN2_HIGH_LOG_32 - ((half - (s * (half + r) + k * _LN2_LOW_LOG_32)) - f)


@overload(exp, jit_options=OPTIONS)
def _typed_exp(x):
    return {types.float64: _exp_64, types.float32: _exp_32}.get(x)


@overload(log, jit_options=OPTIONS)
def _typed_log(x):
    return {types.float64: _log_64, types.float32: _log_32}.get(x)


@inlined
def tail_place(u):
    """Return s of the formula above, float64: how far out u lies. u in [2^-53, 1 - 2^-53], 53 bits or fewer."""
    return math.sqrt(_OFFSET - log((4.0 * u) * (1.0 - u))) - _ORIGIN


@inlined
def normal_quantile_at(u, s):
    """Return z with P(Z <= z) = u of a standard normal Z, float64, s being tail_place(u): relative error 3e-15.

    The upper tail is as good as the lower one, as far as u itself tells them. In two steps, because a loop for each
    takes three quarters of the time of one loop for both: the processor overlaps more cells of a shorter chain.
    """
    t = s * s
    a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13 = _TOP_64
    b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12 = _BOTTOM_64
    top = (a0 + t * (a2 + t * (a4 + t * (a6 + t * (a8 + t * (a10 + t * a12)))))) + s * (
        a1 + t * (a3 + t * (a5 + t * (a7 + t * (a9 + t * (a11 + t * a13)))))
    )
    bottom = (b0 + t * (b2 + t * (b4 + t * (b6 + t * (b8 + t * (b10 + t * b12)))))) + s * (
        b1 + t * (b3 + t * (b5 + t * (b7 + t * (b9 + t * b11))))
    )
    return (2.0 * u - 1.0) * (top / bottom)


@inlined
def normal_quantile_32(word):
    """Return the quantile as float32 for u = (word + 1/2) 2^-32, an uint32: relative error 1e-6."""
    # From the word itself: 2 u - 1 keeps its digits where u is near 1/2, 4 u (1 - u) where u is near 0 or 1.
    centred = np.int32(word ^ np.uint32(0x80000000))
    away = np.int32(centred ^ (centred >> np.int32(31)))
    end = (np.float32(np.int32(away ^ np.int32(0x7FFFFFFF))) + _HALF_32) * _PER_WORD_32
    s = math.sqrt(_OFFSET_32 - log((_FOUR_32 * end) * (_ONE_32 - end))) - _ORIGIN_32
    a0, a1, a2, a3, a4, a5 = _TOP_32
    b0, b1, b2, b3, b4 = _BOTTOM_32
    top = a0 + s * (a1 + s * (a2 + s * (a3 + s * (a4 + s * a5))))
    bottom = b0 + s * (b1 + s * (b2 + s * (b3 + s * b4)))
    size = (np.float32(away) + _HALF_32) * _PER_HALF_WORD_32 * (top / bottom)
    return size if centred >= np.int32(0) else -size
