"""OptimizerSearcher's saved state, and the searcher under a real Tuner, with failures."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

from optimizers.contract import SearchSpace
from orchestrator.optimizer_searcher import OptimizerSearcher
from orchestrator.runtime import Connection
from sim_core.errors import IntegrityError

SPACE = SearchSpace(epochs=3, levers=("buy", "sell"), parameters=("cover",))
PARAM_SPACE: dict[str, Any] = {"cover": tune.uniform(0.0, 1.0), "kind": tune.choice(["a", "b", "c"]), "constant": 5}
METHODS = ("random", "evolution", "quantum_inspired")


@pytest.fixture(autouse=True, scope="module")
def by_value() -> Iterator[None]:
    """Workers can't import a test module, so its functions travel as code."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def searcher(method: str = "evolution", **changed: Any) -> OptimizerSearcher:
    arguments = {"space": SPACE, "metric": "cost", "mode": "min", "budget": 48, "width": 6, "seed": 3, **changed}
    return OptimizerSearcher(method, **arguments)


def cost(config: dict[str, Any]) -> float:
    return float(sum(config.values())) + config["cover"] ** 2


# ------------------------------------------------------------------------------------------------ the saved state


@pytest.mark.parametrize("in_generations", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("done", [0, 3, 8, 33])
def test_a_search_goes_on_where_it_was_saved(tmp_path: Path, method: str, in_generations: bool, done: int) -> None:
    def finish(made: OptimizerSearcher, live: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        found: list[Any] = []
        for trial, config in reversed(live):
            made.on_trial_complete(trial, {"cost": cost(config), "standard_error": math.pi, "n": 8})
        for number in range(100):
            config = made.suggest(f"later{number}")
            if config == Searcher.FINISHED:
                return [*found, made.recommend()]
            assert isinstance(config, dict)
            found.append(config)
            made.on_trial_complete(f"later{number}", {"cost": cost(config), "n": 8}, number % 5 == 4)
        raise AssertionError("the search does not end")

    made = searcher(method, in_generations=in_generations)
    live: list[tuple[str, dict[str, Any]]] = []
    for number in range(done):
        config = made.suggest(f"t{number}")
        if isinstance(config, dict):
            live.append((f"t{number}", config))
        if len(live) == 3:
            trial, known = live.pop(1)
            made.on_trial_complete(trial, {"cost": cost(known)}, error=number == 4)
    made.save(str(tmp_path / "state"))
    again = searcher(method, in_generations=in_generations)
    again.restore(str(tmp_path / "state"))
    assert finish(again, live) == finish(made, live)


def test_a_restored_search_waits_for_the_tuners_space(tmp_path: Path) -> None:
    made = OptimizerSearcher("evolution", budget=8, width=4, seed=1)
    made.set_search_properties("cost", "min", PARAM_SPACE)
    first = made.suggest("t0")
    made.save(str(tmp_path / "state"))
    again = OptimizerSearcher("evolution", budget=8, width=4, seed=1)
    again.restore(str(tmp_path / "state"))
    again.set_search_properties("cost", "min", PARAM_SPACE)
    assert first != again.suggest("t1") == made.suggest("t1")


def full(*_: Any) -> None:
    raise OSError("disk full")


def test_the_state_is_plain_json_and_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, path = searcher(), tmp_path / "state"
    made.suggest("t0")
    made.save(str(path))
    before = path.read_text()
    assert json.loads(before)["format"] == 1
    monkeypatch.setattr(Path, "replace", full)
    made.suggest("t1")
    with pytest.raises(OSError, match="disk full"):
        made.save(str(path))
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("text", "changed", "message"),
    [
        ("nonsense", {}, "no state of a search"),
        ("[1]", {}, "no state of a search"),
        (None, {"seed": 4}, "another method, budget, width, seed"),
        (None, {"method": "random"}, "another method"),
        (None, {"in_generations": True}, "another method"),
        (None, {"space": {"a": tune.uniform(0, 1)}}, "another space"),
    ],
)
def test_a_state_of_something_else_is_refused(
    tmp_path: Path, text: str | None, changed: dict[str, Any], message: str
) -> None:
    path = tmp_path / "state"
    if text is None:
        searcher().save(str(path))
    else:
        path.write_text(text)
    with pytest.raises(IntegrityError, match=message):
        searcher(**changed).restore(str(path))


# ------------------------------------------------------------------------------------------------ under Tune


def trainable(config: dict[str, Any]) -> dict[str, float]:
    if config["kind"] == "c":
        raise ValueError("no such kind")
    return {"cost": (config["cover"] - 0.25) ** 2 + {"a": 1.0, "b": 0.0}[config["kind"]] + config["constant"], "n": 4}


def fitted(folder: Path, made: Searcher) -> Any:
    from orchestrator.runtime import environment
    from orchestrator.tune_searcher import TUNE_VARIABLES, quiet

    with quiet(), environment(TUNE_VARIABLES):
        return tune.Tuner(
            trainable,
            param_space=PARAM_SPACE,
            tune_config=tune.TuneConfig(metric="cost", mode="min", search_alg=made, num_samples=-1),
            run_config=tune.RunConfig(name="candidates", storage_path=str(folder), verbose=0),
        ).fit()


def test_candidates_as_trials_under_a_tuner_with_failures(ray_runtime: Connection, tmp_path: Path) -> None:
    made = OptimizerSearcher("evolution", budget=8, width=4, seed=5, in_generations=True)
    results = fitted(tmp_path, ConcurrencyLimiter(made, max_concurrent=2))
    assert len(results) == 8  # FINISHED ends the experiment, though num_samples is endless
    assert 0 < results.num_errors < 8
    assert made.recommend()["kind"] == "b"
    assert set(made.recommend()) == {"cover", "kind"}
    best = min(one.metrics["cost"] for one in results if one.error is None)
    assert trainable({**PARAM_SPACE, **made.recommend()})["cost"] == pytest.approx(best)
    # Tune saves the searcher beside its experiment; from there it can be restored.
    (saved,) = (tmp_path / "candidates").glob("searcher-state-*.pkl")
    again = OptimizerSearcher("evolution", PARAM_SPACE, budget=8, width=4, seed=5, in_generations=True)
    again.restore(str(saved))
    again.set_search_properties("cost", "min", {})
    assert again.recommend() == made.recommend()
