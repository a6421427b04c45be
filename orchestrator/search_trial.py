"""SearchTrial: one search of one Entry, generation by generation. Plain Python: no Ray, no journal.

A restart begins the deterministic search anew; evaluations that the journal knows are looked up, not simulated.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from optimizers import get
from optimizers.contract import Candidate, Evaluation
from optimizers.control_space import search_space, to_record
from orchestrator.records import CandidateValue, CellRow, Generation
from orchestrator.tables import rows, without_cpu_seconds
from orchestrator.work import Block, Cell, SearchJob
from sim_core.control import ControllerRecord
from sim_core.engine.layout import build_layout
from sim_core.suite import SuiteDefinition

_OBJECTIVES = (("objective", 1.0), ("carbon", 1.0), ("circularity", -1.0))

RunBlocks = Callable[[Sequence[Block]], list[pa.Table]]


class SearchTrial:
    """Runs a search to its budget. `known` maps candidate keys to values found before; `run` simulates blocks."""

    def __init__(
        self, job: SearchJob, suite: SuiteDefinition, known: Mapping[str, CandidateValue], run: RunBlocks
    ) -> None:
        self._job = job
        self._layout = build_layout(suite)
        self._known = known
        self._run = run
        space = search_space(self._layout, job.controller)
        self._optimizer = get(job.method)(
            space, budget=job.budget, width=job.width, seed=job.seed, settings=job.settings
        )
        self._first: Candidate | None = None
        self._index = 0
        self._done = 0
        self._spent_s = job.spent_s
        self._simulating_s = 0.0

    def step(self) -> Generation:
        """Ask, evaluate and tell one whole generation; the last one carries the finalists."""
        self._simulating_s, began = 0.0, time.process_time()
        asked = self._optimizer.ask(min(self._job.width, self._job.budget - self._done))
        self._first = self._first or asked[0]
        missing = list({candidate.key: candidate for candidate in asked if candidate.key not in self._known}.values())
        asking_s = time.process_time() - began
        fresh = self._evaluate(missing)
        began = time.process_time()
        values = [self._known.get(candidate.key) or fresh[candidate.key] for candidate in asked]
        self._optimizer.tell([_evaluation(candidate, value) for candidate, value in zip(asked, values, strict=True)])
        self._done += len(asked)
        # Shards may be processes of their own: what they took comes with their tables.
        cpu_s = asking_s + self._simulating_s + time.process_time() - began
        generation = Generation(
            search=self._job.search,
            index=self._index,
            values=tuple(values),
            finalists=self._finalists() if self._ends(asked, missing, cpu_s) else (),
            simulated=len(missing) * len(self._job.scenarios),
            cpu_s=cpu_s,
        )
        self._index += 1
        return generation

    def _ends(self, asked: Sequence[Candidate], missing: Sequence[Candidate], cpu_s: float) -> bool:
        """Tell whether a generation is the last: the budget is spent, or the CPU seconds are.

        A generation that was looked up as a whole was not the last one when it was journalled, so that it doesn't end
        the search now either: how slow this machine is decides only what no journal holds yet.
        """
        self._spent_s += cpu_s
        late = self._job.cpu_seconds is not None and self._spent_s >= self._job.cpu_seconds
        return self._done >= self._job.budget or not asked or (late and bool(missing))

    def _finalists(self) -> tuple[ControllerRecord, ...]:
        best = self._optimizer.finalists(self._job.finalists)
        if not best and self._first is not None:
            # Nothing that was asked works: what was asked first stands for the Entry, so that its failures are seen.
            best = [self._first]
        return tuple(self._record(candidate) for candidate in best)

    def _record(self, candidate: Candidate) -> ControllerRecord:
        return to_record(self._job.controller, candidate, self._optimizer.space)

    def _evaluate(self, candidates: Sequence[Candidate]) -> dict[str, CandidateValue]:
        if not candidates:
            return {}
        parts = np.array_split(np.arange(len(candidates)), min(self._job.actors, len(candidates)))
        blocks = [
            Block(
                cells=tuple(
                    Cell(
                        key=f"{candidates[i].key}/{scenario}", scenario=scenario, controller=self._record(candidates[i])
                    )
                    for i in part
                    for scenario in self._job.scenarios
                )
            )
            for part in parts
        ]
        found: dict[str, list[CellRow]] = {}
        for result in self._run(blocks):
            plain, seconds = without_cpu_seconds(result)
            self._simulating_s += sum(seconds.values())
            for row in rows(plain):
                found.setdefault(row.key.partition("/")[0], []).append(row)
        several = self._optimizer.SEVERAL
        return {one.key: _value(one.key, found[one.key], several=several) for one in candidates}


def _value(key: str, cells: Sequence[CellRow], *, several: bool) -> CandidateValue:
    failed = [cell.message for cell in cells if cell.status != "ok"]
    objective = np.array([cell.metrics.get("objective") for cell in cells], dtype=np.float64)
    if failed or not np.isfinite(objective).all():
        message = (failed or ["the objective is not finite"])[0][:200]
        return CandidateValue(
            candidate=key, value=None, standard_error=None, n=len(cells), violation=0.0, message=message
        )
    error = float(objective.std(ddof=1) / np.sqrt(len(cells))) if len(cells) > 1 else None
    return CandidateValue(
        candidate=key,
        value=float(objective.mean()),
        standard_error=error,
        n=len(cells),
        violation=0.0,
        objectives=_objectives(cells) if several else (),
    )


def _objectives(cells: Sequence[CellRow]) -> tuple[float, ...]:
    """Return mean cost, carbon and circularity, the last one negated: all are minimised."""
    means = (sign * float(np.mean([cell.metrics[name] or 0.0 for cell in cells])) for name, sign in _OBJECTIVES)
    return tuple(means)


def _evaluation(candidate: Candidate, value: CandidateValue) -> Evaluation:
    failed = value.value is None
    return Evaluation(
        candidate=candidate,
        value=float("nan") if value.value is None else value.value,
        standard_error=value.standard_error or 0.0,
        n=value.n,
        violation=value.violation,
        failed=failed,
        objectives=value.objectives,
    )
