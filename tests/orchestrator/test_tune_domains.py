"""SearchSpace and Tune's domains: the same points both ways, and what can't be held is refused by its name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune
from ray.tune.search import sample
from ray.tune.utils.util import flatten_dict

from optimizers import get
from optimizers.contract import Constraint, Domain, SearchSpace
from orchestrator import tune_domains
from orchestrator.tune_domains import from_tune, of_space, to_tune
from sim_core.errors import InputError

NAMES = st.text("abcxyz_.-/ []0", min_size=1, max_size=6)


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    integer, log = draw(st.booleans()), draw(st.booleans())
    low = draw(st.integers(1 if log else -50, 60)) if integer else draw(st.floats(1e-3 if log else -50.0, 60.0))
    span = draw(st.integers(0, 90)) if integer else draw(st.floats(0.01, 90.0))
    return Domain(low=float(low), high=float(low + span), integer=integer, log=log)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    levers = draw(st.lists(st.sampled_from(["buy", "sell", "a/b", "x y"]), unique=True, max_size=3))
    parameters = draw(st.lists(st.sampled_from(["p", "q/r", "s.t", "1"]), unique=True, max_size=3))
    ranges = tuple(draw(domains()) for _ in parameters)
    states = tuple(draw(st.integers(2, 5)) for _ in levers)
    return SearchSpace(
        epochs=draw(st.integers(1, 4)) if levers else 0,
        levers=tuple(levers),
        parameters=tuple(parameters),
        states=states if any(count > 2 for count in states) else (),
        domains=ranges if any(one != Domain() for one in ranges) else (),
    )


@given(spaces())
@settings(max_examples=60, deadline=None)
def test_a_space_comes_back_from_tune(space: SearchSpace) -> None:
    there = to_tune(space)
    back = from_tune(there)
    assert back.space == space
    assert back == of_space(space)
    assert len(there) == space.epochs * len(space.levers) + len(space.parameters)


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_candidate_comes_back_from_its_config(space: SearchSpace, seed: int) -> None:
    columns = of_space(space)
    for candidate in get("random")(space, 4, 4, seed).ask(4):
        config = columns.config(candidate)
        again = columns.candidate(config)
        bits, values = space.settle(candidate.bits[None], candidate.values[None])  # repeats may have another code
        assert np.array_equal(again.bits, bits[0])
        assert again.values == pytest.approx(values[0], rel=1e-9, abs=1e-9)
        assert columns.config(again) == pytest.approx(config, rel=1e-12)


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_what_tune_draws_is_a_candidate(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = {name: domain.sample(random_state=rng) for name, domain in to_tune(space).items()}
    columns = of_space(space)
    assert columns.config(columns.candidate(drawn)) == pytest.approx(drawn, rel=1e-9)


def test_all_levers_and_epochs_are_told_apart() -> None:
    space = SearchSpace(epochs=2, levers=("a", "b"), states=(2, 3), parameters=())
    columns = of_space(space)
    config = {"a[0]": 1, "b[0]": 2, "a[1]": 0, "b[1]": 1}
    point = space.decode(columns.candidate(config))
    assert point.states.tolist() == [[1, 2], [0, 1]]
    assert columns.config(columns.candidate(config)) == config


# ------------------------------------------------------------------------------------------------ users' spaces

PARAM_SPACE: dict[str, Any] = {
    "rate": tune.loguniform(1e-4, 1e-1),
    "model": {
        "layers": tune.randint(1, 5),
        "units": tune.lograndint(8, 129),
        "kind": tune.choice(["mlp", "lstm", None]),
        "deep": {"dropout": tune.quniform(0.0, 0.5, 0.1), "size": tune.qrandint(16, 64, 16)},
    },
    "scale": tune.qloguniform(0.5, 32.0, 0.5),
    "many": tune.qlograndint(10, 1000, 10),
    "single": tune.choice([7]),
    "constant": 3,
    "text": "x",
}


def test_a_nested_param_space_is_one_search_space() -> None:
    found = from_tune(PARAM_SPACE)
    space = found.space
    assert (space.epochs, space.levers, space.states) == (1, ("model/kind",), (3,))
    assert space.parameters == (
        "rate",
        "model/layers",
        "model/units",
        "model/deep/dropout",
        "model/deep/size",
        "scale",
        "many",
    )
    ranges = [(one.low, one.high, one.integer, one.log) for one in space.domains]
    assert ranges == [
        (1e-4, 1e-1, False, True),
        (1, 4, True, False),
        (8, 128, True, True),
        (0, 5, True, False),  # steps of 0.1
        (1, 4, True, False),  # steps of 16
        (1, 64, True, True),  # steps of 0.5
        (1, 100, True, True),
    ]


def test_configs_have_the_values_and_types_of_tune() -> None:
    found = from_tune(PARAM_SPACE)
    kinds: set[Any] = set()
    for candidate in get("random")(found.space, 64, 64, 3).ask(64):
        config = found.config(candidate)
        assert set(config) == {"rate", "model", "scale", "many", "single"}  # constants stay where they are
        model = config["model"]
        kinds.add(model["kind"])
        assert config["single"] == 7
        assert type(model["layers"]) is int and type(config["many"]) is int and type(model["deep"]["size"]) is int
        assert model["deep"]["size"] in (16, 32, 48, 64) and config["many"] % 10 == 0
        assert model["deep"]["dropout"] == pytest.approx(round(model["deep"]["dropout"], 1), abs=1e-12)
        for path, domain in (("rate", PARAM_SPACE["rate"]), ("scale", PARAM_SPACE["scale"])):
            assert domain.is_valid(config[path])
        again = found.config(found.candidate({**config, "constant": 3}))
        numbers = {name: value for name, value in flatten_dict(config).items() if name != "model/kind"}
        assert {name: flatten_dict(again)[name] for name in numbers} == pytest.approx(numbers, rel=1e-12)
        assert again["model"]["kind"] == model["kind"]
    assert kinds == {"mlp", "lstm", None}


def test_q_of_one_leaves_the_upper_end_out_as_tune_does() -> None:
    assert from_tune({"n": tune.qrandint(1, 10, 1)}).space.domains[0].high == 9
    assert from_tune({"n": tune.qrandint(1, 10, 3)}).space.domains[0] == Domain(low=1, high=3, integer=True)


def test_choices_of_any_values_keep_their_place_and_type() -> None:
    values = [1, 1.0, True, "1", (1, 2), {"depth": 2}, np.arange(2)]
    found = from_tune({"mixed": tune.choice(values)})
    assert found.space.states == (7,)
    for state, value in enumerate(values):
        candidate = found.candidate({"mixed": value})
        assert found.space.decode(candidate).states.tolist() == [[state]]
        assert found.config(candidate)["mixed"] is value


@pytest.mark.parametrize("names", [("a[0]", "a[2]"), ("a[0]", "b[1]"), ("a[0]", "b"), ("a[01]", "a[1]")])
def test_choices_that_are_no_whole_schedule_are_levers_of_one_epoch(names: tuple[str, str]) -> None:
    found = from_tune({name: tune.choice([0, 1]) for name in names})
    assert (found.space.epochs, found.space.levers) == (1, names)


def test_epochs_with_other_values_are_no_lever() -> None:
    found = from_tune({"a[0]": tune.choice([0, 1]), "a[1]": tune.choice(["off", "on"])})
    assert (found.space.epochs, found.space.levers) == (1, ("a[0]", "a[1]"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (tune.grid_search([1, 2]), "'grid_search'.*tune.choice"),
        ({"eval": "spec.config.x"}, "'eval'.*trainable"),
        (sample.Categorical([1, 2]).grid(), "a grid of choices.*tune.choice"),
        (tune.randn(0.0, 1.0), "is randn.*tune.uniform"),
        (tune.qrandn(0.0, 1.0, 0.1), "is qrandn.*tune.uniform"),
        (tune.sample_from(lambda _: 1), "a sample_from.*trainable"),
        (lambda: 1, "a function.*tune.with_parameters"),
        ([tune.uniform(0, 1)], "a list that holds domains.*name of its own"),
        ([{"deep": tune.uniform(0, 1)}], "a list that holds domains"),
        (tune.choice([tune.uniform(0, 1), 3]), "a choice between domains"),
        (tune.choice([1, 2, 1]), "lists 1 twice"),
        (tune.choice([]), "choice of nothing"),
        (tune.randint(5, 5), "holds no number.*widen"),
        (tune.uniform(2.0, 1.0), "holds no number"),
        (sample.Float(0.0, None), "holds no number"),
        (tune.qrandint(1, 2, 5), "holds no number"),
    ],
    ids=str,
)
def test_what_a_search_cannot_take_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"param_space 'outer/x'.*{message}"):
        from_tune({"outer": {"x": value}})


def test_names_that_meet_are_refused() -> None:
    with pytest.raises(InputError, match="'a/b'"):
        from_tune({"a": {"b": tune.uniform(0, 1)}, "a/b": tune.uniform(0, 1)})
    with pytest.raises(InputError, match=r"'a\[0\]'"):
        to_tune(SearchSpace(epochs=1, levers=("a",), parameters=("a[0]",)))


def test_constraints_do_not_get_lost() -> None:
    space = SearchSpace(
        epochs=1,
        levers=("a",),
        parameters=(),
        constraints=(Constraint(name="budget", levers=(("a", 1.0),), at_most=0.0),),
    )
    with pytest.raises(InputError, match=r"'budget'.*OptimizerSearcher"):
        to_tune(space)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n": 3}, "no 'kind'"),
        ({"kind": "gru", "n": 3}, "none of"),
        ({"kind": True, "n": 3}, "none of"),
        ({"kind": 1, "n": 3.5}, "steps over"),
        ({"kind": 1, "n": 9}, "outside"),
        ({"kind": 1, "n": "3"}, "no finite number"),
        ({"kind": 1, "n": float("nan")}, "no finite number"),
    ],
)
def test_a_config_outside_of_the_space_is_refused(config: dict[str, Any], message: str) -> None:
    found = from_tune({"kind": tune.choice([1, "lstm"]), "n": tune.randint(1, 5)})
    with pytest.raises(InputError, match=message):
        found.candidate(config)


def check_states_keep_their_values() -> None:
    test_choices_of_any_values_keep_their_place_and_type()


def loose(one: Any, other: Any) -> bool:
    return np.array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "mutant"),
    [("_same", loose)],  # 1, 1.0 and True would be one state
)
def test_values_told_apart_by_equality_alone_fail_that_check(
    monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[..., Any]
) -> None:
    monkeypatch.setattr(tune_domains, name, mutant)
    with pytest.raises((AssertionError, InputError)):
        check_states_keep_their_values()
