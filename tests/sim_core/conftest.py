"""One small closed loop (12 nodes, a few months) and the pieces from which tests of the model are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optimizers.controllers import build
from sim_core.control import Control, Controller, ControllerRecord, ControlSchedule, Observation, ScheduleBatch
from sim_core.engine import layout as layouts
from sim_core.engine import rollout
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.period import Period
from sim_core.engine.period import begin as begin_period
from sim_core.engine.products import Products, compile_products
from sim_core.engine.rollout import LANE_WIDTH, simulate
from sim_core.engine.settings import Capacity, Settings
from sim_core.engine.state import State, initial_state
from sim_core.engine.terms import TermsTable
from sim_core.generate.recipe import Event, Recipe
from sim_core.ledger import Ledger
from sim_core.scenario import Scenario, from_recipe
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SPLITS = {
    "train": SplitDefinition(families=("eu_baseline", "eu_tariff"), scenarios=4),
    "validation": SplitDefinition(families=("eu_baseline", "eu_tariff"), scenarios=3),
    "test": SplitDefinition(families=("eu_tighten",), scenarios=2),
}
SMALL = SuiteDefinition(
    name="small",
    products=(ProductShare(archetype="ev_battery"),),
    network="loop",
    seed=7,
    start="2026-01",
    warm_up=2,
    scored=10,
    run_out=0,
    splits=SPLITS,
    shortfall_price={"cobalt": 150.0, "nickel": 40.0, "lithium": 120.0},
    epoch_months=6,
)
_NO_STOCK = ("use", "pipes", "requests", "history", "forecast", "at_goods", "returns_forecast")
SEEN_BY_TESTS = tuple(name for name in State.__slots__ if name not in _NO_STOCK)


def suite(overrides: Mapping[str, float] | None = None, **changes: Any) -> SuiteDefinition:
    """The small suite with changes; overrides: parameters of its one product."""
    if overrides:
        changes["products"] = (ProductShare(archetype="ev_battery", overrides=overrides),)
    return replace(SMALL, **changes)


def scenario(layout: Layout, *events: Event, family: str = "eu_baseline", index: int = 0) -> Scenario:
    """A scenario with exactly these revisions, whatever its family would draw."""
    return from_recipe(layout, Recipe(family=family, index=index, seed=layout.suite.seed, events=events))


def random_schedules(layout: Layout, seed: int, cells: int = LANE_WIDTH) -> ScheduleBatch:
    """Schedules anywhere in the space that a search may try."""
    draw = np.random.default_rng(seed)
    shape = (layout.suite.epochs, len(layout.suite.levers))
    return ScheduleBatch(
        [
            ControlSchedule(levers=draw.random(shape) < 0.5, targets=draw.random((3, len(layout.network.nodes))))
            for _ in range(cells)
        ]
    )


def reference(layout: Layout, cells: int = LANE_WIDTH, **parameters: float) -> Controller:
    return build(layout, [ControllerRecord(kind="compliance_base_stock", parameters=parameters)] * cells)


def run(layout: Layout, scenarios: Sequence[Scenario], controller: Controller, cells: int = LANE_WIDTH) -> Ledger:
    """Simulate `cells` cells, dealt in turn over the scenarios."""
    rows = np.arange(cells) % len(scenarios)
    return simulate(layout, scenarios, rows, controller, [f"cell {i}" for i in range(cells)])


def period(
    layout: Layout, one: Scenario, *, t: int = 0, targets: float = 0.0, levers: Sequence[str] = (), **terms: Any
) -> Period:
    """A period on the initial state, with the same target everywhere and the named levers on."""
    cells = LANE_WIDTH
    now = TermsTable(layout, [one], np.zeros(cells, dtype=np.intp)).at(t)
    on = np.array([float(name in levers) for name in layout.suite.levers])[:, None] * np.ones(cells)
    control = Control(targets=np.full((3, len(layout.network.nodes), cells), targets), levers=on)
    ledger = Ledger(layout.suite, cells)
    ledger.open_period(t)
    return begin_period(
        t=t,
        layout=layout,
        state=initial_state(layout, now.demand),
        terms=replace(now, **{name: np.broadcast_to(v, getattr(now, name).shape) for name, v in terms.items()}),
        settings=Settings(layout, control, cells),
        capacity=Capacity(layout, cells),
        ledger=ledger,
    )


def watch(monkeypatch: pytest.MonkeyPatch, see: Callable[[Period], None]) -> None:
    """Call `see` with each period of the runs that follow, after its step and before its balance is closed."""
    close = rollout.BalanceCheck.close

    def seeing(self, p: Period, *rest) -> None:
        see(p)
        close(self, p, *rest)

    monkeypatch.setattr(rollout.BalanceCheck, "close", seeing)


class Recorder:
    """Acts as a controller, and keeps what it was shown."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.seen: list[Observation] = []

    def decide(self, observation: Observation) -> Control:
        self.seen.append(observation)
        return self._controller.decide(observation)


def stocks(state: State) -> dict[str, np.ndarray]:
    """Every stock and everything in transit or in use, by name."""
    found = {name: getattr(state, name) for name in SEEN_BY_TESTS}
    found |= {group.name: pipe.on_lanes() for group, pipe in state.pipes.items()}
    return {
        **found,
        "in_use_recent": state.use._recent,
        "in_use_vintages": state.use._vintages,
        "hibernating": state.use.hibernating,
    }


@pytest.fixture
def all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layouts have every class of their products, even where the network gives no unit another life."""

    def compiled(*args: Any, one_life: bool) -> Products:
        del one_life
        return compile_products(*args)

    monkeypatch.setattr(layouts, "compile_products", compiled)


@pytest.fixture(scope="session")
def bench() -> SimpleNamespace:
    """The pieces: suite, scenario, controllers, run, period, watch, stocks."""
    return SimpleNamespace(
        suite=suite,
        layout=lambda **changes: build_layout(suite(**changes)),
        scenario=scenario,
        random_schedules=random_schedules,
        reference=reference,
        run=run,
        period=period,
        watch=watch,
        recorder=Recorder,
        stocks=stocks,
    )


@pytest.fixture(scope="session")
def small() -> Layout:
    """The layout of the small suite: 12 months from 2026-01."""
    return build_layout(SMALL)


@pytest.fixture(scope="session")
def under_duty() -> Layout:
    """The small loop in the years when recycled content is owed: 2031-01 to 2033-12, first half a year unscored."""
    return build_layout(suite(start="2031-01", warm_up=6, scored=30))
