"""Between SearchSpace and the domains of Ray Tune's param_space, both ways, and between candidates and configs.

A lever is one choice an epoch, called `lever[epoch]`; a parameter is a uniform, loguniform, randint or lograndint
domain. Any other choice of a param_space is a lever of a single epoch, its values the lever's states in their order. A
domain on a grid (quniform and its kin) is an integer parameter that counts the grid's points, each with an equal
share; Tune itself gives the end points of quniform half a share. Nested mappings are flattened with "/".
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search import sample

from optimizers.contract import Candidate, Domain, Point, SearchSpace
from optimizers.space import UNIT
from sim_core.errors import InputError

Path = tuple[str, ...]
_INDEXED = re.compile(r"(?s)(?P<lever>.+)\[(?P<epoch>0|[1-9][0-9]*)\]")
_DEFAULT = (sample.Uniform, sample.LogUniform)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceColumn:
    """Where one lever stands in one epoch of a config, and what its states are there."""

    path: Path
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumn:
    """Where a parameter stands in a config. step: None, or the distance of the grid whose points it counts."""

    path: Path
    whole: bool
    step: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneSpace:
    """A SearchSpace with its place in Tune's configs.

    choices: one column an epoch and lever, epochs outermost. numbers: one column a parameter. fixed: choices of a
    single value, which configs hold and nobody searches.
    """

    space: SearchSpace
    choices: tuple[ChoiceColumn, ...]
    numbers: tuple[NumberColumn, ...]
    fixed: tuple[tuple[Path, Any], ...] = ()

    def config(self, candidate: Candidate) -> dict[str, Any]:
        """Return the config that a candidate is: nested like the param_space, without what was constant in it."""
        point = self.space.decode(candidate)
        found: dict[str, Any] = {}
        for path, value in self.fixed:
            _put(found, path, value)
        for column, state in zip(self.choices, point.states.ravel().tolist(), strict=True):
            _put(found, column.path, column.values[state])
        for column, number in zip(self.numbers, point.parameters.values(), strict=True):
            if column.step is not None:
                number *= column.step  # noqa: PLW2901
            _put(found, column.path, round(number) if column.whole else number)
        return found

    def candidate(self, config: Mapping[str, Any]) -> Candidate:
        """Return the candidate that a config is; what else the config holds is left aside.

        Raises InputError for a value that is missing or outside of its domain.
        """
        states = [_state(column, _value(config, column.path)) for column in self.choices]
        domains = self.space.domains or (UNIT,) * len(self.space.parameters)
        numbers = [
            _number(column, domain, _value(config, column.path))
            for column, domain in zip(self.numbers, domains, strict=True)
        ]
        shape = (self.space.epochs, len(self.space.levers))
        return self.space.encode(
            Point(
                states=np.array(states, dtype=np.int64).reshape(shape),
                parameters=dict(zip(self.space.parameters, numbers, strict=True)),
            )
        )


def to_tune(space: SearchSpace) -> dict[str, Any]:
    """Return the param_space of a SearchSpace, flat. Its start has no place there: Tune's searchers take such points.

    Raises InputError for constraints, which Tune's domains can't state, and for names that would meet.
    """
    if space.constraints:
        names = ", ".join(repr(one.name) for one in space.constraints)
        raise InputError(
            f"Tune's domains hold no constraints, but the space has {names}: give the space itself to OptimizerSearcher"
        )
    columns = of_space(space)
    domains = space.domains or (UNIT,) * len(space.parameters)
    found: dict[str, Any] = {column.path[0]: tune.choice(list(column.values)) for column in columns.choices}
    found |= {name: _tune_domain(domain) for name, domain in zip(space.parameters, domains, strict=True)}
    return found


def of_space(space: SearchSpace) -> TuneSpace:
    """Return a SearchSpace with the places that `to_tune` gives it. Raises InputError for names that would meet."""
    states = space.states or (2,) * len(space.levers)
    choices = tuple(
        ChoiceColumn(path=(f"{lever}[{epoch}]",), values=tuple(range(count)))
        for epoch in range(space.epochs)
        for lever, count in zip(space.levers, states, strict=True)
    )
    domains = space.domains or (UNIT,) * len(space.parameters)
    numbers = tuple(
        NumberColumn(path=(name,), whole=domain.integer) for name, domain in zip(space.parameters, domains, strict=True)
    )
    _check_paths([column.path for column in (*choices, *numbers)])
    return TuneSpace(space=space, choices=choices, numbers=numbers)


def from_tune(param_space: Mapping[str, Any]) -> TuneSpace:
    """Return the SearchSpace of a param_space with its places in Tune's configs; constants stay where they are.

    Where every choice is called `lever[epoch]`, and all levers have all epochs from 0 with the same values, they are
    levers over epochs. Raises InputError, naming it and what to write instead, for grid_search, randn and qrandn,
    sample_from and other functions, domains inside lists or choices, and empty ones.
    """
    choices: list[ChoiceColumn] = []
    numbers: list[NumberColumn] = []
    domains: list[Domain] = []
    fixed: list[tuple[Path, Any]] = []
    for path, value in _leaves(param_space, ()):
        _refuse(path, value)
        if isinstance(value, sample.Categorical):
            values = _values(path, value)
            if len(values) == 1:
                fixed.append((path, values[0]))
            else:
                choices.append(ChoiceColumn(path=path, values=values))
        elif isinstance(value, sample.Domain):
            column, domain = _number_column(path, value)
            numbers.append(column)
            domains.append(domain)
    _check_paths([path for path, _ in _leaves(param_space, ())])
    epochs, levers, choices = _as_schedule(choices)
    states = tuple(len(column.values) for column in choices[: len(levers)])
    space = SearchSpace(
        epochs=epochs,
        levers=levers,
        parameters=tuple("/".join(column.path) for column in numbers),
        states=states if any(count > 2 for count in states) else (),
        domains=tuple(domains) if any(domain != UNIT for domain in domains) else (),
    )
    return TuneSpace(space=space, choices=tuple(choices), numbers=tuple(numbers), fixed=tuple(fixed))


def _tune_domain(domain: Domain) -> Any:
    if domain.integer:
        low, high = round(domain.low), round(domain.high) + 1  # Tune leaves the upper end out
        return tune.lograndint(low, high) if domain.log else tune.randint(low, high)
    return tune.loguniform(domain.low, domain.high) if domain.log else tune.uniform(domain.low, domain.high)


def _leaves(tree: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value and not _is_call(value):
            yield from _leaves(value, (*path, str(name)))
        else:
            yield (*path, str(name)), value


def _is_call(value: Any) -> bool:
    """Tell whether a mapping is what Tune reads as grid_search or eval, by Tune's own rule."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("grid_search", "eval")


