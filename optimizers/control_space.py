"""Between networks and searches: what can be searched of a controller, and how a candidate becomes one."""

from optimizers.contract import Candidate, SearchSpace
from optimizers.controllers import TUNABLE
from optimizers.controllers.schedule import searched_targets, usual_targets
from sim_core.control import ControllerRecord
from sim_core.engine.layout import Layout
from sim_core.errors import ModelError


def search_space(layout: Layout, kind: str) -> SearchSpace:
    """Return the space of a controller kind: a schedule's levers and targets, or the parameters of a tunable one.

    Raises ModelError for a kind that has none.
    """
    if kind in TUNABLE:
        usual = TUNABLE[kind](layout)
        return SearchSpace(epochs=0, levers=(), parameters=tuple(usual), start=tuple(usual.values()))
    if kind == "schedule":
        names = tuple(searched_targets(layout))
        return SearchSpace(
            epochs=layout.suite.epochs,
            levers=layout.suite.levers,
            parameters=names,
            start=tuple(usual_targets(layout)),
        )
    raise ModelError(f"controller {kind!r} has nothing to search; give it parameters, or use 'schedule'")


def to_record(kind: str, candidate: Candidate, space: SearchSpace) -> ControllerRecord:
    """Return the controller that a candidate of a kind's space stands for."""
    if kind in TUNABLE:
        named = zip(space.parameters, candidate.values.tolist(), strict=True)
        return ControllerRecord(kind=kind, parameters=dict(named))
    bits = ["".join("1" if bit else "0" for bit in row) for row in candidate.bits]
    return ControllerRecord(kind=kind, parameters={"levers": bits, "targets": candidate.values.tolist()})
