"""The plan of an experiment: which searches, choices and runs it needs, each under a key that never changes.

Six waves: search (on training scenarios), race (elites of searches on fresh ones, where an Entry asks for it), choose
(finalists on validation scenarios), score (once, on test scenarios), bound (the least cost of test scenarios, whatever
the controller), pair (what shocks cost, and what no recovery would). What a wave holds follows from the records of
those before; bounds need none.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optimizers
import sim_core
from optimizers.controllers import NEEDS_STATE, PLANS
from orchestrator.racing import Race
from orchestrator.records import CandidateValue, Generation
from orchestrator.work import BOUND, LINEAR, Block, Cell, SearchJob
from sim_core.control import ControllerRecord
from sim_core.engine.rollout import LANE_WIDTH
from sim_core.network_generator import template_nodes
from sim_core.seeding import content_id
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    from orchestrator.spec import Entry, ExperimentSpec

# A block is about 2 s of work for a shard: enough that its way to an actor costs nothing, little to lose in a crash.
_BLOCK_NODE_PERIODS = {"kernel": 10_000_000, "numpy": 1_000_000}
_LEAST_CELLS, _MOST_CELLS = 64, 4096
_NUMERIC_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "highspy")
_EVALUATING = ("mesh_shard.py", "shard.py", "search_trial.py")  # the orchestrator's files that shape a value


@cache
def code_digest() -> str:
    """Return the digest of all that computes a value: sim_core, optimizers, shards, and versions of packages."""
    here = Path(__file__).parent
    sources = [here / name for name in _EVALUATING]
    for package in (sim_core, optimizers):
        root = Path(package.__path__[0])
        sources += [path for path in root.rglob("*") if path.suffix in (".py", ".json", ".csv")]
    return digest_of_sources(sources, here.parent)


def digest_of_sources(sources: Sequence[Path], root: Path) -> str:
    """Return the digest of source files, by path below `root` and content, and of the numeric packages' versions."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for package in _NUMERIC_PACKAGES:
        digest.update(f"{package}=={version(package)}".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an experiment needs. searches: by Entry name; fixed: controllers of Entries without a search.

    An Entry has one search for each of its repeats. races: of the Entries whose elites race.
    code: digest of all that computes a value, the engine included. engine: one of ENGINES. bounds, pairs: how many
    test scenarios carry a bound, and how many are run with and without their shocks.
    """

    suite: SuiteDefinition
    suite_digest: str
    code: str
    engine: str
    entries: tuple[str, ...]
    searches: Mapping[str, tuple[SearchJob, ...]]
    fixed: Mapping[str, ControllerRecord]
    races: Mapping[str, Race] = field(default_factory=dict)
    bounds: int = 0
    pairs: int = 0

    @property
    def jobs(self) -> tuple[SearchJob, ...]:
        """All searches of all Entries; Entries that search alike share one, which then stands here twice."""
        return tuple(job for jobs in self.searches.values() for job in jobs)

    def cell(self, scenario: str, controller: ControllerRecord) -> Cell:
        """Return the cell of a scenario under a controller. Its key does not depend on Entry, wave, block or worker."""
        return self.cells((scenario,), controller)[0]

    def cells(self, scenarios: Iterable[str], controller: ControllerRecord) -> list[Cell]:
        """Return the cells of scenarios under a controller, whose digest is computed once: it is most of the work."""
        digest = controller.digest
        return [
            Cell(
                key=content_id("cell", self.code, self.suite_digest, scenario, digest, 0),
                scenario=scenario,
                controller=controller,
            )
            for scenario in scenarios
        ]

    def choice_cells(self, finalists: Sequence[ControllerRecord]) -> list[Cell]:
        """Return the cells that choose between finalists: each on every validation scenario; none for a single one."""
        if len(finalists) < 2:
            return []
        scenarios = self.suite.scenarios("validation")
        return [cell for record in finalists for cell in self.cells(scenarios, record)]

    def score_cells(self, controller: ControllerRecord) -> list[Cell]:
        """Return the cells that score a chosen controller: every test scenario, once."""
        return self.cells(self.suite.scenarios("test"), controller)

    def bound_cells(self) -> list[Cell]:
        """Return the cells that hold bounds: of the first test scenarios, so that families have them in turn."""
        return [self.cell(scenario, BOUND) for scenario in self.suite.scenarios("test")[: self.bounds]]

    def pair_cells(self, controller: ControllerRecord) -> list[Cell]:
        """Return the cells that compare a controller's runs with those of calm twins: of the first test scenarios."""
        return [
            Cell(key=self.pair_key(scenario, controller), scenario=scenario, controller=controller, measure="pair")
            for scenario in self.suite.scenarios("test")[: self.pairs]
        ]

    def pair_key(self, scenario: str, controller: ControllerRecord) -> str:
        """Return the journal key of a run beside its calm twin."""
        return content_id("pair", self.code, self.suite_digest, scenario, controller.digest)

    def counterfactual_cells(self) -> list[Cell]:
        """Return the runs without recovery that handprints compare with; none where nothing is paired."""
        return self.score_cells(LINEAR) if self.pairs else []

    def wave_pair(self, chosen: Iterable[ControllerRecord]) -> list[Cell]:
        """Return the cells of the pair wave for the chosen controllers, each cell once."""
        cells = [cell for controller in chosen for cell in self.pair_cells(controller)]
        return list({cell.key: cell for cell in (*cells, *self.counterfactual_cells())}.values())

    @property
    def timings(self) -> str:
        """The name of the journal's note of CPU seconds."""
        return f"cpu_s/{self.code[:16]}/{self.suite_digest[:16]}"

    def cut(self, cells: Sequence[Cell], workers: int) -> list[Block]:
        """Cut cells into blocks, enough of them to occupy the workers, those first whose cells take long.

        A bound is a block of its own, and so is a run that plans. A block of other controllers that look at the state
        is the NumPy engine's, all of one controller.
        """
        groups: dict[tuple[int, str, str], list[Cell]] = {}
        for cell in cells:
            owner = cell.controller.digest if cell.controller.kind in NEEDS_STATE else ""
            groups.setdefault((self._most(cell), cell.measure, owner), []).append(cell)
        found: list[Block] = []
        for most, measure, owner in sorted(groups):
            found += blocks(groups[most, measure, owner], 1 if owner else workers, most)
        return found

    def _most(self, cell: Cell) -> int:
        """Return how many cells like this one make a block at most."""
        if cell.controller.kind == BOUND.kind or cell.controller.kind in PLANS:
            return 1
        if cell.controller.kind in NEEDS_STATE:
            return max(LANE_WIDTH, _BLOCK_NODE_PERIODS["numpy"] // self.node_periods)
        if cell.measure == "pair":  # two runs each, of the NumPy engine
            return max(LANE_WIDTH, _BLOCK_NODE_PERIODS["numpy"] // (2 * self.node_periods))
        return self.block_cells

    @property
    def block_cells(self) -> int:
        """How many runs make a block at most."""
        return min(_MOST_CELLS, max(_LEAST_CELLS, _BLOCK_NODE_PERIODS[self.engine] // self.node_periods))

    @property
    def node_periods(self) -> int:
        """Nodes times periods of one run, for each product: what searches are compared by."""
        network = self.suite.network
        nodes = len(template_nodes(network) if isinstance(network, str) else network.nodes)
        return nodes * self.suite.periods * len(self.suite.products)

    def choice_key(self, name: str, finalists: Sequence[ControllerRecord]) -> str:
        """Return the journal key of the choice between the finalists of an Entry's searches."""
        digests = [record.digest for record in finalists]
        searches = [job.search for job in self.searches[name]]
        return content_id("choice", searches, digests, self.suite.scenarios("validation"))


def make_plan(spec: "ExperimentSpec") -> Plan:
    """Return the plan of a checked experiment."""
    suite = spec.to_suite()
    suite_digest, code = suite.digest, content_id(code_digest(), spec.engine)
    searches: dict[str, tuple[SearchJob, ...]] = {}
    fixed: dict[str, ControllerRecord] = {}
    races: dict[str, Race] = {}
    train = suite.scenarios("train")
    for entry in spec.entries:
        if entry.search is None:
            fixed[entry.name] = ControllerRecord(kind=entry.controller, parameters=dict(entry.parameters or {}))
            continue
        search = entry.search
        searches[entry.name] = _jobs(entry, (code, suite_digest), train[: search.scenarios])
        if search.race is not None:
            # The scenarios that the search saw would flatter what it found on them.
            fresh = train[search.scenarios : search.scenarios + search.race.scenarios]
            races[entry.name] = Race(
                scenarios=fresh, first=search.race.first, p=search.race.p, finalists=search.finalists
            )
    return Plan(
        suite=suite,
        suite_digest=suite_digest,
        code=code,
        engine=spec.engine,
        entries=tuple(entry.name for entry in spec.entries),
        searches=searches,
        fixed=fixed,
        races=races,
        bounds=spec.bound.scenarios,
        pairs=spec.pairs.scenarios,
    )


def _jobs(entry: "Entry", code: tuple[str, str], scenarios: tuple[str, ...]) -> tuple[SearchJob, ...]:
    """Return an Entry's searches, one for each repeat, seeds in a row. code: digests of what their values rest on."""
    search = entry.search
    if search is None:
        return ()
    handed_over = search.finalists if search.race is None else search.race.candidates
    settings = dict(sorted(search.settings.items()))
    identity = (entry.controller, search.method, search.evaluations, search.width, handed_over)
    more = (settings, search.cpu_seconds)
    return tuple(
        SearchJob(
            search=content_id("search", *code, identity, seed, more, scenarios),
            entry=entry.name,
            controller=entry.controller,
            method=search.method,
            budget=search.evaluations,
            width=search.width,
            seed=seed,
            scenarios=scenarios,
            finalists=handed_over,
            actors=search.actors,
            settings=settings,
            cpu_seconds=search.cpu_seconds,
        )
        for seed in range(search.seed, search.seed + search.repeats)
    )


def known_values(generations: Sequence[Generation]) -> dict[str, CandidateValue]:
    """Return the values that a search's journalled generations hold, by candidate."""
    return {value.candidate: value for generation in generations for value in generation.values}


def blocks(cells: Sequence[Cell], workers: int, most: int) -> list[Block]:
    """Cut cells into blocks of equal size, at most `most` cells, enough of them to occupy the workers."""
    count = max(-(-len(cells) // most), min(workers, len(cells)))
    bounds = [len(cells) * number // count for number in range(count + 1)] if count else []
    return [Block(cells=tuple(cells[low:high])) for low, high in pairwise(bounds)]


def instruments(suite: SuiteDefinition) -> list[dict[str, Any]]:
    """Return the law of the suite's families with provenance, and in how many of up to 64 test scenarios each binds."""
    from sim_core.catalogue.law import weakest
    from sim_core.catalogue.law_words import CONFIDENCE, VERIFICATION
    from sim_core.engine.layout import build_layout
    from sim_core.generate.recipe import instruments as of_recipe
    from sim_core.generate.recipe import recipes_of, suite_law, user_instruments
    from sim_core.policy.timeline import binding
    from sim_core.units import parse_month

    layout = build_layout(suite)
    looked = suite.scenarios("test")[:64]
    own = user_instruments(suite)
    listed = {key for one in suite.listed_families for key in one.law}
    counts: dict[str, int] = {}
    for recipe in recipes_of(suite, looked):
        law = (*of_recipe(suite, recipe), *own)
        for name, binds in binding(law, layout.facts, parse_month(suite.start), suite.periods).items():
            counts[name] = counts.get(name, 0) + int(binds)
    described: list[dict[str, Any]] = [
        {
            "id": name,
            "name": rows[0].name,
            "jurisdiction": rows[0].jurisdiction,
            "type": rows[0].type,
            "reference": rows[0].reference,
            "basis": rows[0].basis,
            "source": rows[0].source,
            "verification": weakest(rows, "verification", tuple(VERIFICATION)),
            "confidence": weakest(rows, "confidence", tuple(CONFIDENCE)),
            "assumed": list(dict.fromkeys(column for row in rows for column in row.assumed)),
        }
        for name, rows in suite_law(suite).items()
        if name in listed
    ]
    described += [
        {
            "id": one.id,
            "name": one.name,
            "jurisdiction": suite.jurisdiction,
            "type": one.type,
            "reference": brought_by,
            "basis": "own",
            "source": brought_by,
            "verification": "own",
            "confidence": "own",
            "assumed": [],
        }
        for one, brought_by in (
            *((one, f"timeline {family.name}") for family in suite.listed_families for one in family.own),
            *((one, "experiment file") for one in own),
        )
    ]
    for row in described:
        row["binds"] = counts.get(row["id"], 0) > 0
        row["binds_in"] = f"{counts.get(row['id'], 0)} of {len(looked)} test scenarios"
    return described
