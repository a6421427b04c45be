"""Parameters of tunable controllers: numbers in [0, 1] by name, each cell with its own."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError


def read_parameters(
    kind: str, items: Sequence[Mapping[str, Any]], usual: Mapping[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Return the parameters of B controllers by name, (B,) each; what is not given is as in `usual`.

    Raises ModelError for an unknown name, with the nearest known one, and for a value that is no number in [0, 1].
    """
    for item in items:
        unknown = sorted(set(item) - set(usual))
        if unknown:
            raise ModelError(
                f"controller {kind} has no parameters {unknown}; it knows {list(usual)}{_hint(unknown[0], usual)}"
            )
        for name, value in item.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                raise ModelError(f"controller {kind}: {name} must be a number in [0, 1], not {value!r}")
    return {name: np.array([float(item.get(name, start)) for item in items]) for name, start in usual.items()}


def no_parameters(kind: str, parameters: Mapping[str, Any]) -> None:
    """Raise ModelError if a controller without parameters was given some."""
    if parameters:
        raise ModelError(f"controller {kind} has no parameters, but was given {sorted(parameters)}: remove them")


def _hint(word: str, known: Mapping[str, float]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
