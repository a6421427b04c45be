"""Digests: the kernel gives the same bytes on every processor, whatever vectors it has."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sim_core.kernel import assembly

PLAIN = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}  # the least that a 64-bit processor has

ONE_STEP = """
import hashlib, json
import numba
import numpy as np
from sim_core.kernel.compiled import compile_constants
from sim_core.kernel.jit import OPTIONS
from sim_core.kernel.sales import sell
from tests.sim_core.random_models import Size, case
from sim_core.engine.terms import TermsTable
from sim_core.network import NodeKind
from sim_core.scenario import build_scenario

@numba.njit(**OPTIONS)
def step(k, x, w, tm, ct, n):
    for t in range(4):
        sell(k, x, w, tm, ct, t, n)

one = case(Size(dict.fromkeys(NodeKind, 2), 2, 3, 4))
scenarios = [build_scenario(one.layout, name) for name in one.names]
table = TermsTable(one.layout, scenarios, np.zeros(1, dtype=np.intp))
compiled = compile_constants(one.layout, table.paths, np.float64, past_months=0)
draw, n = np.random.default_rng(1), 64
rows = (compiled.state_rows, compiled.scratch_rows, compiled.term_rows, compiled.control_rows)
x, w, tm, ct = (draw.random((count, n)) * 10.0 ** draw.integers(-3, 4, (count, n)) for count in rows)
step(compiled.constants, x, w, tm, ct, n)
text = "".join(step.inspect_asm().values())
digest = hashlib.sha256(x.tobytes() + w.tobytes()).hexdigest()
print(json.dumps({"digest": digest, "wide": "ymm" in text or "zmm" in text}))
"""

WHOLE = """
import hashlib, json
import numpy as np
from sim_core.kernel.period import advance
from sim_core.network import NodeKind
from tests.sim_core.kernel.parity import kernel, rich
from tests.sim_core.random_models import Size

run = kernel(rich(Size(dict.fromkeys(NodeKind, 2), 2, 6, 3)), list(range(64)))
run.advance()
assert run.ledger.objective().all()
text = "".join(advance.inspect_asm().values())
digest = hashlib.sha256(run._x[:, :, : run.lanes].tobytes()).hexdigest()
print(json.dumps({"digest": digest, "wide": "ymm" in text or "zmm" in text}))
"""


def outcome(script: str, folder: Path, **target: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    environment |= {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | target
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_targets(script: str, folder: Path) -> None:
    own, plain = outcome(script, folder / "own"), outcome(script, folder / "plain", **PLAIN)
    assert own["digest"] == plain["digest"]
    assert not plain["wide"] and own["wide"] == assembly.has_avx2()  # two targets indeed


def test_every_processor_gives_the_same_bytes_in_a_step(tmp_path: Path):
    check_targets(ONE_STEP, tmp_path)


@pytest.mark.slow
def test_every_processor_gives_the_same_bytes(tmp_path: Path):
    check_targets(WHOLE, tmp_path)
