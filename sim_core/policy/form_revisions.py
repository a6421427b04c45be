"""Reading the revisions of an instrument, and appending them: by kind and amount, or by their own staircase."""

from datetime import date
from typing import Any, TypeVar

from sim_core.errors import ModelError
from sim_core.policy import shapes
from sim_core.policy.arithmetic import Steps
from sim_core.policy.from_catalogue import append, revised
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.kinds import AT_LEAST
from sim_core.policy.reading import Reader
from sim_core.policy.revisions import IN_MONTHS, KINDS

_AnyInstrument = TypeVar("_AnyInstrument", bound=PolicyInstrument)


def with_revisions(built: _AnyInstrument, listed: Any, entry: int | None) -> _AnyInstrument:
    """Return the instrument with the revisions listed. Raises ModelError naming the revision and the remedy."""
    if not isinstance(listed, list | tuple):
        raise ModelError(f"instrument {built.id!r}.revisions: write a list of revisions, not {listed!r}")
    for number, one in enumerate(listed):
        revision = Reader(one, f"instrument {built.id!r}.revisions[{number}]")
        announced = shapes.read_day(revision.take("announced"), f"{revision.place}.announced", entry)
        adopted = shapes.read_day(
            revision.take("adopted", date.fromordinal(announced)), f"{revision.place}.adopted", entry
        )
        if adopted < announced:
            raise ModelError(f"{revision.place}.adopted: a revision can't be adopted before it is announced")
        if revision.has("steps") or revision.has("stages"):
            staircases = _revised_steps(revision, built, entry)
            built = append(built, announced, adopted, staircases)
        else:
            built = _revise(revision, built, announced, adopted, entry)
        revision.close()
    return built


def _revised_steps(revision: Reader, built: PolicyInstrument, entry: int | None) -> tuple[Steps, ...]:
    revision.take("shape", "")
    staircases: list[Steps] = []
    if built.wider:
        listed = revision.take("stages")
        if not isinstance(listed, list | tuple) or len(listed) != 1 + len(built.wider):
            raise ModelError(f"{revision.place}.stages: list the steps of all {1 + len(built.wider)} stages of scope")
        for number, one in enumerate(listed):
            stage = Reader(one, f"{revision.place}.stages[{number}]")
            staircases.append(shapes.read_steps(stage.take("steps"), f"{stage.place}.steps", entry))
            stage.take("scope", {})
            stage.close()
    else:
        staircases.append(shapes.read_steps(revision.take("steps"), f"{revision.place}.steps", entry))
    return tuple(shapes.out_of_force(steps, built.neutral) for steps in staircases)


def _revise(revision: Reader, built: _AnyInstrument, announced: int, adopted: int, entry: int | None) -> _AnyInstrument:
    kind = revision.choice("kind", KINDS)
    needs_amount = kind not in ("freeze", "repeal")
    amount = revision.number("amount") if needs_amount else revision.number("amount", default=0.0)
    if kind in IN_MONTHS and (amount < 1 or amount != int(amount)):
        raise ModelError(f"{revision.place}.amount: {kind} needs a whole number of months, at least 1, not {amount:g}")
    _refuse_wrong_way(revision.place, kind, amount, built)
    said = revision.take("ends", "")
    ends = shapes.read_day(said, f"{revision.place}.ends", entry) if said else None
    return revised(built, kind, amount, announced, adopted, ends=ends)


def _refuse_wrong_way(place: str, kind: str, amount: float, built: PolicyInstrument) -> None:
    """A factor that strengthens what is called weakened is a slip."""
    harder = kind in ("strengthen", "tighten")
    if not harder and kind != "weaken":
        return
    upwards = harder == (built.sense == AT_LEAST)
    if (upwards and amount < 1.0) or (not upwards and amount > 1.0):
        bound = "at least" if upwards else "at most"
        raise ModelError(
            f"{place}.amount: to {kind} a value that is {built.sense}, multiply by {bound} 1, not {amount:g}"
        )
