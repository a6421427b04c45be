"""Ask/tell search over a SearchSpace, one method a file; never imports Ray.

`get` names the methods: "random", "quantum_inspired" and "evolution".
"""

import difflib

from optimizers.contract import Optimizer
from optimizers.evolution import Evolution
from optimizers.quantum_inspired import QuantumInspired
from optimizers.random_search import RandomSearch
from sim_core.errors import InputError

METHODS: dict[str, type[Optimizer]] = {
    "random": RandomSearch,
    "quantum_inspired": QuantumInspired,
    "evolution": Evolution,
}


def get(name: str) -> type[Optimizer]:
    """Return the search method of that name: call it with (space, budget=..., width=..., seed=...).

    Raises InputError, with a near miss where there is one, for an unknown name.
    """
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown search method {name!r}: {hint}known methods are {', '.join(sorted(METHODS))}")
