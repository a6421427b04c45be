"""What tests of the mesh share: a small experiment, its rows without a mesh, and gangs in this process."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from orchestrator.gang import Gang
from orchestrator.mesh import Kill, Mesh, Windows
from orchestrator.mesh_seats import InProcessSeat, Seat
from orchestrator.plan import make_plan
from orchestrator.records import CellRow
from orchestrator.shard import Shard
from orchestrator.spec import loads
from orchestrator.tables import rows
from orchestrator.work import Block, Cell, Injection
from sim_core.seeding import canonical_json

TREE: dict[str, Any] = {
    "version": 1,
    "name": "meshed",
    "suite": {
        "name": "meshed",
        "archetype": "ev_battery",
        "network": "loop",
        "seed": 7,
        "start": "2030-01",
        "warm_up": 12,
        "scored": 48,
        "run_out": 8,
        "epoch_months": 6,
        "splits": {
            "train": {"families": ["eu_baseline"], "scenarios": 1},
            "validation": {"families": ["eu_delay"], "scenarios": 1},
            "test": {"families": ["eu_tighten", "eu_weaken"], "scenarios": 6},
        },
        "shortfall_price": {"cobalt": 150, "nickel": 40, "lithium": 120},
    },
    "reference": "practice",
    "entries": [{"name": "practice", "controller": "compliance_base_stock", "parameters": {}}],
    "bound": {"scenarios": 0},
    "pairs": {"scenarios": 0},
}
DUTY = {
    "id": "NEW-CONTENT",
    "type": "recycled_content_mandate",
    "scope": {"material": ["nickel"]},
    "schedule": {"shape": "staircase", "steps": [["EIF", 0.4]]},
    "window": {"months": 12},
    "penalty": {"value": 50.0, "unit": "EUR/kg"},
}
MONTH, PERIOD = "2032-03", 26  # in window 4 of six months
LAW = Injection(instrument=DUTY, period=PERIOD)


class MeshBench:
    """The experiment over any mesh, in windows of six months."""

    def __init__(self, **suite: Any) -> None:
        tree = {**TREE, "suite": {**TREE["suite"], **suite}}
        self.text = canonical_json(tree)  # JSON is YAML
        self.plan = make_plan(loads(self.text))
        self.windows = Windows.of(self.plan.suite, 6)

    @cached_property
    def cells(self) -> list[Cell]:
        return sorted(self.plan.score_cells(self.plan.fixed["practice"]), key=lambda cell: cell.scenario)

    @cached_property
    def plain(self) -> list[CellRow]:
        """The rows without a mesh."""
        return rows(Shard(self.plan.suite).run(Block(cells=tuple(self.cells))))

    def seats(self, shards: int) -> list[InProcessSeat]:
        return [InProcessSeat(self.plan.suite, self.windows, number) for number in range(shards)]

    def gang(self, seats: Sequence[Seat], *kills: tuple[int, int], every: int = 4) -> Gang:
        return Gang(seats, self.windows, kills=[Kill(shard=i, window=j) for i, j in kills], every=every)

    def run(self, gang: Gang, shards: int, **options: Any) -> list[CellRow]:
        tables = gang.run(Mesh(scenario_shards=shards).shares(self.cells), **options)
        return [row for one in tables for row in rows(one)]

    def meshed(self, shards: int, *kills: tuple[int, int], every: int = 4, law: int | None = None) -> list[CellRow]:
        """The rows over a gang in this process. law: the window before which LAW arrives."""
        gang = self.gang(self.seats(shards), *kills, every=every)
        return self.run(gang, shards, arrivals=self.arriving(law))

    def arriving(self, window: int | None) -> Callable[[int], tuple[Injection, ...]]:
        first = None if window is None else self.windows.start(window)
        return lambda start: (LAW,) if start == first else ()


def metrics(found: Sequence[CellRow]) -> list[dict[str, float | None]]:
    """What the rows say, without the keys that they say it under."""
    return [dict(row.metrics) for row in found]
