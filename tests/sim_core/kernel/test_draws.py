"""Draws of the kernel: the numbers of sim_core.seeding, the demand of sim_core.generate.paths, in vector code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from sim_core import exogenous
from sim_core.catalogue import archetype
from sim_core.exogenous import Process
from sim_core.generate import paths
from sim_core.generate.world import World
from sim_core.kernel import draws
from sim_core.seeding import normal, philox_4x32, scenario_number, uniform, uniforms
from tests.sim_core import tiny
from tests.sim_core.kernel import assembly

SEED = (5 << 40) + 11
NUMBERS = [scenario_number("eu_baseline", i) for i in range(37)]  # not a multiple of the lanes of any processor
LOW, HIGH = draws.scenario_words(NUMBERS)
WIDTH, PERIODS = len(NUMBERS), 24
DTYPES = pytest.mark.parametrize(
    ("dtype", "error"), [(np.float64, 1e-12), (np.float32, 3e-5)], ids=["float64", "float32"]
)


def rows(count: int, dtype: Any) -> list[np.ndarray]:
    return list(np.zeros((count, WIDTH), dtype))


@numba.njit
def words(counter, key):
    out = np.empty((4, counter.shape[1]), np.uint64)
    for i in range(counter.shape[1]):
        found = draws.philox(counter[0, i], counter[1, i], counter[2, i], counter[3, i], key[0], key[1])
        for word in range(4):
            out[word, i] = found[word]
    return out


def test_the_generator_is_that_of_the_reference_word_for_word():
    rng = np.random.default_rng(1)
    counter = rng.integers(0, 2**32, (4, 500), dtype=np.uint64)
    counter[:, :2] = [0, 2**32 - 1]
    for key in ((0, 0), (2**32 - 1, 2**32 - 1), (0xA4093822, 0x299F31D0)):
        assert np.array_equal(words(counter, np.array(key, np.uint64)), philox_4x32(list(counter), key))


def test_uniforms_are_those_of_the_reference():
    (out,) = rows(1, np.float64)
    for stream, node, period in (("demand", 0, 0), ("levels", 3, 7), ("é", 0, 479)):
        draws.fill_uniform(out, LOW, HIGH, period, node, *draws.stream_key(SEED, stream))
        assert np.array_equal(out, [uniform(SEED, n, stream, node + 1, period + 1)[period, node] for n in NUMBERS])


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-13), (np.float32, 1e-6)])
def test_normals_are_those_of_the_reference(dtype: Any, error: float):
    out, spare = rows(2, dtype)
    for period in range(PERIODS):
        draws.fill_normal(out, spare, LOW, HIGH, period, 2, *draws.stream_key(SEED, "demand"))
        expected = np.array([normal(SEED, n, "demand", 3, period + 1)[period, 2] for n in NUMBERS])
        assert np.max(np.abs(out - expected) / np.maximum(np.abs(expected), 1e-2)) <= error


def test_a_table_of_uniforms_is_that_of_the_reference_byte_for_byte():
    for seed, stream, nodes, periods in ((SEED, "demand", 1, 7), (3, "plant outage", 5, 4), (SEED, "none", 0, 3)):
        numbers = np.array([0, 2**64 - 1, *NUMBERS], dtype=np.uint64)
        found, known = (one(seed, numbers, stream, nodes, periods) for one in (draws.uniforms, uniforms))
        assert found.shape == known.shape == (len(numbers), periods, nodes) and found.tobytes() == known.tobytes()
        for row, number in enumerate(numbers):
            assert known[row].tobytes() == uniform(seed, int(number), stream, nodes, periods).tobytes()


def test_float32_uniforms_stay_inside_the_interval():
    (out,) = rows(1, np.float32)
    draws.fill_uniform(out, LOW, HIGH, 0, 0, *draws.stream_key(SEED, "demand"))
    assert np.allclose(out, [uniform(SEED, n, "demand", 1, 1)[0, 0] for n in NUMBERS], rtol=1e-6, atol=2.0**-31)
    assert out.min() > 0.0 and out.max() < 1.0 and np.float32(1.0 - 2.0**-24) < 1.0


def demand_path(process: Process, stream: str, dtype: Any, scale: float = 1.0) -> np.ndarray:
    """A path of every cell, (T, W). scale: the mutant, on the mean."""
    out, away, spare = rows(3, dtype)
    path = []
    for t in range(PERIODS):
        key = draws.stream_key(SEED, stream)
        if process.kind == "normal":
            draws.fill_normal_demand(out, spare, LOW, HIGH, t, 0, *key, process.mean * scale, process.sd)
        else:
            numbers = (process.mean * scale, process.sd, process.rho)
            draws.fill_ar1_demand(out, away, spare, LOW, HIGH, t, 0, *key, *numbers)
        path.append(out.copy())
    return np.array(path)


@DTYPES
@pytest.mark.parametrize(
    "process",
    [
        Process(kind="normal", mean=20.0, sd=4.0),
        Process(kind="normal", mean=1.0, sd=4.0),
        Process(kind="ar1", mean=20.0, sd=4.0, rho=0.8),
        Process(kind="ar1", mean=2.0, sd=4.0, rho=-0.5),
    ],
)
def test_a_market_s_own_demand_is_that_of_the_paths(process: Process, dtype: Any, error: float):
    stream = "demand at north"
    expected = np.array(
        [exogenous.draw(process, seed=SEED, number=n, stream=stream, periods=PERIODS) for n in NUMBERS]
    ).T
    size = process.mean + process.sd
    assert np.max(np.abs(demand_path(process, stream, dtype) - expected)) <= error * size
    assert np.max(np.abs(demand_path(process, stream, dtype, scale=1.001) - expected)) > error * size
    assert np.max(np.abs(demand_path(process, "demand at south", dtype) - expected)) > error * size


def regional(dtype: Any, product_at: int, wrong: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A product's regional demand by the kernel and by the paths, (T, W) each. wrong: the mutant, a number 1 % off."""
    suite = tiny.suite("loop", start="2031-04", warm_up=0, scored=PERIODS, run_out=0, seed=SEED)
    products = (archetype("smartphone"), archetype("ev_battery"))
    product, years = products[product_at], paths.years_of(suite, 0, PERIODS)
    numbers = np.array(NUMBERS, dtype=np.uint64)
    levels = uniforms(SEED, numbers, "levels", 8 * len(products), 1).reshape(WIDTH, len(products), 8)
    draw = paths._Draw(
        suite=suite,
        numbers=numbers,
        products=products,
        shares=np.ones(2),
        network=None,  # pyright: ignore[reportArgumentType]
        years=years,
        level=levels,
        jumps=np.ones((WIDTH, 2)),
        world=World(),
        shocks=True,
        source=uniforms,
    )
    expected = paths._trend(draw, product_at, draw.normal("demand", 2)[..., product_at]).T
    level = levels[:, product_at]
    value = {
        name: product.value(f"demand.{name}") * (1.01 if name == wrong else 1.0)
        for name in ("start", "volatility", "persistence")
    }
    width = product.value("demand.width")
    growth = draws.growth_rows(
        start=value["start"],
        saturation=product.value("demand.saturation") * (0.8 + 0.4 * level[:, paths._TOP]),
        midpoint=product.value("demand.midpoint") + 2.0 * (level[:, paths._MIDPOINT] - 0.5),
        width=width,
    ).astype(dtype)
    out, noise, spare = rows(3, dtype)
    path = []
    for t, year in enumerate(years):
        season = 1.0 + product.value("demand.season") * np.sin(2.0 * np.pi * (year + 0.25))
        draws.fill_regional_demand(
            out,
            noise,
            spare,
            *growth,
            LOW,
            HIGH,
            t,
            product_at,
            *draws.stream_key(SEED, "demand"),
            value["start"],
            float(np.exp(-year / width)),
            float(season),
            value["volatility"],
            value["persistence"],
        )
        path.append(out.copy())
    return np.array(path), expected


