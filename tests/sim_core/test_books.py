"""The books: what a run owes at its ends, opening and terminal values, annuities, and the sum that is J."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sim_core.engine import books
from sim_core.engine.books import book_opening, book_terminal, hold, take_stock
from sim_core.engine.layout import build_layout
from sim_core.engine.settings import Capacity
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import LaneGroup, NodeKind
from tests.sim_core import tiny

CELLS = 8


def test_what_is_owed_when_scoring_ends_is_settled(bench):
    """Else a run that ends before December owes nothing for its last months."""
    layout = bench.layout(start="2032-01", warm_up=0, scored=18, discount_rate=0.0)
    ledger = bench.run(layout, [bench.scenario(layout)], bench.reference(layout, recycled_cover=0.0))
    longer = bench.layout(start="2032-01", warm_up=0, scored=12, discount_rate=0.0)
    one_year = bench.run(longer, [bench.scenario(longer)], bench.reference(longer, recycled_cover=0.0))
    assert (one_year.flow[Flow.DUTY] > 0.0).all() and (ledger.flow[Flow.DUTY] > one_year.flow[Flow.DUTY]).all()
    assert (ledger.money[Account.SHORTFALL] > 1.3 * one_year.money[Account.SHORTFALL]).all()


def test_the_objective_is_the_sum_of_its_accounts(small, bench):
    ledger = bench.run(small, [bench.scenario(small)], bench.random_schedules(small, 3))
    assert ledger.objective() == pytest.approx(sum(ledger.money[account] for account in Account), rel=1e-12)
    assert (np.abs(ledger.objective()) > 0).all()


def test_money_is_discounted_to_the_start_of_scoring_and_flows_are_not(bench):
    layout = bench.layout(warm_up=3, scored=24, run_out=2)
    ledger = Ledger(layout.suite, CELLS)
    for t in range(layout.suite.periods):
        ledger.open_period(t)
        ledger.pay(Account.PRODUCTION, np.ones(CELLS))
        ledger.move(Flow.DEMAND, np.ones(CELLS))
    assert ledger.money[Account.PRODUCTION][0] == pytest.approx(sum(1.05 ** (-k / 12) for k in range(24)), rel=1e-12)
    assert ledger.flow[Flow.DEMAND][0] == 24.0


LANES = {
    "goods_in_transit": LaneGroup.GOODS,
    "cores_in_transit": LaneGroup.CORES,
    "reused_in_transit": LaneGroup.REUSE,
}


def booked(bench, layout, book, place: str = "", stock: float = 0.0, **terms) -> float:
    """What a book enters for a stock of so many kg of cobalt, or kWh, in one place, beside what is there."""
    p = bench.period(layout, bench.scenario(layout), t=layout.suite.warm_up, **terms)
    state = p.state
    if place == "feed":
        state.feed[0, 0, 0] += stock
    elif place == "recycled_feed":
        state.feed[0, 0, 2] += stock
    elif place == "material_in_transit":
        flow = np.zeros_like(state.pipes[LaneGroup.VIRGIN].on_lanes())
        flow[0, 0] = stock
        state.pipes[LaneGroup.VIRGIN].send(p.t, flow)
    elif place in LANES:
        pipe = state.pipes[LANES[place]]
        flow = np.zeros_like(pipe.on_lanes())
        flow.reshape(-1, flow.shape[-1])[0] = stock
        pipe.send(p.t, flow)
    elif place:
        at = getattr(state, place)
        at.reshape(-1, at.shape[-1])[0] += stock
    book(p, take_stock(p))
    account = Account.HOLDING if book is hold else Account.TERMINAL
    return float(p.ledger.money[account][0])


def worth(bench, layout, book, place: str, **terms) -> float:
    """What a hundred more in a place change in a book, per unit."""
    filled = booked(bench, layout, book, place, 100.0, **terms)
    return (filled - booked(bench, layout, book, **terms)) / 100.0


PRICE = np.repeat(np.array([20.0, 9.0, 7.0, 5.0, 3.0])[:, None], CELLS, axis=1)  # EUR/kg, cobalt first


def check_stocks_have_their_values(bench, layout) -> None:
    """Feed and goods at what they cost to replace today, returned packs at recovery value, second life at nothing."""
    goods = float(layout.products.bom[0] @ PRICE[:, 0] + layout.value("production.cost")[0, 0])
    core = float(layout.value_core[0])
    assert core > 0.0
    values = {
        "feed": 20.0, "recycled_feed": 20.0, "material_in_transit": 20.0,
        "goods": goods, "goods_in_transit": goods, "reused_in_transit": goods,
        "collected": core, "queue": core, "cores": core, "recycler_feed": core, "cores_in_transit": core,
        "second_life": 0.0,
    }  # fmt: skip
    rate = layout.common("holding.rate") / 12
    for place, value in values.items():
        assert worth(bench, layout, book_opening, place, virgin_price=PRICE) == pytest.approx(value), place
        assert worth(bench, layout, book_terminal, place, virgin_price=PRICE) == pytest.approx(-value), place
        assert worth(bench, layout, hold, place, virgin_price=PRICE) == pytest.approx(rate * value, abs=1e-9), place


def test_stocks_have_their_values_at_the_scenarios_price(small, bench):
    check_stocks_have_their_values(bench, small)


def test_stocks_at_the_catalogues_price_are_found(small, bench, monkeypatch):
    value = books._stock_value
    base = small.products.by_material("price")[:, None]

    def at_base(p, holdings):
        p.terms = replace(p.terms, virgin_price=base * np.ones_like(p.terms.virgin_price))
        return value(p, holdings)

    monkeypatch.setattr(books, "_stock_value", at_base)
    with pytest.raises(AssertionError):
        check_stocks_have_their_values(bench, small)


def test_units_in_use_are_worth_something_at_the_end_and_cost_no_holding(small, bench):
    def in_use(book) -> float:
        p = bench.period(small, bench.scenario(small), t=small.suite.warm_up)
        p.state.use.sell(0, np.full((1, 1, small.products.classes, CELLS), 100.0), np.zeros(CELLS))
        book(p, take_stock(p))
        account = Account.HOLDING if book is hold else Account.TERMINAL
        return float(p.ledger.money[account][0])

    worth_each = float(small.value_in_use[0])
    gained = in_use(book_terminal) - booked(bench, small, book_terminal)
    assert gained == pytest.approx(-100.0 * small.products.classes * worth_each) and worth_each > 0.0
    assert in_use(hold) == pytest.approx(booked(bench, small, hold), rel=1e-12)


def test_stock_held_at_the_start_of_scoring_is_charged_what_it_is_paid_at_the_end(small, bench):
    """Else stock bought in the warm-up, which is not scored, would be free."""
    charged, paid = (worth(bench, small, book, "feed") for book in (book_opening, book_terminal))
    price = bench.scenario(small).paths.virgin_price[small.suite.warm_up, 0]
    assert price != small.common("price.cobalt") and charged == pytest.approx(price)
    assert paid == pytest.approx(-charged, rel=1e-9)


def test_a_warm_up_that_only_stocks_up_gains_nothing(bench):
    """Feed bought before scoring and used in it costs no less than feed bought in it, but for the time value."""
    layout = bench.layout(warm_up=6, scored=6, discount_rate=0.0)
    results = []
    for cover in (0.35, 0.9):
        ledger = bench.run(layout, [bench.scenario(layout)], bench.reference(layout, plant_cover=cover))
        results.append(ledger.objective()[0])
    assert results[1] > results[0]


def check_an_investment_costs_its_capex(layout) -> None:
    """In present value at the decision, over its life: no less, and at most a month's interest more."""
    capacity = Capacity(layout, CELLS)
    settings = SimpleNamespace(lever=lambda name: np.full(CELLS, float(name == "invest_recycler")))
    capacity.review(0, settings)  # pyright: ignore[reportArgumentType]
    build, life = int(layout.common("invest.build_months")), int(layout.common("invest.life_months"))
    paid = np.array([capacity.annuity(t)[0] for t in range(layout.suite.periods)])
    assert not paid[:build].any() and not paid[build + life :].any() and (paid[build : build + life] > 0).all()
    months = np.arange(layout.suite.periods)
    value = float((paid * (1.0 + layout.suite.discount_rate) ** (-months / 12.0)).sum())
    step = layout.common("invest.recycler.step")
    capex = layout.common("invest.recycler.capex") * step
    assert value >= capex * (1.0 - 1e-9) and value == pytest.approx(capex, rel=0.007)
    sites = layout.count[NodeKind.RECYCLER]
    assert capacity.added(NodeKind.RECYCLER, build)[0, 0] == pytest.approx(step / sites), "a step is the region's"
    assert (
        not capacity.added(NodeKind.RECYCLER, build - 1).any() and not capacity.added(NodeKind.COLLECTOR, build).any()
    )


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.05, 0.08])
def test_the_annuity_of_an_investment_is_worth_its_capex(bench, rate: float):
    check_an_investment_costs_its_capex(bench.layout(network="regional", scored=298, discount_rate=rate))


