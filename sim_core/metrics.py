"""Metrics of a run, from its closed ledger. Each is a vector over cells; NaN where a metric is undefined."""

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import Layout
from sim_core.ledger import STATUTORY, Account, Flow, Ledger
from sim_core.units import KG_PER_T

Vector = NDArray[np.float64]


def material_circularity(
    *,
    recycled_feed: Vector | float = 0.0,
    reused_feed: Vector | float = 0.0,
    to_recycling: Vector | float = 0.0,
    to_reuse: Vector | float = 0.0,
    feed_efficiency: Vector | float = 1.0,
    collection_efficiency: Vector | float = 1.0,
    utility: Vector | float = 1.0,
) -> Vector:
    """Return the Material Circularity Indicator, in [0, 1].

    Fractions of product mass M = 1: F_R, F_U of the feed; C_R, C_U of what is collected after use; E_F, E_C
    efficiencies of the recycling that made the feed and that takes the product; X the utility (life x intensity over
    the average).
    LFI = (V + W) / (2 + (W_F - W_C) / 2), MCI = max(0, 1 - 0.9 LFI / X).
    Source: Ellen MacArthur Foundation and ANSYS Granta, "Circularity Indicators: Methodology", 2019.
    """
    virgin = 1.0 - np.asarray(recycled_feed) - reused_feed
    lost_feed = (1.0 - np.asarray(feed_efficiency)) * recycled_feed / feed_efficiency
    lost_collected = (1.0 - np.asarray(collection_efficiency)) * to_recycling
    waste = 1.0 - np.asarray(to_recycling) - to_reuse + 0.5 * (lost_feed + lost_collected)
    linear_flow = (virgin + waste) / (2.0 + 0.5 * (lost_feed - lost_collected))
    return np.maximum(0.0, 1.0 - linear_flow * 0.9 / np.asarray(utility))


def measure(layout: Layout, ledger: Ledger) -> dict[str, Vector]:
    """Return all metrics of a closed ledger, each (B,).

    objective: J, EUR. carbon: tCO2e over the scored horizon. circularity: MCI of the scored horizon's totals.
    service: demand served, by state of health, over demand. compliance: 1 - shortfall / duty, the mean over the closed
    windows in which something was due (undefined where nothing was). shortfall_charge, statutory_charge, capex: EUR,
    discounted. recycled_share: of feed. lives: expected lives of a unit in the system (second life apart), by the chain
    of lives with the share of units that got another one, of those at the end of a life that may be followed by one.
    avoided_carbon: tCO2e of new units elsewhere that second use displaced, no part of carbon. node_periods: simulated.
    """
    money, flow = ledger.money, ledger.flow
    feed, reused, ended = flow[Flow.FEED], flow[Flow.REUSED], flow[Flow.END_OF_LIFE]
    total_feed = feed + reused
    efficiency = _share(flow[Flow.RECOVERED], flow[Flow.TO_RECYCLING])
    efficiency = np.where(np.isnan(efficiency) | (efficiency <= 0.0), 1.0, efficiency)
    to_reuse = np.minimum(1.0, _share(flow[Flow.TO_REUSE], ended))
    nodes = len(layout.network.nodes) * layout.suite.periods
    return {
        "objective": ledger.objective(),
        "carbon": flow[Flow.CARBON] / KG_PER_T,
        "circularity": material_circularity(
            recycled_feed=_share(flow[Flow.RECYCLED_FEED], total_feed),
            reused_feed=_share(reused, total_feed),
            to_recycling=np.minimum(1.0 - to_reuse, _share(flow[Flow.TO_RECYCLING], ended)),
            to_reuse=to_reuse,
            feed_efficiency=efficiency,
            collection_efficiency=efficiency,
        ),
        "service": _share(flow[Flow.SERVED], flow[Flow.DEMAND]),
        "compliance": np.maximum(0.0, 1.0 - _share(flow[Flow.SHORT], flow[Flow.DUTY])),
        "shortfall_charge": money[Account.SHORTFALL].copy(),
        "statutory_charge": sum((money[account] for account in STATUTORY), np.zeros_like(money[Account.TARIFF])),
        "capex": money[Account.CAPEX].copy(),
        "recycled_share": _share(flow[Flow.RECYCLED_FEED], feed),
        "lives": _lives(_share(reused, flow[Flow.CAN_AGAIN]), layout.products.lives),
        "avoided_carbon": flow[Flow.DISPLACED] / KG_PER_T,
        "node_periods": np.full(len(feed), float(nodes)),
    }


def expected_lives(transition: NDArray[np.float64]) -> float:
    """Return the expected number of uses of a new unit, the sum of the first row of N = (I - Q)^-1.

    transition: Q, (n, n), the probability that a unit in use state i comes back in use state j; what is missing to 1
    is absorbed. Source: absorbing Markov chains, Kemeny and Snell, "Finite Markov Chains", 1960, theorem 3.2.4. A mean
    of lifecycle counts would be censored by the horizon.
    """
    return float(np.linalg.solve(np.eye(len(transition)) - transition, np.ones(len(transition)))[0])


def _lives(again: Vector, lives: int) -> Vector:
    """Return the expected lives where every end of life leads to another one with the same probability, up to `lives`.

    The chain of `lives` states with `again` above its diagonal: its fundamental matrix has the powers as first row.
    """
    share = np.where(np.isnan(again), 0.0, again)
    return np.sum(share ** np.arange(lives)[:, None], axis=0)


def _share(part: Vector, whole: Vector) -> Vector:
    """Return part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0.0)