@DTYPES
@pytest.mark.parametrize("product_at", [0, 1])
def test_regional_demand_is_that_of_the_paths(dtype: Any, error: float, product_at: int):
    found, expected = regional(dtype, product_at)
    assert np.max(np.abs(found / expected - 1.0)) <= error
    for name in ("start", "persistence", "volatility"):
        found, expected = regional(dtype, product_at, wrong=name)
        assert np.max(np.abs(found / expected - 1.0)) > error


# ------------------------------------------------------------------------------------------------ bytes


SCRIPT = """
import hashlib, json
import numpy as np
from sim_core.kernel import draws
low, high = draws.scenario_words([(i * 0x9E3779B97F4A7C15) % 2**64 for i in range(1001)])
digest, wide = hashlib.sha256(), 0
for dtype in (np.float64, np.float32):
    out, noise, spare, early, start, gain = np.ones((6, 1001), dtype)
    noise[:] = 0.0
    for t in range(20):
        draws.fill_regional_demand(
            out, noise, spare, early, start, gain, low, high, t, 1, 2, 3, 900.0, 0.9**t, 1.1, 0.2, 0.7
        )
        digest.update(noise.tobytes() + out.tobytes())
    wide += sum("ymm" in text or "zmm" in text for text in draws.fill_regional_demand.inspect_asm().values())
print(json.dumps({"digest": digest.hexdigest(), "wide": wide}))
"""


