"""Waves: searches, chooses and simulates what the journal lacks; whoever repeats them resumes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.backend import Backend
from orchestrator.journal import Journal
from orchestrator.outcome import best_on_validation
from orchestrator.plan import Plan, known_values
from orchestrator.progress import Progress
from orchestrator.races import Finals, searched
from orchestrator.records import CandidateValue, CellRow, Generation
from orchestrator.work import Block, Cell, SearchJob
from sim_core.control import ControllerRecord
from sim_core.errors import InfrastructureError

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = "parts"


def make_folder(results: Path) -> None:
    """Make a results folder. Raises InfrastructureError with a remedy where that can't be."""
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"can't make the folder {results}: {error.strerror}; mend its permissions or name another --results"
        ) from None


@dataclass(slots=True, kw_only=True)
class Waves:
    """The waves of one experiment, writing the journal as results come. simulated: runs that it took."""

    plan: Plan
    journal: Journal
    parts: Path
    progress: Progress
    backend: Callable[[], Backend]
    simulated: int = 0

    def search(self) -> None:
        """Run what the journal lacks of the searches."""
        known: dict[str, dict[str, CandidateValue]] = {}
        jobs: list[SearchJob] = []
        left = 0
        noted: dict[str, float] = self.journal.get_note(self.plan.timings) or {}
        for job in self.plan.jobs:
            generations = self.journal.generations(job.search)
            if (generations and generations[-1].last) or job.search in known:
                continue
            jobs.append(replace(job, spent_s=noted.get(job.search, 0.0)))
            known[job.search] = known_values(generations)
            left += (job.budget - len(known[job.search])) * len(job.scenarios)
        if not jobs:
            return
        self.progress.wave("search", left)

        def on_generation(generation: Generation) -> None:
            self.journal.put_generation(generation)
            self._note_cpu_seconds({generation.search: generation.cpu_s})
            self.simulated += generation.simulated
            self.progress.advance(generation.simulated)

        self.backend().searches(jobs, known, on_generation)

    def finish(self, wave: str, cells: Sequence[Cell]) -> dict[str, CellRow]:
        """Simulate the cells that the journal lacks; return all of them by key."""
        distinct = {cell.key: cell for cell in cells}
        done = self.journal.cells(distinct)
        missing = [cell for key, cell in distinct.items() if key not in done]
        if missing:
            self.progress.wave(wave, len(missing))
            backend = self.backend()
            # A scenario takes some time to compile, so its cells go to as few shards as may be.
            missing.sort(key=lambda cell: cell.scenario)
            backend.blocks(self.plan.cut(missing, backend.workers), self._on_table)
        return self.journal.cells(distinct) if missing else done

    def _on_table(self, block: Block, table: "pa.Table") -> None:
        from orchestrator.tables import rows, without_cpu_seconds, write_part

        plain, seconds = without_cpu_seconds(table)
        part = write_part(plain, self.parts)
        self.journal.put_cells(rows(plain), part)
        self._note_cpu_seconds(seconds)
        self.simulated += len(block.cells)
        self.progress.advance(len(block.cells))

    def _note_cpu_seconds(self, seconds: Mapping[str, float]) -> None:
        """Add CPU seconds, by search or controller digest, to the journal's note of them."""
        if not seconds:
            return
        noted: dict[str, float] = self.journal.get_note(self.plan.timings) or {}
        for name, value in seconds.items():
            noted[name] = noted.get(name, 0.0) + value
        self.journal.put_note(self.plan.timings, noted)

    def race(self) -> dict[str, tuple[ControllerRecord, ...]]:
        """Return the finalists of each Entry that searched, after its race where it has one.

        The races of all Entries run a rung at a time, side by side.
        """
        entries = {
            name: Finals(self.plan, name, searched(self.plan, name, self.journal)) for name in self.plan.searches
        }
        while wanted := [cell for one in entries.values() for cell in one.wanted()]:
            rows = self.finish("race", wanted)
            for one in entries.values():
                one.take(rows)
        return {name: one.finalists for name, one in entries.items()}

    def choose(self) -> dict[str, ControllerRecord]:
        """Return each Entry's controller: fixed, or the finalist with the lowest mean J on validation."""
        finalists = self.race()
        cells = [cell for records in finalists.values() for cell in self.plan.choice_cells(records)]
        rows = self.finish("choose", cells)
        chosen = dict(self.plan.fixed)
        for name, records in finalists.items():
            key = self.plan.choice_key(name, records)
            known = self.journal.choice(key)
            if known is None:
                best, means = best_on_validation(self.plan, records, rows)
                known = {"controller": best.to_json(), "means": means}
                self.journal.put_choice(key, known)
            chosen[name] = ControllerRecord.from_json(known["controller"])
        return chosen
