"""Programmes that are wrong in one place: each must turn the replay or the bound red."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from sim_core.bound import duties, goods, levers, production, recycling, use_phase
from sim_core.bound.model import Model
from sim_core.bound.program import Program
from sim_core.network import LaneGroup
from sim_core.suite import ProductShare
from tests.sim_core.bound_models import TOLERANCE, Solved, batteries, solved

Patch = pytest.MonkeyPatch
MONTHLY = 260_000.0  # units: about half of what the market asks for


def model(**changes: Any) -> Solved:
    """Batteries under tariffs, a carbon tax, a duty to collect and lanes that are full."""
    laws = (
        ("carbon_tax", 90.0, {}),
        ("import_tariff", 0.2, {"grandfather": "entry"}),
        ("epr_fee", 4.0, {"unit": "EUR/unit"}),
        ("landfill_tax", 0.5, {}),
        ("collection_target", 0.9, {"basis": "ended", "penalty": {"value": 500.0, "unit": "EUR/unit"}}),
    )
    instruments = (
        {"id": f"law {i}", "type": kind, "schedule": {"shape": "step", "from": "2032-06-01", "value": value}, **more}
        for i, (kind, value, more) in enumerate(laws)
    )
    costs = {f"recycling.{route}.cost": 9.0 for route in ("export", "pyro", "hydro", "hydro_high")}
    short = ProductShare(archetype="ev_battery", overrides={"lifetime.scale": 0.2, "disposal.cost": 0.1, **costs})
    usual: dict[str, Any] = {
        "products": (short,),
        "lanes": {LaneGroup.SALES: {"capacity": MONTHLY}},
        "nodes": {kind: {"holding": 20.0} for kind in ("collector", "inspection", "recycler")},
    }
    return solved(batteries(*instruments, **{**usual, **changes}), "eu_tighten/1", vertex=True)


@cache
def right() -> Solved:
    return model()


@cache
def reachable() -> float:
    """What the right programme's plan costs in the engine: a control that exists."""
    return right().replay()


def test_the_right_programme_replays_exactly_and_is_not_beaten_by_its_own_plan():
    assert right().error() <= TOLERANCE
    assert reachable() >= right().found.lower - TOLERANCE * abs(reachable())


def nothing(*given: Any, **named: Any) -> None:
    """Charge nothing."""


def without_freight(patch: Patch) -> None:
    patch.setattr(Model, "freight", nothing)


def without_carbon(patch: Patch) -> None:
    patch.setattr(Model, "emit", nothing)


def without_duty_at_entry(patch: Patch) -> None:
    patch.setattr(production, "_charge_entry", nothing)


def without_lost_sales(patch: Patch) -> None:
    serve = goods._serve

    def free(model: Model, *given: Any) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(Model, "price", nothing)
            serve(model, *given)

    patch.setattr(goods, "_serve", free)


def without_value_of_stocks(patch: Patch) -> None:
    patch.setattr(Model, "keep", nothing)


def without_penalty(patch: Patch) -> None:
    patch.setattr(duties._Account, "settle", nothing)


def without_capex(patch: Patch) -> None:
    patch.setattr(levers, "annuity_factor", lambda layout: 0.0)


def without_processing(patch: Patch) -> None:
    patch.setattr(recycling, "_book", nothing)


def without_disposal(patch: Patch) -> None:
    patch.setattr(recycling, "_dispose", nothing)


def a_month_later(patch: Patch) -> None:
    ship = Model._ship

    def late(self: Model, group: LaneGroup, amount: Any, parts: Any, lead: Any = None) -> None:
        ship(self, group, amount, parts, (self.layout.lanes[group].lead if lead is None else lead) + 1)

    patch.setattr(Model, "_ship", late)


@pytest.mark.parametrize(
    "mutate",
    [
        without_freight, without_carbon, without_duty_at_entry, without_lost_sales, without_value_of_stocks,
        without_penalty, without_capex, without_processing, without_disposal, a_month_later,
    ],
)  # fmt: skip
def test_a_replay_finds_what_a_programme_forgets(mutate: Callable[[Patch], None], monkeypatch: Patch):
    mutate(monkeypatch)
    assert model().error() > 10.0 * TOLERANCE


def test_a_replay_finds_a_programme_that_forgets_what_units_are_worth_with_their_users(monkeypatch: Patch):
    worth = (ProductShare(archetype="ev_battery", overrides={"lifetime.scale": 0.2}),)
    assert model(products=worth).error() <= TOLERANCE
    monkeypatch.setattr(use_phase, "_value", nothing)
    assert model(products=worth).error() > 10.0 * TOLERANCE


def dearer(patch: Patch) -> None:
    pay = Model.price
    patch.setattr(Model, "price", lambda self, columns, rate: pay(self, columns, 1.01 * np.asarray(rate)))


def half_a_lane(patch: Patch) -> None:
    limit = Program.limit

    def halved(self: Program, total: Any, most: Any) -> None:
        limit(self, total, np.where(np.asarray(most) == MONTHLY, 0.5 * MONTHLY, most))

    patch.setattr(Program, "limit", halved)


@pytest.mark.parametrize("mutate", [dearer, half_a_lane, a_month_later])
def test_a_control_beats_a_programme_that_allows_too_little(mutate: Callable[[Patch], None], monkeypatch: Patch):
    mutate(monkeypatch)
    assert reachable() < model().found.lower - 10.0 * TOLERANCE * abs(reachable())
