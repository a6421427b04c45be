"""Live policy: law injected into a running simulation acts as law that was so dated from the start."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizers.controllers import build
from sim_core.control import Controller, ControllerRecord
from sim_core.engine.compliance import ComplianceBook
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.errors import ModelError
from sim_core.ledger import Account
from sim_core.metrics import measure
from sim_core.policy.instrument import PolicyInstrument
from sim_core.scenario import build_scenario

AT = 15  # 2032-04
DUTY: dict[str, Any] = {
    "id": "LIVE-CONTENT", "type": "recycled_content_mandate", "scope": {"material": ["nickel"]},
    "schedule": {"value": 0.35}, "penalty": {"value": 90.0, "unit": "EUR/kg"},
}  # fmt: skip
TAX: dict[str, Any] = {"id": "LIVE-TAX", "type": "landfill_tax", "unit": "EUR/kg", "schedule": {"value": 0.4}}
BAN: dict[str, Any] = {"id": "LIVE-BAN", "type": "landfill_ban", "schedule": {"value": 1.0}}
TARIFF: dict[str, Any] = {
    "id": "LIVE-TARIFF", "type": "import_tariff", "scope": {"process": ["material_import"]},
    "schedule": {"value": 0.5}, "grandfather": "entry",
}  # fmt: skip
ALL = (DUTY, TAX, BAN, TARIFF)


@pytest.fixture(scope="module")
def layout(bench) -> Layout:
    """Two years from 2031, under the law of the catalogue, with a review every half-year."""
    return bench.layout(start="2031-01", warm_up=6, scored=18)


def dated(one: dict[str, Any], day: str) -> dict[str, Any]:
    """The instrument as it would be written if it had always been meant for that day."""
    return {**one, "announced": day, "adopted": day, "schedule": {**one["schedule"], "from": day}}


def linear(layout: Layout) -> Controller:
    """Everything that comes back is landfilled, in every month."""
    return build(layout, [ControllerRecord(kind="linear")] * LANE_WIDTH)


def start(layout: Layout, controller, name: str = "eu_baseline/0") -> Simulation:
    rows, cells = np.zeros(LANE_WIDTH, dtype=np.intp), [f"cell {i}" for i in range(LANE_WIDTH)]
    return Simulation(layout, [build_scenario(layout, name)], rows, controller, cells, trace=True)


def state_bytes(bench, run: Simulation) -> dict[str, bytes]:
    found = {name: stock.tobytes() for name, stock in bench.stocks(run.state).items()}
    found |= {f"paid {name}": paid.tobytes() for name, paid in run.ledger.money.items()}
    return found | {f"moved {name}": moved.tobytes() for name, moved in run.ledger.flow.items()}


def check_the_same_bytes(bench, layout: Layout, one: dict[str, Any]) -> None:
    """A run with the law in its suite from the start, and one that learns of it in period AT."""
    suite = replace(layout.suite, instruments=(dated(one, "2032-04-01"),))
    planned = start(build_layout(suite), linear(layout))
    planned.advance()
    live = start(layout, linear(layout))
    live.advance(AT)
    live.inject(one, AT)
    live.advance()
    expected, found = state_bytes(bench, planned), state_bytes(bench, live)
    assert {name for name in expected if expected[name] != found[name]} == set()
    usual = start(layout, linear(layout))
    usual.advance()
    assert state_bytes(bench, usual) != found, "the law matters"


@pytest.mark.parametrize("one", ALL, ids=lambda one: one["id"])
def test_injected_law_gives_the_bytes_of_law_known_from_the_start(bench, layout: Layout, one: dict[str, Any]):
    check_the_same_bytes(bench, layout, one)


def test_a_book_that_does_not_adopt_new_duties_is_found(bench, layout: Layout, monkeypatch):
    adopt = ComplianceBook.adopt
    monkeypatch.setattr(ComplianceBook, "adopt", lambda self, owed: None if self._accounts else adopt(self, owed))
    with pytest.raises(AssertionError):
        check_the_same_bytes(bench, layout, DUTY)


def test_what_is_over_stays_as_it_was(bench, layout: Layout):
    run = start(layout, bench.reference(layout))
    run.advance(AT)
    before = state_bytes(bench, run)
    run.inject(DUTY)
    assert state_bytes(bench, run) == before and run.t == AT


def test_law_may_be_injected_for_a_period_to_come(bench, layout: Layout):
    """The same bytes whether it is brought in on the day or ordered in advance: nobody can know it earlier."""
    results = []
    for known in (3, AT):
        run = start(layout, bench.reference(layout))
        run.advance(known)
        run.inject(DUTY, AT)
        run.advance()
        results.append(state_bytes(bench, run))
    assert results[0] == results[1]


def test_several_instruments_may_follow_one_another(bench, layout: Layout):
    run = start(layout, bench.reference(layout))
    for i, one in enumerate(ALL):
        run.advance(4 + 3 * i)
        run.inject(PolicyInstrument.from_json(dated(one, "2020-01-01")) if i % 2 else one)
    run.advance()
    assert run.t == layout.suite.periods
    charges = measure(layout, run.ledger)["statutory_charge"]
    usual = start(layout, bench.reference(layout))
    usual.advance()
    assert (charges > measure(layout, usual.ledger)["statutory_charge"]).all()


def test_a_law_with_the_id_of_one_in_force_revises_it(bench, layout: Layout):
    paid = []
    for values in ((0.4,), (0.4, 0.0)):
        run = start(layout, linear(layout))
        for i, value in enumerate(values):
            run.advance(2 + 10 * i)
            run.inject({**TAX, "schedule": {"value": value}})
        run.advance()
        paid.append(run.ledger.money[Account.LANDFILL_TAX])
    assert (paid[0] > paid[1]).all() and (paid[1] > 0.0).all()


def test_a_controller_sees_it_at_its_next_review_and_not_before(bench, layout: Layout):
    seen = bench.recorder(bench.reference(layout))
    run = start(layout, seen, "none/0")
    run.advance(AT)
    run.inject(DUTY)
    run.advance()
    nickel = layout.products.materials.index("nickel")
    announced = {view.period: float(view.announced_duty[:, nickel].max()) for view in seen.seen}
    assert {t: duty > 0.0 for t, duty in announced.items()} == {t: t >= AT for t in range(0, 24, 6)}


@pytest.mark.parametrize(("period", "message"), [(AT - 1, "can't be changed"), (24, "can't be changed"), (-1, "can't")])
def test_a_period_that_is_over_or_beyond_the_end_is_refused(bench, layout: Layout, period: int, message: str):
    run = start(layout, bench.reference(layout))
    run.advance(AT)
    with pytest.raises(ModelError, match=message):
        run.inject(TAX, period)


def test_law_that_concerns_nothing_in_the_suite_is_refused(bench, layout: Layout):
    run = start(layout, bench.reference(layout))
    with pytest.raises(ModelError):
        run.inject({**DUTY, "id": "GOLD", "scope": {"material": ["unobtainium"]}})
    run.advance(2)
    assert run.t == 2, "the simulation goes on under the law that it had"


def test_a_simulation_in_steps_has_the_bytes_of_one_in_a_single_go(bench, layout: Layout):
    at_once, stepped = (start(layout, bench.random_schedules(layout, 3)) for _ in range(2))
    at_once.advance()
    for until in (1, 1, 7, 13, 1000):
        stepped.advance(until)
    assert stepped.t == layout.suite.periods and state_bytes(bench, at_once) == state_bytes(bench, stepped)