def outcome(folder: Path, **target: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    environment |= {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | target
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_processor_gives_the_same_bytes(tmp_path: Path):
    own = outcome(tmp_path / "own")
    plain = outcome(tmp_path / "plain", NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="")
    assert own["digest"] == plain["digest"]
    assert not plain["wide"] and bool(own["wide"]) == assembly.has_avx2()  # two targets indeed


# ------------------------------------------------------------------------------------------------ vector code


def row_of(kind: Any) -> Any:
    return types.Array(kind, 1, "C")


def table(kind: Any) -> tuple[Any, ...]:
    words = row_of(types.uint32)
    return (types.Array(kind, 2, "C"), words, words, words, words, types.int64, types.int64)


def signatures(kind: Any) -> dict[Any, tuple[Any, ...]]:
    row, integer = row_of(kind), types.int64
    keys = (row_of(types.uint32),) * 2 + (integer,) * 4
    number = types.float64
    return {
        draws.fill_uniform: (row, *keys),
        **({draws.fill_uniforms: table(kind)} if kind is types.float64 else {}),
        draws.fill_normal: (row, row, *keys),
        draws.fill_normal_demand: (row, row, *keys, number, number),
        draws.fill_ar1_demand: (row,) * 3 + (*keys, number, number, number),
        draws.fill_regional_demand: (row,) * 6 + keys + (number,) * 5,
    }


needs_vectors = pytest.mark.skipif(not assembly.has_avx2(), reason="this processor has no AVX2 to make vector code for")


@needs_vectors
@pytest.mark.parametrize("kind", [types.float64, types.float32], ids=str)
def test_all_loops_over_cells_are_vector_code(kind: Any):
    for function, signature in signatures(kind).items():
        assert assembly.packed_share(function, signature) == 1.0, function
        assert assembly.packed_instructions(function, signature) > 0, function


def stops(x):
    for i in range(x.size):
        if x[i] < 0.0:
            break
        x[i] = 2.0 * x[i] + 1.0


def follows(x):
    for i in range(1, x.size):
        x[i] = 2.0 * x[i - 1] + 1.0


@needs_vectors
@pytest.mark.parametrize("mutant", [stops, follows])
def test_a_loop_that_goes_cell_by_cell_is_found(mutant: Any):
    assert assembly.packed_share(numba.njit(error_model="numpy")(mutant), (row_of(types.float64),)) == 0.0


MANY_ROWS = """
import sys
import numba
from numba import types
from tests.sim_core.kernel import assembly
if sys.argv[1] == "with":
    import sim_core.kernel.jit
names = [f"r{i}" for i in range(20)]
lines = "".join(f"        {name}[i] = 0.5 * {name}[i] + {other}[i]\\n" for name, other in zip(names, names[1:]))
space = {}
exec(f"def step({', '.join(names)}):\\n    for i in range(r0.size):\\n{lines}", space)
row = types.Array(types.float64, 1, "C")
print(assembly.packed_share(numba.njit(error_model="numpy")(space["step"]), (row,) * 20))
"""


@needs_vectors
@pytest.mark.parametrize(("option", "share"), [("with", 1.0), ("without", 0.0)])
def test_without_llvm_s_option_a_loop_over_many_rows_is_found_to_go_cell_by_cell(option: str, share: float):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", MANY_ROWS, option]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == share
