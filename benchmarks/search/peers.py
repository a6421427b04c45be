"""Search methods installed from PyPI, at their authors' settings, behind ask and tell over one vector.

Bits are handed over in each package's own form. They are told values in the order asked, batch by batch, as ours are;
that none evaluates a candidate twice is left to them. Each package is imported where it is used: one that is missing
stops its own rows of the table only.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optimizers.contract import SearchSpace

Floats = NDArray[np.float64]
NSGA2 = "pymoo NSGA-II"  # for the front of two objectives only


class Peer(Protocol):
    """Points are (n, bits + parameters), bits as 0.0 or 1.0 and first."""

    def ask(self, n: int, /) -> Floats: ...

    def tell(self, values: Floats, /) -> None:
        """Tell the values of what was asked last, in its order."""
        ...


class Nevergrad:
    """nevergrad's optimizer of a name; a bit is its ordered choice of 0 and 1, as its authors advise for binaries."""

    def __init__(self, name: str, space: SearchSpace, budget: int, width: int, seed: int) -> None:
        import nevergrad

        choices = nevergrad.p.TransitionChoice([0.0, 1.0], repetitions=space.bits)
        parts: list[Any] = [choices]
        if space.parameters:
            middle = np.full(len(space.parameters), 0.5)
            parts.append(nevergrad.p.Array(init=middle, lower=0.0, upper=1.0))
        form = nevergrad.p.Tuple(*parts)
        form.random_state.seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._search = nevergrad.optimizers.registry[name](form, budget=budget, num_workers=width)
        self._asked: list[Any] = []

    def ask(self, n: int) -> Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._asked = [self._search.ask() for _ in range(n)]
        return np.array([np.concatenate([np.asarray(part, float) for part in one.value]) for one in self._asked])

    def tell(self, values: Floats) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for one, value in zip(self._asked, values.tolist(), strict=True):
                self._search.tell(one, value)


class Optuna:
    """optuna's TPE, asked for a batch with a constant lie for what is in flight."""

    def __init__(self, _name: str, space: SearchSpace, _budget: int, _width: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(sampler=sampler)
        self._form: dict[str, Any] = {
            f"b{i}": optuna.distributions.CategoricalDistribution((False, True)) for i in range(space.bits)
        }
        bounds = optuna.distributions.FloatDistribution(0.0, 1.0)
        self._form |= {f"c{i}": bounds for i in range(len(space.parameters))}
        self._asked: list[Any] = []

    def ask(self, n: int) -> Floats:
        self._asked = [self._study.ask(self._form) for _ in range(n)]
        return np.array([[float(one.params[name]) for name in self._form] for one in self._asked])

    def tell(self, values: Floats) -> None:
        for one, value in zip(self._asked, values.tolist(), strict=True):
            self._study.tell(one, value)


class Pymoo:
    """pymoo's GA or, told several values of each point, NSGA-II, with a population of the width asked for.

    Bits and parameters are its mixed variables: uniform crossover and bit flips, SBX and polynomial mutation.
    """

    def __init__(self, name: str, space: SearchSpace, _budget: int, width: int, seed: int) -> None:
        from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowdingSurvival
        from pymoo.algorithms.soo.nonconvex.ga import GA, FitnessSurvival
        from pymoo.core.mixed import MixedVariableDuplicateElimination, MixedVariableMating, MixedVariableSampling
        from pymoo.core.problem import Problem
        from pymoo.core.variable import Binary, Real

        form: dict[str, Any] = {f"b{i}": Binary() for i in range(space.bits)}
        form |= {f"c{i}": Real(bounds=(0.0, 1.0)) for i in range(len(space.parameters))}
        self._names = list(form)
        self._problem = Problem(vars=form, n_obj=2 if name == "NSGA2" else 1)
        once = MixedVariableDuplicateElimination()
        self._search: Any = {"GA": GA, "NSGA2": NSGA2}[name](
            pop_size=width,
            sampling=MixedVariableSampling(),
            mating=MixedVariableMating(eliminate_duplicates=once),
            survival=RankAndCrowdingSurvival() if name == "NSGA2" else FitnessSurvival(),
            eliminate_duplicates=once,
        )
        self._search.setup(self._problem, termination=("n_gen", 10**9), seed=seed, verbose=False)
        self._asked: Any = None

    def ask(self, _n: int) -> Floats:
        """Return a generation of pymoo's own size, which is the width; the last one may go over the budget."""
        self._asked = self._search.ask()
        return np.array([[float(one.X[name]) for name in self._names] for one in self._asked])

    def tell(self, values: Floats) -> None:
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        told = StaticProblem(self._problem, F=values.reshape(len(values), -1))
        Evaluator().eval(told, self._asked)
        self._search.tell(infills=self._asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerKind:
    """package: whose version belongs to a result; within: the method's name in it.

    most, slowest: the largest budget that it is asked for unless said otherwise, and at all. nevergrad takes about
    10 ms for a candidate of 200 bits, optuna's TPE 100 ms and more.
    """

    package: str
    build: Callable[[str, SearchSpace, int, int, int], Peer]
    within: str = ""
    most: int = 1_000
    slowest: int = 10_000


PEERS: Mapping[str, PeerKind] = {
    "nevergrad NGOpt": PeerKind(package="nevergrad", build=Nevergrad, within="NGOpt"),
    "nevergrad DiscreteOnePlusOne": PeerKind(package="nevergrad", build=Nevergrad, within="DiscreteOnePlusOne"),
    "nevergrad PortfolioDiscreteOnePlusOne": PeerKind(
        package="nevergrad", build=Nevergrad, within="PortfolioDiscreteOnePlusOne"
    ),
    "optuna TPE": PeerKind(package="optuna", build=Optuna, most=0, slowest=1_000),
    "pymoo GA": PeerKind(package="pymoo", build=Pymoo, within="GA", most=10_000),
    NSGA2: PeerKind(package="pymoo", build=Pymoo, within="NSGA2", most=0),
}


def peer(name: str, space: SearchSpace, *, budget: int, width: int, seed: int) -> Peer:
    """Return the peer of a name. Raises KeyError for an unknown name, ImportError without its package."""
    kind = PEERS[name]
    return kind.build(kind.within, space, budget, width, seed)


def split(space: SearchSpace, points: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return bits, (n, epochs, levers), and parameters, (n, parameters), of points."""
    bits = points[:, : space.bits] > 0.5
    return bits.reshape(len(points), space.epochs, len(space.levers)), points[:, space.bits :]
