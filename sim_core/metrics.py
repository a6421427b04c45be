"""Metrics of a run, from its closed ledger. Each is a vector over cells; NaN where a metric is undefined."""

import numpy as np

from sim_core.circularity import Vector, chained_lives, economy_index, material_circularity, share, value_retained
from sim_core.engine.layout import Layout
from sim_core.ledger import STATUTORY, Account, Flow, Ledger
from sim_core.units import KG_PER_T


def measure(layout: Layout, ledger: Ledger) -> dict[str, Vector]:
    """Return all metrics of a closed ledger, each (B,).

    docs/metrics.md has them all with formula, unit and source; money is discounted unless said.
    objective: J, EUR. carbon: tCO2e over the scored horizon. circularity: MCI of the scored horizon's totals.
    cei: the Circular Economy Index. value_retained: of what left use. service: demand served, by state of health, over
    demand. served: units x state of health. due, lacking: phi x duty and phi x shortfall of the closed windows, EUR
    undiscounted; lacking / due is the severity. compliance: 1 - shortfall / duty, the mean over the closed
    windows in which something was due (undefined where nothing was). shortfall_charge, statutory_charge, capex: EUR,
    discounted. recycled_share: of feed. lives: expected lives of a unit in the system (second life apart), by the chain
    of lives with the share of units that got another one, of those at the end of a life that may be followed by one.
    avoided_carbon: tCO2e of new units elsewhere that second use displaced, no part of carbon. node_periods: simulated.
    """
    money, flow = ledger.money, ledger.flow
    feed, reused, ended = flow[Flow.FEED], flow[Flow.REUSED], flow[Flow.END_OF_LIFE]
    total_feed = feed + reused
    efficiency = share(flow[Flow.RECOVERED], flow[Flow.TO_RECYCLING])
    efficiency = np.where(np.isnan(efficiency) | (efficiency <= 0.0), 1.0, efficiency)
    to_reuse = np.minimum(1.0, share(flow[Flow.TO_REUSE], ended))
    nodes = len(layout.network.nodes) * layout.suite.periods
    return {
        "objective": ledger.objective(),
        "carbon": flow[Flow.CARBON] / KG_PER_T,
        "circularity": material_circularity(
            recycled_feed=share(flow[Flow.RECYCLED_FEED], total_feed),
            reused_feed=share(reused, total_feed),
            to_recycling=np.minimum(1.0 - to_reuse, share(flow[Flow.TO_RECYCLING], ended)),
            to_reuse=to_reuse,
            feed_efficiency=efficiency,
            collection_efficiency=efficiency,
        ),
        "cei": economy_index(flow[Flow.RECOVERED_VALUE], flow[Flow.ENDED_MATERIAL_VALUE]),
        "value_retained": value_retained(flow[Flow.KEPT_VALUE], flow[Flow.RECOVERED_VALUE], flow[Flow.ENDED_VALUE]),
        "service": share(flow[Flow.SERVED], flow[Flow.DEMAND]),
        "compliance": np.maximum(0.0, 1.0 - share(flow[Flow.SHORT], flow[Flow.DUTY])),
        "served": flow[Flow.SERVED].copy(),
        "due": flow[Flow.DUE].copy(),
        "lacking": flow[Flow.LACKING].copy(),
        "shortfall_charge": money[Account.SHORTFALL].copy(),
        "statutory_charge": sum((money[account] for account in STATUTORY), np.zeros_like(money[Account.TARIFF])),
        "capex": money[Account.CAPEX].copy(),
        "recycled_share": share(flow[Flow.RECYCLED_FEED], feed),
        "lives": chained_lives(share(reused, flow[Flow.CAN_AGAIN]), layout.products.lives),
        "avoided_carbon": flow[Flow.DISPLACED] / KG_PER_T,
        "node_periods": np.full(len(feed), float(nodes)),
    }
