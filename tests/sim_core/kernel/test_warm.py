"""One short run compiles all that a sweep calls, once, however many processes ask for it together."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim_core.control import Control
from sim_core.engine.layout import build_layout
from sim_core.errors import InfrastructureError
from sim_core.kernel import opening, period, simulation, warm
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

TREE = Path(__file__).parents[3]
# Every process says when it begins and ends to compile; in its place it waits for a while, so that others come in.
TOGETHER = """
import sys, time
from pathlib import Path
from sim_core.kernel import warm

folder = Path(sys.argv[1])
def slowly():
    with (folder / "log").open("a") as log:
        log.write("compiled\\n")
    time.sleep(1.0)
warm.cache_folder = lambda: folder / "cache"
warm.run_smallest = slowly
warm.warm()
assert warm.is_warm()
"""


class Half:
    """Sets everything to half."""

    def __init__(self, nodes: int, levers: int, cells: int) -> None:
        self._control = Control(targets=np.full((3, nodes, cells), 0.5), levers=np.full((levers, cells), 0.5))

    def decide(self, observation) -> Control:
        return self._control


def compiled() -> list[int]:
    """Return for each function that Python calls how many forms of it there are."""
    functions = [
        value
        for module in (simulation, opening, period)
        for value in vars(module).values()
        if hasattr(value, "signatures") and value.targetoptions.get("cache", True) and value.signatures
    ]
    return [len(function.signatures) for function in functions]


def test_the_smallest_run_compiles_what_other_suites_call():
    warm.run_smallest()
    before = compiled()
    assert before
    suite = SuiteDefinition(
        name="other",
        products=(ProductShare(archetype="ev_battery"), ProductShare(archetype="smartphone")),
        network="loop",
        seed=3,
        start="2030-01",
        warm_up=0,
        scored=24,
        run_out=1,
        splits={"test": SplitDefinition(families=("eu_tighten",), scenarios=2)},
        shortfall_price={"cobalt": 1.0},
        epoch_months=7,
    )
    layout = build_layout(suite)
    scenarios = [build_scenario(layout, name) for name in suite.scenarios("test")]
    half = Half(len(layout.network.nodes), len(suite.levers), 70)
    simulation.KernelSimulation(layout, scenarios, np.arange(70) % 2, half, [""] * 70).advance()
    assert compiled() == before


def test_processes_that_ask_together_wait_for_one(tmp_path: Path):
    arguments = [sys.executable, "-c", TOGETHER, str(tmp_path)]
    children = [subprocess.Popen(arguments, cwd=TREE, env={"PYTHONPATH": str(TREE)}) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert (tmp_path / "log").read_text().split() == ["compiled"]


def test_what_fails_is_not_taken_for_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(warm, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(warm, "run_smallest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        warm.warm()
    assert not warm.is_warm()
    monkeypatch.setattr(warm, "run_smallest", lambda: None)
    warm.warm()
    assert warm.is_warm()


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(warm, "cache_folder", lambda: Path("/dev/null/cache"))
    with pytest.raises(InfrastructureError, match="NUMBA_CACHE_DIR"):
        warm.warm()


def test_code_for_another_processor_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(warm, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warm, "run_smallest", lambda: None)
    warm.warm()

    class Other:
        def codegen(self):
            return self

        def magic_tuple(self):
            return ("x86_64-unknown-linux-gnu", "znver9", "+sse2")

    monkeypatch.setattr(warm.cpu_target, "_toplevel_target_context", Other(), raising=False)
    monkeypatch.setattr(type(warm.cpu_target), "target_context", property(lambda self: Other()))
    assert not warm.is_warm()
