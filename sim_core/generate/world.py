"""A family's world beside the law: regimes of the carbon price, slumps, prices that move together, drift, crises.

A family opts in by naming a World; each default is neutral and leaves every path as it is without one. The processes
draw from streams of their own, so that what a neutral world draws stays as it was. Axis 0 is the scenario, axis 1 the
period. All numbers that families name are assumptions of this project.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.generate.processes import autoregressive, chance
from sim_core.units import MONTHS_PER_YEAR

Array = NDArray[np.float64]
Draws = Callable[[str, int], Array]  # stream, columns -> (B, T, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How prices, demand, returns and disruptions move, beyond what the archetype's parameters say.

    carbon_levels: logarithm of the level that the carbon price reverts to in the calm and in the tight regime.
    carbon_switches: of the regime, a year: to tight, to calm. carbon_jumps: a year; carbon_jump: standard deviation of
    a jump's logarithm.
    slumps: of demand, a year, for all products; slump_depth: range of the share lost at first, of which half is back
    after slump_months.
    price_correlation: of two materials' virgin price shocks. premium_correlation: of the shocks of a material's
    external premium with those of its virgin price.
    collection_drift: range of the change of the collection share's log odds a year, one draw a scenario and product;
    collection_noise: standard deviation of its log odds around that.
    crises: of the region, a year, without those that follow from others; crisis_branching: how many further ones each
    causes on average, after crisis_months on average; crisis_reach: largest share of nodes and lanes that one puts out.
    """

    carbon_levels: tuple[float, float] = (0.0, 0.0)
    carbon_switches: tuple[float, float] = (0.0, 0.0)
    carbon_jumps: float = 0.0
    carbon_jump: float = 0.0
    slumps: float = 0.0
    slump_depth: tuple[float, float] = (0.0, 0.0)
    slump_months: float = 9.0
    price_correlation: float = 0.0
    premium_correlation: float = 0.0
    collection_drift: tuple[float, float] = (0.0, 0.0)
    collection_noise: float = 0.0
    crises: float = 0.0
    crisis_branching: float = 0.0
    crisis_months: float = 4.0
    crisis_reach: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.crisis_branching < 1.0:
            raise ModelError(f"crisis_branching must lie in [0, 1), else they never end, not {self.crisis_branching:g}")
        if not (0.0 <= self.price_correlation <= 1.0 and -1.0 <= self.premium_correlation <= 1.0):
            raise ModelError("price_correlation must lie in [0, 1], premium_correlation in [-1, 1]")
        if not 0.0 <= self.slump_depth[0] <= self.slump_depth[1] < 1.0:
            raise ModelError(f"slump_depth must be a range of shares below 1, not {self.slump_depth}")
        if self.slump_months <= 0.0 or self.crisis_months <= 0.0:
            raise ModelError("slump_months and crisis_months must be above 0")


NEUTRAL = World()


def carbon_push(world: World, decay: float, uniform: Draws, normal: Draws, *, jumps: bool) -> float | Array:
    """Return what is added to the shocks of the carbon price's logarithm, (B, T): its regime's pull, and its jumps."""
    push: float | Array = 0.0
    if world.carbon_levels != NEUTRAL.carbon_levels:
        calm, tight = world.carbon_levels
        push = (1.0 - decay) * np.where(_regimes(world, uniform("carbon regime", 1)[..., 0]), tight, calm)
    if world.carbon_jumps and jumps:
        jumped = uniform("carbon jump", 1)[..., 0] < chance(world.carbon_jumps)
        push = push + np.where(jumped, world.carbon_jump * normal("carbon jump size", 1)[..., 0], 0.0)
    return push


def _regimes(world: World, u: Array) -> NDArray[np.bool_]:
    """Return where the carbon price is in its tight regime, (B, T), calm before the first period."""
    to_tight, to_calm = (chance(rate) for rate in world.carbon_switches)
    tight = np.zeros(u.shape, dtype=np.bool_)
    now = np.zeros(len(u), dtype=np.bool_)
    for t in range(u.shape[1]):
        now = np.where(now, u[:, t] >= to_calm, u[:, t] < to_tight)
        tight[:, t] = now
    return tight


def slump(world: World, uniform: Draws) -> Array | None:
    """Return the factor of demand, (B, T); None where no slump can be."""
    if not world.slumps:
        return None
    u = uniform("demand slump", 2)
    low, high = world.slump_depth
    fall = np.log(1.0 - (low + (high - low) * u[..., 1]))
    starts = np.where(u[..., 0] < chance(world.slumps), fall, 0.0)
    return np.exp(autoregressive(0.5 ** (1.0 / world.slump_months), starts))


def together(world: World, shocks: Array, normal: Draws) -> Array:
    """Return virgin price shocks, (B, T, M) standard normal, with the correlation between materials."""
    if not world.price_correlation:
        return shocks
    common = normal("price factor", 1)
    return np.sqrt(world.price_correlation) * common + np.sqrt(1.0 - world.price_correlation) * shocks


def with_virgin(world: World, shocks: Array, virgin: Array) -> Array:
    """Return the shocks of the external premium, (B, T, M) standard normal, correlated with the virgin price's."""
    c = world.premium_correlation
    return shocks if not c else c * virgin + np.sqrt(1.0 - c**2) * shocks


def drifting(world: World, share: Array, years: Array, uniform: Draws, normal: Draws) -> Array:
    """Return the collection share of each period, (B, T, P), given those at the base date, (B, P)."""
    still = np.repeat(share[:, None, :], len(years), axis=1)
    low, high = world.collection_drift
    if low == high == world.collection_noise == 0.0:
        return still
    products = share.shape[1]
    drift = low + (high - low) * uniform("collection drift", products)[:, :1]
    decay = 0.5 ** (1.0 / MONTHS_PER_YEAR)  # half of what is away from the drift is gone after a year
    noise = world.collection_noise * np.sqrt(1.0 - decay**2) * normal("collection noise", products)
    sure = (still <= 0.0) | (still >= 1.0)  # nothing comes back, or all: no odds to drift
    first = np.where(sure, 0.5, still)
    odds = np.log(first / (1.0 - first)) + drift * np.maximum(years, 0.0)[:, None] + autoregressive(decay, noise)
    return np.where(sure, still, 1.0 / (1.0 + np.exp(-odds)))


def crises(world: World, uniform: Draws) -> Array | None:
    """Return the share of nodes and lanes that a crisis puts out in each month, (B, T); None where none can be.

    A self-exciting point process (Hawkes, Biometrika 58 (1971) 83-90) in months with exponential decay, marked by its
    reach. It is the region's: a node more changes nothing for the others.
    """
    if not world.crises:
        return None
    u = uniform("crisis", 2)
    decay = np.exp(-1.0 / world.crisis_months)
    # Over all months after it, a crisis of mean mark adds crisis_branching expected ones: the sum of decay^k, k >= 1.
    gain = world.crisis_branching * (1.0 - decay) / decay
    base = chance(world.crises)
    marks, excited = np.zeros(u.shape[:2]), np.zeros(len(u))
    for t in range(u.shape[1]):
        excited = decay * excited
        struck = u[:, t, 0] < 1.0 - np.exp(-(base + excited))
        mark = np.where(struck, u[:, t, 1], 0.0)
        excited = excited + gain * 2.0 * mark  # a mark is 1/2 on average
        marks[:, t] = world.crisis_reach * mark
    return marks
