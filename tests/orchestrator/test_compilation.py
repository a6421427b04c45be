"""The kernel is compiled once for each machine, and the user hears of it then and only then."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import compilation
from orchestrator.backend import RunSettings, connected
from orchestrator.compilation import COMPILING, compile_it, compile_kernel, is_compiled
from orchestrator.plan import make_plan
from orchestrator.progress import PlainProgress
from orchestrator.spec import load
from sim_core.kernel import warm

SMOKE = Path(__file__).parents[2] / "experiments" / "smoke.yaml"


class Machines:
    """Some machines, with code on disk or without."""

    def __init__(self, *compiled: bool) -> None:
        self.compiled = list(compiled)
        self.calls: list[str] = []

    def __call__(self, function: Callable[[], bool]) -> list[bool]:
        self.calls.append(function.__name__)
        if function is compile_it:
            self.compiled = [True] * len(self.compiled)
        return list(self.compiled)


@pytest.mark.parametrize("compiled", [(False,), (True, False, True), (False, False)])
def test_the_user_is_told_once_before_anything_is_compiled(compiled: tuple[bool, ...]):
    machines, told = Machines(*compiled), []
    compile_kernel(lambda text: told.append((text, list(machines.calls))), machines)
    assert told == [(COMPILING, ["is_compiled"])]
    assert machines.calls == ["is_compiled", "compile_it"] and all(machines.compiled)


def test_nothing_is_said_or_done_where_all_is_compiled():
    machines, told = Machines(True, True), []
    compile_kernel(told.append, machines)
    assert told == [] and machines.calls == ["is_compiled"]


def test_this_process_alone_unless_machines_are_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(warm, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warm, "run_smallest", lambda: None)
    told: list[str] = []
    compile_kernel(told.append)
    assert told == [COMPILING] and is_compiled()
    compile_kernel(told.append)
    assert told == [COMPILING]


@pytest.mark.parametrize(("engine", "compiles"), [("kernel", 1), ("numpy", 0)])
def test_a_backend_has_the_kernel_compiled_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch, engine: str, compiles: int
):
    called: list[str] = []
    monkeypatch.setattr("orchestrator.backend.compile_kernel", lambda note, everywhere=None: called.append("compile"))
    plan = make_plan(load(SMOKE).model_copy(update={"engine": engine}))
    with connected(plan, RunSettings(in_process=True), PlainProgress()):
        assert called == ["compile"] * compiles
    assert compilation.compile_kernel is compile_kernel
