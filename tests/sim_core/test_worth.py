"""What units and material are worth, and what reuse, remanufacture, second life and recycling keep of it."""

from dataclasses import replace

import numpy as np
import pytest

from sim_core.engine.reverse import inspect, remanufacture, take_back
from sim_core.engine.worth import material_worth, unit_worth
from sim_core.ledger import Flow
from sim_core.metrics import measure
from tests.sim_core import tiny
from tests.sim_core.test_recycling import ROUTES, only, recycled, site
from tests.sim_core.test_reverse import SECOND


def test_a_new_unit_is_worth_its_material_and_its_making(small, bench):
    p = bench.period(small, bench.scenario(small), t=3)
    bom, price = small.products.bom[0], p.terms.virgin_price[:, 0]
    assert material_worth(p)[0, 0] == pytest.approx(bom @ price) and bom @ price > 0.0
    assert unit_worth(p)[0, 0] == pytest.approx(bom @ price + small.common("production.cost"))


def test_what_leaves_use_takes_its_worth_with_it(small, bench):
    p = bench.period(small, bench.scenario(small), t=small.suite.warm_up)
    take_back(p)
    flow, units = p.ledger.flow, p.register["ended"][0]
    assert (units > 0.0).all()
    assert flow[Flow.ENDED_VALUE] == pytest.approx(units * unit_worth(p)[0])
    assert flow[Flow.ENDED_MATERIAL_VALUE] == pytest.approx(units * material_worth(p)[0])


def test_a_unit_made_again_stands_for_the_new_units_that_it_serves_as(small, bench):
    p = bench.period(small, bench.scenario(small), t=small.suite.warm_up, targets=1.0)
    p.state.goods[...] = 0.0
    p.state.cores[0, 0, 0] = 100.0
    remanufacture(p)
    made = p.ledger.flow[Flow.REUSED][0] / small.products.mass[0]
    health = small.products.health[0, 2]
    assert 0.0 < health < 1.0
    assert p.ledger.flow[Flow.KEPT_VALUE][0] == pytest.approx(made * health * unit_worth(p)[0, 0])


def test_a_unit_reused_as_it_is_does_too():
    product = replace(tiny.GRADED, overrides={**tiny.GRADED.overrides, "soh.life1": 0.7, "production.cost": 30.0})
    p = tiny.period(tiny.loop(product, without="z"), {"i.M": 1.0})
    p.state.queue[0, 0, 0] = 100.0
    inspect(p)
    units = p.register["reused"][0, 0]
    assert units > 0.0 and p.ledger.flow[Flow.KEPT_VALUE][0] == pytest.approx(units * 0.7 * 30.0)


def test_a_second_life_keeps_what_it_displaces_and_ends_as_a_unit_that_was_new():
    product = replace(SECOND, overrides={**SECOND.overrides, "production.cost": 30.0})
    p = tiny.period(tiny.loop(product), {"i.M": 1.0})
    p.state.queue[0, 0, 0] = 100.0
    p.state.second_life[...] = 1200.0
    inspect(p)
    taken = p.register["reused"][0, 0]
    assert taken > 0.0 and p.ledger.flow[Flow.KEPT_VALUE][0] == pytest.approx(taken * 0.25 * 30.0)
    assert p.ledger.flow[Flow.ENDED_VALUE][0] == pytest.approx(10.0 * 30.0)


def test_recycling_keeps_the_worth_of_post_consumer_material_alone():
    """So all of a product that goes through a route has the index that the route's recoveries give."""
    layout = site()
    prices = np.arange(1.0, 1.0 + len(layout.facts.materials))
    p = recycled(layout, 300.0, 100.0, route_legal=only("hydro"), virgin_price=prices)
    bom, recovery = layout.products.bom[0], layout.products.recovery[ROUTES.index("hydro"), 0]
    assert p.ledger.flow[Flow.RECOVERED_VALUE][0] == pytest.approx(300.0 * (recovery * bom) @ prices)
    p.ledger.flow[Flow.ENDED_MATERIAL_VALUE] += 300.0 * bom @ prices
    index = measure(layout, p.ledger)["cei"][0]
    assert index == pytest.approx((recovery * bom) @ prices / (bom @ prices)) and 0.0 < index < 1.0


def test_a_run_keeps_a_part_of_what_leaves_use(under_duty, bench):
    scenarios = [bench.scenario(under_duty)]
    found = measure(under_duty, bench.run(under_duty, scenarios, bench.reference(under_duty)))
    assert ((found["cei"] > 0.0) & (found["cei"] < 1.0)).all()
    assert ((found["value_retained"] > 0.0) & (found["value_retained"] < 1.0)).all()
