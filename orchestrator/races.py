"""Who goes on from an Entry's searches: the elites that they hand over, the race between them, the finalists.

All of it follows from the journal's records, so that whoever reads the same journal sees the same finalists.
"""

from collections.abc import Mapping

from orchestrator.journal import Journal
from orchestrator.plan import Plan
from orchestrator.racing import standing
from orchestrator.records import CellRow, Generation
from orchestrator.score import OBJECTIVE
from orchestrator.work import Cell
from sim_core.control import ControllerRecord

Searched = tuple[tuple[Generation, ...], ...]


def searched(plan: Plan, name: str, journal: Journal) -> Searched:
    """Return the journalled generations of each of an Entry's searches."""
    return tuple(tuple(journal.generations(job.search)) for job in plan.searches[name])


def ended(searches: Searched) -> bool:
    """Tell whether each of an Entry's searches has told its last generation."""
    return all(generations and generations[-1].last for generations in searches)


class Finals:
    """The way from an Entry's ended searches to its finalists, rung by rung where there is a race.

    elites: what the searches handed over, each controller once. run: cells of all rungs that were taken in.
    """

    def __init__(self, plan: Plan, name: str, searches: Searched) -> None:
        handed_over = (record for generations in searches for record in generations[-1].finalists)
        self.elites = tuple({record.digest: record for record in handed_over}.values())
        self.run: dict[str, Cell] = {}
        self._plan = plan
        self._race = plan.races.get(name)
        self._records = {record.digest: record for record in self.elites}
        self._costs: dict[str, dict[str, float | None]] = {digest: {} for digest in self._records}
        self._wanted: dict[str, tuple[str, Cell]] = {}
        self._judge()

    def wanted(self) -> tuple[Cell, ...]:
        """Return the runs that the open rung still needs; none once the finalists are known."""
        return tuple(cell for _, cell in self._wanted.values())

    def take(self, rows: Mapping[str, CellRow]) -> None:
        """Take in runs by key, of those wanted; others may be among them."""
        for key, (member, cell) in self._wanted.items():
            if key in rows:
                self._costs[member][cell.scenario] = rows[key].metrics.get(OBJECTIVE)
                self.run[key] = cell
        self._judge()

    def _judge(self) -> None:
        self._standing = standing(self._race, list(self._records), self._costs) if self._race else None
        self._wanted = {}
        if self._standing is None:
            return
        for member in self._standing.members:
            missing = [one for one in self._standing.wanted if one not in self._costs[member]]
            cells = self._plan.cells(missing, self._records[member])
            self._wanted |= {cell.key: (member, cell) for cell in cells}

    @property
    def over(self) -> bool:
        """Whether the finalists are known."""
        return self._standing is None or self._standing.over

    @property
    def finalists(self) -> tuple[ControllerRecord, ...]:
        """Those to be judged on validation, best first; none while the race goes on."""
        if self._race is None or self._standing is None:
            return self.elites
        members = self._standing.members[: self._race.finalists] if self.over else ()
        return tuple(self._records[member] for member in members)


def journalled(plan: Plan, name: str, searches: Searched, journal: Journal) -> Finals:
    """Return how far an Entry is by the journal. Its searches have to be ended."""
    found = Finals(plan, name, searches)
    while wanted := found.wanted():
        rows = journal.cells(cell.key for cell in wanted)
        found.take(rows)
        if len(rows) < len(wanted):
            break
    return found
