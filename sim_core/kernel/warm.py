"""Compiles the kernel once for this machine's processor, so that processes that start together find it compiled.

The code lies in sim_core.kernel.jit.cache_folder(), where every process of this installation looks.
"""

import fcntl
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.registry import cpu_target

from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.errors import InfrastructureError
from sim_core.kernel.jit import cache_folder
from sim_core.kernel.simulation import KernelSimulation
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

_SUITE = SuiteDefinition(
    name="warm",
    products=(ProductShare(archetype="plain"),),
    network="minimal",
    seed=0,
    start="2026-01",
    warm_up=0,
    scored=1,
    run_out=0,
    splits={"test": SplitDefinition(families=("none",), scenarios=1)},
)


class _Still:
    """Sets every target to half and pulls no lever."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def decide(self, observation: Observation) -> Control:  # noqa: ARG002, a Controller's form
        nodes, levers = len(self._layout.network.nodes), len(self._layout.suite.levers)
        return Control(targets=np.full((3, nodes, 1), 0.5), levers=np.zeros((levers, 1)))


def is_warm() -> bool:
    """True when the kernel's code for this processor is on disk."""
    return _mark().exists()


def warm() -> None:
    """Compile the kernel for float64 and keep its code on disk, unless it is there: about a minute, once.

    Processes that call it together wait for the one that compiles. What is compiled serves every suite. Raises
    InfrastructureError where it can't be kept.
    """
    mark = _mark()
    if mark.exists():
        return
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        with mark.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not mark.exists():
                run_smallest()
                mark.touch()
    except OSError as error:
        raise InfrastructureError(
            f"can't keep compiled code in {mark.parent}: {error.strerror}; mend its permissions, make room, or set "
            "NUMBA_CACHE_DIR to a folder that can be written"
        ) from error


def run_smallest() -> KernelSimulation:
    """Return the smallest suite after its one period: every function that a sweep calls has been compiled then."""
    layout = build_layout(_SUITE)
    scenarios = [build_scenario(layout, name) for name in _SUITE.scenarios("test")]
    simulation = KernelSimulation(layout, scenarios, np.zeros(1, dtype=np.intp), _Still(layout), ["the smallest run"])
    simulation.advance()
    return simulation


def _mark() -> Path:
    """Return the file that says that the code is whole, named as Numba tells processors apart."""
    target: Any = cpu_target.target_context
    name = hashlib.sha256(repr(target.codegen().magic_tuple()).encode()).hexdigest()[:16]
    return cache_folder() / f"float64-{name}.warm"
