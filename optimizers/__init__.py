"""Ask/tell search over a SearchSpace, one method a file; never imports Ray.

`get` gives a method by name, `restore` brings a saved search back. docs/search.md says which method to take when.
"""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sim_core.errors import InputError, IntegrityError

if TYPE_CHECKING:
    from optimizers.contract import SearchSpace
    from optimizers.generational import Generational

# Loaded when asked for: some stand on libraries that no other needs.
METHODS: dict[str, str] = {
    "random": "random_search.RandomSearch",
    "quantum_inspired": "quantum_inspired.QuantumInspired",
    "evolution": "evolution.Evolution",
    "simulated_annealing": "simulated_annealing.SimulatedAnnealing",
    "simulated_annealing_chains": "simulated_annealing_chains.SimulatedAnnealingChains",
    "simulated_annealing_best_of": "simulated_annealing_best_of.SimulatedAnnealingBestOf",
    "path_integral_annealing": "path_integral_annealing.PathIntegralAnnealing",
    "qiea": "qiea.Qiea",
    "fast_ga": "fast_ga.FastGa",
    "umda": "umda.Umda",
    "cma_es": "cma_es.CmaEs",
    "differential_evolution": "differential_evolution.DifferentialEvolution",
    "linkage_learner": "linkage_learner.LinkageLearner",
    "decomposition": "decomposition.Decomposition",
    "optuna": "optuna_adapter.OptunaAdapter",
    "nevergrad": "nevergrad_adapter.NevergradAdapter",
    "seed_literal": "seed_literal.SeedLiteral",
}


def get(name: str) -> "type[Generational]":
    """Return the search method of that name: call it with (space, budget, width, seed).

    Raises InputError, with a near miss where there is one, for an unknown name.
    """
    if name in METHODS:
        module, _, method = METHODS[name].partition(".")
        return getattr(import_module(f"optimizers.{module}"), method)
    near = difflib.get_close_matches(name, METHODS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown search method {name!r}: {hint}known methods are {', '.join(sorted(METHODS))}")


def restore(name: str, space: "SearchSpace", state: Mapping[str, Any]) -> "Generational":
    """Return the search that Optimizer.save wrote down, bit for bit, with the same candidates in flight.

    The search is replayed, which takes as long as its own asking and telling did. Raises IntegrityError for a state of
    another format or space, or one whose tells don't fit its asks.
    """
    from optimizers.event_log import replay
    from optimizers.generational import STATE_FORMAT

    if state.get("format") != STATE_FORMAT:
        raise IntegrityError(f"a search's state has format {state.get('format')!r}; this version reads {STATE_FORMAT}")
    if state["space"] != space.digest:
        raise IntegrityError("a search's state belongs to another space; restore it with the one that it was made for")
    search = get(name)(
        space,
        state["budget"],
        state["width"],
        state["seed"],
        settings=state["settings"],
        reproducible=state["reproducible"],
    )
    replay(search, state["events"])
    return search