def _check_paths(paths: Sequence[Path]) -> None:
    seen: set[str] = set()
    for name in map("/".join, paths):
        if name in seen:
            raise InputError(f"two values of a param_space are called {name!r}: rename one of them")
        seen.add(name)


def _refuse(path: Path, value: Any) -> None:
    """Raise InputError for what no SearchSpace can hold."""
    kind, remedy = _unsupported(value)
    if kind:
        raise InputError(f"param_space {'/'.join(path)!r} is {kind}, which a search can't take: {remedy}")


def _unsupported(value: Any) -> tuple[str, str]:
    if _is_call(value):
        known = {"grid_search": "write tune.choice with the same values", "eval": "compute it in the trainable"}
        return f"{next(iter(value))!r}", known[next(iter(value))]
    if isinstance(value, sample.Function):
        return "a sample_from", "compute it in the trainable from what is searched"
    if callable(value) and not isinstance(value, (sample.Domain, type)):
        return "a function", "compute its value in the trainable, or bind it with tune.with_parameters"
    if isinstance(value, (list, tuple)) and any(_holds_domain(one) for one in value):
        return "a list that holds domains", "give each domain a name of its own"
    if not isinstance(value, sample.Domain):
        return "", ""
    sampler = value.get_sampler()
    quantized = isinstance(sampler, sample.Quantized)
    inner = sampler.sampler if quantized else sampler
    if isinstance(inner, sample.Normal):
        return "qrandn" if quantized else "randn", "write tune.uniform between ends that you mean"
    if isinstance(inner, sample.Grid):
        return "a grid of choices", "write tune.choice with the same values"
    if not isinstance(value, (sample.Float, sample.Integer, sample.Categorical)) or not isinstance(inner, _DEFAULT):
        return f"a {type(value).__name__} drawn by {inner}", "write uniform, loguniform, randint, lograndint or choice"
    return "", ""


def _holds_domain(value: Any) -> bool:
    if isinstance(value, sample.Domain):
        return True
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return any(_holds_domain(one) for one in inner)


