"""What a search method leaves to be tuned, by name, with its usual value and its range."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from optimizers.space import Domain
from sim_core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One number that a method may be given. usual: what it takes otherwise; None where it follows from the budget."""

    usual: float | None
    domain: Domain
    meaning: str


def settings_of(method: str, known: Mapping[str, Setting], given: Mapping[str, float]) -> dict[str, float | None]:
    """Return the value of every setting of a method.

    Raises InputError, with a near miss where there is one, for a name that the method doesn't have or a value outside
    of its range.
    """
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise InputError(f"search method {method!r} has no setting {name!r}: {hint}{has}")
        domain = known[name].domain
        if not domain.low <= value <= domain.high:
            raise InputError(f"setting {name!r} of {method!r} is {value}, outside of {domain.low} to {domain.high}")
    return {name: given.get(name, setting.usual) for name, setting in known.items()}
