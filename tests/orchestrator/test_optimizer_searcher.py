"""OptimizerSearcher: Tune's calls in, a method's generations out; failures, fidelity, and a state that survives."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import pytest
from ray import tune
from ray.tune.search import Searcher

from optimizers import get
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.generational import Generational
from orchestrator.optimizer_searcher import OptimizerSearcher
from sim_core.errors import InputError

SPACE = SearchSpace(epochs=3, levers=("buy", "sell"), parameters=("cover",))
PARAM_SPACE: dict[str, Any] = {"cover": tune.uniform(0.0, 1.0), "kind": tune.choice(["a", "b", "c"]), "constant": 5}
BUDGET = 48  # twice what evolution draws at random
METHODS = ("random", "evolution", "quantum_inspired")


def searcher(method: str = "evolution", **changed: Any) -> OptimizerSearcher:
    arguments = {"space": SPACE, "metric": "cost", "mode": "min", "budget": BUDGET, "width": 6, "seed": 3, **changed}
    return OptimizerSearcher(method, **arguments)


def cost(config: dict[str, Any]) -> float:
    return float(sum(value for value in config.values() if isinstance(value, (int, float)))) + config["cover"] ** 2


def in_turn(made: OptimizerSearcher, order: Sequence[int] = (0,)) -> list[dict[str, Any]]:
    """Run a search with trials that end in the order given within each batch that may run at once."""
    configs: list[dict[str, Any]] = []
    live: list[tuple[str, dict[str, Any]]] = []
    while True:
        config = made.suggest(f"t{len(configs)}")
        if isinstance(config, dict):
            live.append((f"t{len(configs)}", config))
            configs.append(config)
        if live and (len(live) == len(order) or not isinstance(config, dict)):
            for place in sorted(order):
                if order.index(place) < len(live):
                    trial, known = live[order.index(place)]
                    made.on_trial_complete(trial, {"cost": cost(known), "n": 8})
            live = []
        elif not isinstance(config, dict):
            assert config == Searcher.FINISHED
            return configs


def by_hand(method: str) -> list[dict[str, Any]]:
    """The same search, without the searcher."""
    from orchestrator.tune_domains import of_space

    search, columns = get(method)(SPACE, BUDGET, 6, 3), of_space(SPACE)
    configs: list[dict[str, Any]] = []
    for _ in range(BUDGET // 6):
        asked = search.ask(6)
        search.tell([value(one, columns.config(one)) for one in asked])
        configs += [columns.config(one) for one in asked]
    return configs


def value(candidate: Candidate, config: dict[str, Any]) -> Evaluation:
    return Evaluation(candidate=candidate, value=cost(config), standard_error=0.0, n=8)


@pytest.mark.parametrize("name", ["set_search_properties", "suggest", "on_trial_result", "on_trial_complete", "save"])
def test_methods_have_the_parameters_that_tune_calls_them_with(name: str) -> None:
    ours, base = (inspect.signature(getattr(one, name)).parameters for one in (OptimizerSearcher, Searcher))
    assert [(one.name, one.kind, one.default) for one in ours.values()] == [
        (one.name, one.kind, one.default) for one in base.values()
    ]


# ------------------------------------------------------------------------------------------------ the order of trials


def check_generations_do_not_depend_on_who_is_faster(method: str) -> None:
    expected = by_hand(method)
    for order in ([0], [2, 0, 1], [5, 4, 3, 2, 1, 0]):
        assert in_turn(searcher(method, in_generations=True), order) == expected


@pytest.mark.parametrize("method", METHODS)
def test_in_generations_the_search_does_not_depend_on_who_is_faster(method: str) -> None:
    check_generations_do_not_depend_on_who_is_faster(method)


def test_a_generation_told_in_order_of_arrival_fails_that_check(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = OptimizerSearcher.on_trial_complete

    def by_arrival(self: OptimizerSearcher, *arguments: Any, **named: Any) -> None:
        tell = self._tell
        monkeypatch.setattr(self, "_tell", lambda search, _: tell(search, list(self._ended)))
        complete(self, *arguments, **named)

    monkeypatch.setattr(OptimizerSearcher, "on_trial_complete", by_arrival)
    with pytest.raises((AssertionError, ValueError)):
        check_generations_do_not_depend_on_who_is_faster("evolution")


def test_a_generation_is_held_back_until_the_last_one_is_in() -> None:
    made = searcher(in_generations=True)
    configs = [made.suggest(f"t{i}") for i in range(6)]
    assert all(isinstance(config, dict) for config in configs)
    for i in (5, 3, 1, 0, 4):
        assert made.suggest("next") is None
        made.on_trial_complete(f"t{i}", {"cost": 1.0})
    made.on_trial_complete("t2", error=True)
    assert isinstance(made.suggest("next"), dict)


def test_otherwise_nobody_waits_and_the_order_counts() -> None:
    made = searcher()
    assert all(isinstance(made.suggest(f"t{i}"), dict) for i in range(BUDGET))
    assert made.suggest("last") == Searcher.FINISHED
    runs = [in_turn(searcher(), order) for order in ([0], [3, 2, 1, 0])]
    assert runs[0] != runs[1]
    assert all(len(run) == BUDGET for run in runs)


def test_results_are_told_in_generations_of_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    tell = Generational.tell
    monkeypatch.setattr(Generational, "tell", lambda self, told: (sizes.append(len(told)), tell(self, told))[1])
    in_turn(searcher(budget=20), [1, 0])
    in_turn(searcher(budget=20, in_generations=True), [1, 0])
    assert sizes == [6, 6, 6, 6, 6, 6, 2]  # the first search's last two are told when it recommends


# ------------------------------------------------------------------------------------------------ results


def first_told(monkeypatch: pytest.MonkeyPatch, made: OptimizerSearcher, results: Sequence[Any]) -> list[Evaluation]:
    told: list[Evaluation] = []
    tell = Generational.tell

    def kept(self: Generational, evaluations: Sequence[Evaluation]) -> None:
        told.extend(evaluations)
        tell(self, evaluations)

    monkeypatch.setattr(Generational, "tell", kept)
    for number in range(len(results)):
        made.suggest(f"t{number}")
    for number, (result, error) in enumerate(results):
        made.on_trial_complete(f"t{number}", result, error)
    return told


RESULTS = [
    ({"cost": 5.0, "n": 16, "standard_error": 0.5, "violation": 2.0}, False),
    ({"cost": 7.0}, False),
    ({"cost": math.nan, "n": 4}, False),
    ({"cost": 1.0}, True),
    (None, True),
    ({"cost": 1.0, "violation": math.nan}, False),
]


def test_a_result_says_value_fidelity_error_and_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    told = first_told(monkeypatch, searcher(), RESULTS)
    assert [(one.value, one.n, one.standard_error, one.violation) for one in told[:2]] == [
        (5.0, 16, 0.5, 2.0),
        (7.0, 1, 0.0, 0.0),
    ]
    assert [one.failed for one in told] == [False, False, True, True, True, True]


def test_names_of_what_is_read_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    made = searcher(width=1, fidelity="scenarios", standard_error="se", violation="short")
    (told,) = first_told(monkeypatch, made, [({"cost": 3.0, "scenarios": 64, "se": 0.1, "short": 1.5}, False)])
    assert (told.n, told.standard_error, told.violation) == (64, 0.1, 1.5)


def test_failures_may_be_told_as_the_worst_value(monkeypatch: pytest.MonkeyPatch) -> None:
    told = first_told(monkeypatch, searcher(impute="worst"), RESULTS)
    assert [one.value for one in told] == [5.0, 7.0, 7.0, 7.0, 7.0, 7.0]
    assert not any(one.failed for one in told) and {one.n for one in told[2:]} == {0}


def test_a_failure_before_any_value_stays_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = first_told(monkeypatch, searcher(impute="worst", width=1), [(None, True)])
    assert told.failed


def check_the_largest_is_recommended(mode: str) -> None:
    made = searcher(mode=mode)
    configs = in_turn(made, [0])
    assert cost(made.recommend()) == pytest.approx(max(map(cost, configs)))


def test_mode_max_looks_for_the_largest() -> None:
    check_the_largest_is_recommended("max")


def test_a_search_that_minimises_fails_that_check() -> None:
    with pytest.raises(AssertionError):
        check_the_largest_is_recommended("min")


def test_a_trial_that_a_scheduler_ends_counts_with_its_last_report(monkeypatch: pytest.MonkeyPatch) -> None:
    made = searcher(width=1)
    made.on_trial_result("stranger", {"cost": 0.0})
    assert isinstance(made.suggest("t0"), dict)
    made.on_trial_result("t0", {"cost": 9.0, "n": 2})
    made.on_trial_result("t0", {"cost": 4.0, "n": 8})
    told: list[Evaluation] = []
    monkeypatch.setattr(Generational, "tell", lambda _, evaluations: told.extend(evaluations))
    made.on_trial_complete("t0")
    assert [(one.value, one.n) for one in told] == [(4.0, 8)]


def test_a_result_without_the_metric_is_a_mistake_with_a_near_miss() -> None:
    made = searcher()
    made.suggest("t0")
    with pytest.raises(InputError, match="no 'cost': did you mean 'Cost'"):
        made.on_trial_complete("t0", {"Cost": 1.0})


def test_what_is_known_already_may_be_told() -> None:
    made = searcher()
    known = {f"{lever}[{epoch}]": 0 for epoch in range(3) for lever in ("buy", "sell")} | {"cover": 0.0}
    made.add_evaluated_point(known, -100.0)
    made.add_evaluated_point({**known, "cover": 0.5}, -200.0, pruned=True)
    made.add_evaluated_point({**known, "cover": 0.7}, -300.0, error=True)
    assert made.recommend() == known
    assert known not in in_turn(made)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "evolutoin"}, "did you mean 'evolution'"),
        ({"mode": "least"}, "'min' or 'max'"),
        ({"width": 257}, "1 to 256"),
        ({"impute": "mean"}, "'failed' or 'worst'"),
        ({"settings": {"sped": 1.0}}, "no setting 'sped'"),
        ({"space": {"a": 1}}, "at least one domain"),
        ({"space": {"a": tune.randn()}}, "'a' is randn"),
    ],
)
def test_what_cannot_be_searched_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        searcher(**changed)


def test_a_searcher_without_space_or_metric_says_so() -> None:
    with pytest.raises(InputError, match="no space yet"):
        searcher(space=None).suggest("t0")
    with pytest.raises(InputError, match="metric and a mode"):
        searcher(metric=None).suggest("t0")


def test_the_tuners_metric_mode_and_space_are_taken() -> None:
    made = OptimizerSearcher("random", budget=2, width=2, seed=1)
    assert made.set_search_properties("cost", "max", PARAM_SPACE)
    config = made.suggest("t0")
    assert isinstance(config, dict) and set(config) == {"cover", "kind"}
    assert (made.metric, made.mode) == ("cost", "max")
    assert not searcher().set_search_properties("other", "max", {})