def _values(path: Path, choice: sample.Categorical) -> tuple[Any, ...]:
    values = tuple(choice.categories)
    name = "/".join(path)
    if not values:
        raise InputError(f"param_space {name!r} is a choice of nothing: list at least one value")
    if any(_holds_domain(value) for value in values):
        raise InputError(f"param_space {name!r} is a choice between domains: give each domain a name of its own")
    for index, value in enumerate(values):
        if any(_same(value, other) for other in values[:index]):
            raise InputError(f"param_space {name!r} lists {value!r} twice: list each value once")
    return values


def _number_column(path: Path, domain: sample.Float | sample.Integer | Any) -> tuple[NumberColumn, Domain]:
    """Return the place and the domain of a number. Raises InputError for a range that holds nothing."""
    sampler = domain.get_sampler()
    step = float(sampler.q) if isinstance(sampler, sample.Quantized) else None
    inner = sampler.sampler if isinstance(sampler, sample.Quantized) else sampler
    whole = isinstance(domain, sample.Integer)
    low, high = float(domain.lower), float(domain.upper)
    if step is not None:
        low, high = _grid(low, step, math.ceil), _grid(high, step, math.floor)
    if whole and step in (None, 1.0):
        high -= 1.0  # Tune leaves the upper end out
    log = isinstance(inner, sample.LogUniform)
    try:
        found = Domain(low=low, high=high, integer=whole or step is not None, log=log)
    except ValueError as error:
        raise InputError(f"param_space {'/'.join(path)!r} holds no number ({error}): widen it") from None
    return NumberColumn(path=path, whole=whole, step=step), found


def _grid(bound: float, step: float, inwards: Any) -> float:
    """Return the number of the grid's point at a bound, or the next one inwards, as Tune rounds it."""
    scaled = bound / step
    if not math.isfinite(scaled):
        return scaled
    return float(round(scaled) if math.isclose(scaled, round(scaled)) else inwards(scaled))


def _as_schedule(
    choices: Sequence[ChoiceColumn],
) -> tuple[int, tuple[str, ...], list[ChoiceColumn]]:
    """Return epochs, levers and the choices in their order: over epochs where the names say so, else a single one."""
    found: dict[str, dict[int, ChoiceColumn]] = {}
    for column in choices:
        matched = _INDEXED.fullmatch("/".join(column.path))
        if matched is None:
            break
        found.setdefault(matched["lever"], {})[int(matched["epoch"])] = column
    else:
        epochs = len(next(iter(found.values()), {}))
        if all(_even(columns, epochs) for columns in found.values()):
            ordered = [columns[epoch] for epoch in range(epochs) for columns in found.values()]
            return epochs, tuple(found), ordered
    return 1, tuple("/".join(column.path) for column in choices), list(choices)


def _even(columns: Mapping[int, ChoiceColumn], epochs: int) -> bool:
    """Tell whether a lever has exactly these epochs, with the same values in each."""
    if set(columns) != set(range(epochs)):
        return False
    first = columns[0].values
    return all(
        len(column.values) == len(first) and all(map(_same, column.values, first)) for column in columns.values()
    )


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values of a choice are the same: of one type and equal, so that 1, 1.0 and True are three."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    equal = one == other
    return bool(equal.all()) if isinstance(equal, np.ndarray) else bool(equal)


def _put(tree: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _value(config: Mapping[str, Any], path: Path) -> Any:
    found: Any = config
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            raise InputError(f"the config has no {'/'.join(path)!r}")
        found = found[name]
    return found


def _state(column: ChoiceColumn, value: Any) -> int:
    for state, known in enumerate(column.values):
        if _same(known, value):
            return state
    raise InputError(f"config {'/'.join(column.path)!r} is {value!r}, none of {list(column.values)}")


def _number(column: NumberColumn, domain: Domain, value: Any) -> float:
    name = "/".join(column.path)
    numeric = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not numeric or not np.isfinite(value):
        raise InputError(f"config {name!r} is {value!r}, no finite number")
    number = float(value) / (column.step or 1.0)
    if domain.integer:
        if not math.isclose(number, round(number), rel_tol=1e-9, abs_tol=1e-9):
            raise InputError(f"config {name!r} is {value!r}, which its domain steps over")
        number = float(round(number))
    if not domain.low <= number <= domain.high:
        raise InputError(f"config {name!r} is {value!r}, outside of its domain")
    return number
