"""What the contract tests of search methods share: the methods at hand, spaces, and a cost to search."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

import optimizers
from optimizers.contract import Candidate, Evaluation, Optimizer, SearchSpace

OPTIONAL = ("optuna", "nevergrad")  # each needs the package of its name
METHODS = [
    pytest.param(
        name, marks=pytest.mark.skipif(name in OPTIONAL and find_spec(name) is None, reason=f"{name} isn't installed")
    )
    for name in sorted(optimizers.METHODS)
]
OWN_METHODS = [name for name in sorted(optimizers.METHODS) if name not in OPTIONAL]

LEVERS = ("a", "b", "c")
MIXED = SearchSpace(epochs=5, levers=LEVERS, parameters=("x", "y"))

Make = Callable[..., Optimizer]


def cost(candidate: Candidate) -> float:
    on = float(np.sum(candidate.bits[: (len(candidate.bits) + 1) // 2]))
    return float(np.sum((candidate.values - 0.3) ** 2)) - on + float(np.sum(candidate.bits))


def evaluation(candidate: Candidate, value: float, *, violation: float = 0.0) -> Evaluation:
    return Evaluation(candidate=candidate, value=value, standard_error=0.0, n=1, violation=violation)


def told(candidates: list[Candidate]) -> list[Evaluation]:
    return [evaluation(one, cost(one)) for one in candidates]


def generation(search: Optimizer, n: int) -> list[Candidate]:
    asked = search.ask(n)
    search.tell(told(asked))
    return asked


def keys(candidates: list[Candidate]) -> list[str]:
    return [one.key for one in candidates]