@pytest.mark.parametrize("factor", [0.9, 1.02, 1.05**-2])
def test_an_annuity_over_the_wrong_life_or_without_interest_for_the_building_is_found(bench, monkeypatch, factor):
    layout = bench.layout(scored=298)
    assert layout.common("invest.build_months") == 24
    annuity = Capacity.annuity
    monkeypatch.setattr(Capacity, "annuity", lambda self, t: factor * annuity(self, t))
    with pytest.raises(AssertionError):
        check_an_investment_costs_its_capex(layout)


def test_investments_add_up_and_each_is_paid(bench):
    layout = bench.layout(scored=60)
    capacity = Capacity(layout, CELLS)
    settings = SimpleNamespace(lever=lambda name: np.full(CELLS, float(name == "invest_collector")))
    for t in (0, 6):
        capacity.review(t, settings)  # pyright: ignore[reportArgumentType]
    build = int(layout.common("invest.build_months"))
    one, two = (capacity.added(NodeKind.COLLECTOR, build + t)[0, 0] for t in (0, 6))
    assert two == pytest.approx(2 * one)
    assert capacity.annuity(build + 6)[0] == pytest.approx(2 * capacity.annuity(build)[0])


def test_terminal_values_do_not_pay_for_stock_bought_cheaply(bench):
    """In a scenario whose prices have fallen for good, filling the stores at the end must not be a profit."""
    layout = bench.layout(warm_up=0, scored=12, epoch_months=6, discount_rate=0.0)
    one = bench.scenario(layout)
    cheap = replace(one, paths=replace(one.paths, virgin_price=0.5 * one.paths.virgin_price))
    reference = bench.reference(layout)

    def filling(observation):
        control = reference.decide(observation)
        targets = control.targets.copy()
        targets[0, layout.targets[NodeKind.PLANT]] = (
            1.0 if observation.epoch else targets[0, layout.targets[NodeKind.PLANT]]
        )
        return replace(control, targets=targets)

    usual = bench.run(layout, [cheap], reference).objective()[0]
    filled = bench.run(layout, [cheap], SimpleNamespace(decide=filling)).objective()[0]
    assert filled > usual


def test_nodes_charge_for_stock_and_senders_for_what_is_on_its_way():
    """Of 5 units at the plant, 3 at the warehouse, 2 between them: 5 x 1 + 3 x 4 + 2 x 1 EUR, and 7 cores at 0.5."""
    network = tiny.net(
        {
            "v": "supplier",
            "f": ("plant", {"holding": 1.0}),
            "w": ("warehouse", {"holding": 4.0}),
            "m": ("market", {"demand": tiny.demand(1.0)}),
            "r": ("remanufacturer", {"holding": 0.5}),
        },
        {"v > f": {"lead": 1}, "f > w": {"lead": 2}, "w > m": {}, "r > w": {}},
    )
    p = tiny.period(build_layout(tiny.suite(network)))
    p.state.goods[0, 0, 0], p.state.goods[1, 0, 0] = 5.0, 3.0
    p.state.pipes[LaneGroup.GOODS].send(0, np.full((1, 1, 3, CELLS), 2.0 / 3.0))
    p.state.cores[0, 0, 0] = 7.0
    hold(p, take_stock(p))
    assert p.ledger.money[Account.HOLDING][0] == pytest.approx(5.0 + 12.0 + 2.0 + 3.5)
