"""compliance_greedy: compliance at the least price: what closes the gap to announced law cheapest is done first.

At each review it estimates, for every material with an announced duty of recycled content, how much the plants will
lack a month, and what each of four ways would close of it at which cost: buying recycled feed outside, the route that
recovers more, buying used units back, and a step of recycling capacity. The ways are then taken in order of EUR per kg
that they close, until nothing is lacking (the greedy rule of Dantzig 1957 for a knapsack).

The estimates (see `estimate`) are of the month in which a step decided today would be ready, at prices of today:
    need    = forecast of the plants x material per unit, scrap included, x the highest duty announced for the months
              seen, and a margin on top
    own     = smoothed returns x the share of new units graded C or D, production scrap, and a twelfth of what waits at
              recyclers, through the routes that are announced to stay open, on the capacity that is there or being
              built; origins that no duty counts not
    growth  = of forecast and of returns, goes on as over the last year or longest time that was reviewed, within limits
    outside = the market's capacity, at what it costs more than virgin material
    route   = what the best recovery first would win more, at what that costs more
    return  = what buying back would bring, at its price, collection, inspection and treatment
    invest  = what a step would win more, at its annuity and treatment
Units are bought back besides where more is to be collected within a year than comes back by itself, with the margin.
Material that is won saves its virgin price; export quotas are left out. It plans from the state of the simulation; of
law it sees what is announced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.controllers.covers import COVERS, covered, usual_covers
from optimizers.controllers.parameters import read_parameters
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.engine.production import scrap_share
from sim_core.engine.products import C
from sim_core.engine.settings import M, annuity_factor
from sim_core.engine.situation import Situation, situation_of
from sim_core.network import NodeKind
from sim_core.policy.kinds import ORIGINS
from sim_core.units import MONTHS_PER_YEAR

KIND = "compliance_greedy"
PLANNING, MARGIN = "planning", "margin"
OUTSIDE = "outside"
WAYS = (OUTSIDE, "alternative_route", "buy_back", "invest_recycler")
_USUAL = {PLANNING: 0.6, MARGIN: 0.1}  # of the months that may be seen; of the need (assumptions)
_MOST_GROWTH = 3.0  # until a step is ready (assumption)
_CRUMB = 1e-9  # kg a month
Array = NDArray[np.float64]


def compliance_greedy_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice, law acted on 0.6 of the visible months ahead, and a margin of a tenth."""
    return {**usual_covers(layout, COVERS), **_USUAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """What a review expects, a month. W ways, in the order of WAYS.

    gap: (M, B) kg that will lack. closes: (W, M, B) kg that each way closes of it. fixed: (W, B) EUR that a way costs.
    price: (W, M, B) EUR per kg that it closes, on top.
    """

    gap: Array
    closes: Array
    fixed: Array
    price: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feed:
    """What recyclers get in a month, by product: post-consumer and scrap, (P, B) kg, and lines (lines, B) kg."""

    used: Array
    scrap: Array
    lines: Array


class ComplianceGreedy:
    """B controllers. The covers as of compliance_base_stock; planning: how far ahead announced law is acted on, as a
    share of the months that may be seen; margin: by how much more than the duty is aimed at.
    """

    def __init__(self, layout: Layout, items: Sequence[Mapping[str, Any]]) -> None:
        """Raises ModelError as read_parameters."""
        values = read_parameters(KIND, items, compliance_greedy_defaults(layout))
        self._layout = layout
        self._planning, self._margin = values[PLANNING], values[MARGIN]
        self._targets = covered(layout, values, len(items))
        self._bought_back = np.zeros(len(items))
        self._flows: list[tuple[int, Array, Array]] = []  # month, forecast and returns (P, B) of past reviews
        self._counts = _origins_that_count(layout)

    def decide(self, observation: Observation) -> Control:
        """Take the ways that close the gap cheapest. Raises ModelError without a state."""
        taken = self._choose(self.estimate(observation))
        taken[WAYS.index("buy_back")] |= self._uncollected(observation)
        levers = np.zeros((len(self._layout.suite.levers), len(self._planning)))
        for way, on in zip(WAYS, taken, strict=True):
            if way in self._layout.suite.levers:
                levers[self._layout.suite.levers.index(way)] = on
        self._remember(situation_of(observation, KIND), taken[WAYS.index("buy_back")].astype(np.float64))
        targets = self._targets.copy()
        targets[M, self._layout.targets[NodeKind.PLANT]] *= taken[WAYS.index(OUTSIDE)]
        return Control(targets=targets, levers=levers)

    def estimate(self, observation: Observation) -> Estimates:
        """Return what is lacking and what each way would do about it. Raises ModelError without a state."""
        layout, now = self._layout, situation_of(observation, KIND)
        terms, cells = now.table.at(now.t), now.cells
        virgin = terms.virgin_price[:, cells]
        duty, legal = self._seen(observation)
        made, returned = self._expected(now)
        feed = self._feed(now, made, returned)
        need = (layout.products.bom / (1.0 - scrap_share(layout, now.t))).T @ made
        lifted = self._lifted(terms.collection_share[:, cells]) / terms.collection_share[:, cells]
        before = self._win(feed, legal)
        gap = np.maximum(0.0, (1.0 + self._margin) * duty * need - before[0])
        shape = (len(WAYS), *gap.shape)
        closes, fixed, price = np.zeros(shape), np.zeros((shape[0], shape[2])), np.zeros(shape)
        if layout.count[NodeKind.EXTERNAL]:
            closes[0] = terms.external_capacity[:, cells] * self._counts[:, ORIGINS.index("external"), None]
            price[0] = terms.external_price[:, cells] - virgin
        after = (
            self._win(feed, legal, best_first=True),
            self._win(self._feed(now, made, returned * lifted), legal),
            self._win(self._invested(feed), legal),
        )
        own_cost = (0.0, self._cost_of_return(returned, lifted), _cost_of_step(layout))
        for way, (won, more) in enumerate(zip(after, own_cost, strict=True), start=1):
            closes[way] = won[0] - before[0]
            saved = ((won[2] - before[2]) * virgin).sum(axis=0)
            fixed[way] = more + won[1] - before[1] - saved
        return Estimates(gap=gap, closes=np.maximum(0.0, closes), fixed=fixed, price=price)

    def _choose(self, found: Estimates) -> NDArray[np.bool_]:
        """Return which ways are taken, (W, B): the cheapest by what it closes first, until all is closed."""
        usable = np.array([way == OUTSIDE or way in self._layout.suite.levers for way in WAYS])
        taken = np.zeros(found.fixed.shape, dtype=bool)
        gap, cells = found.gap.copy(), np.arange(found.gap.shape[1])
        for _ in WAYS:
            closed = np.minimum(found.closes, gap)
            total = closed.sum(axis=1)
            helps = (total > _CRUMB) & usable[:, None] & ~taken
            cost = found.fixed + (found.price * closed).sum(axis=1)
            rate = np.where(helps, cost / np.where(helps, total, 1.0), np.inf)
            best = rate.argmin(axis=0)
            some = helps.any(axis=0)
            taken[best, cells] |= some
            gap = gap - np.where(some, closed[best, :, cells].T, 0.0)
        return taken

    def _seen(self, observation: Observation) -> tuple[Array, Array]:
        """Return the highest duty, (M, B), and the routes that stay open, (Q, B), in the planned months."""
        duty, legal = observation.announced_duty, observation.announced_route_legal
        months = np.arange(len(duty))[:, None, None]
        seen = months < np.maximum(1.0, self._planning * len(duty))
        return (duty * seen).max(axis=0), np.all(legal | ~seen, axis=0).astype(np.float64)

    def _uncollected(self, observation: Observation) -> NDArray[np.bool_]:
        """Return where announced law wants more collected within a year than comes back without buying, (B,)."""
        now = situation_of(observation, KIND)
        share = now.table.at(now.t).collection_share[:, now.cells].min(axis=0)
        return (1.0 + self._margin) * observation.announced_collection[:MONTHS_PER_YEAR].max(axis=0) > share

    def _remember(self, now: Situation, bought_back: Array) -> None:
        """Keep what this review saw and did, back to the first review that is a year old."""
        self._flows.append((now.t, *self._flows_of(now)))
        while len(self._flows) > 1 and now.t - self._flows[1][0] >= MONTHS_PER_YEAR:
            del self._flows[0]
        self._bought_back = bought_back

    def _flows_of(self, now: Situation) -> tuple[Array, Array]:
        """Return the plants' forecast and the smoothed returns as they would be without buying back, (P, B) units."""
        share = now.table.at(now.t).collection_share[:, now.cells]
        lifted = 1.0 + self._bought_back * (self._lifted(share) / share - 1.0)
        made, returned = now.state.plant_forecast, now.state.returns_forecast
        return made[..., now.cells].sum(axis=0), returned[..., now.cells].sum(axis=0) / lifted

    def _expected(self, now: Situation) -> tuple[Array, Array]:
        """Return the same for the month in which a step of capacity would be ready."""
        flows = self._flows_of(now)
        if not self._flows or now.t <= self._flows[0][0]:
            return flows
        since, *before = self._flows[0]
        ahead = self._layout.common("invest.build_months") / (now.t - since)
        growth = [
            np.divide(flow, old, out=np.ones_like(flow), where=old > _CRUMB)
            for flow, old in zip(flows, before, strict=True)
        ]
        made, returned = (
            flow * np.clip(rate**ahead, 1.0 / _MOST_GROWTH, _MOST_GROWTH)
            for flow, rate in zip(flows, growth, strict=True)
        )
        return made, returned

    def _feed(self, now: Situation, made: Array, returned: Array) -> _Feed:
        """Return what recyclers will get from made and returned units (P, B) a month, and the lines they will have."""
        layout, products, cells = self._layout, self._layout.products, now.cells
        scrap, mass = scrap_share(layout, now.t), layout.products.mass[:, None]
        sites = layout.count[NodeKind.RECYCLER]
        ready = min(layout.suite.periods - 1, now.t + int(layout.common("invest.build_months")))
        lines = np.repeat(layout.rates.line.sum(axis=1)[:, None], len(cells), axis=1)
        for line, more in zip(products.best_line, now.capacity.added(NodeKind.RECYCLER, ready)[:, cells], strict=True):
            if line >= 0:
                lines[line] += sites * more
        waiting = now.state.recycler_feed[..., cells].sum(axis=0) / MONTHS_PER_YEAR
        graded = products.grade_share[:, C:, 0].sum(axis=1)[:, None] * float(sites > 0)
        return _Feed(
            used=mass * (graded * returned + waiting[:, 0]),
            scrap=mass * (scrap / (1.0 - scrap) * made * float(sites > 0) + waiting[:, 1]),
            lines=lines,
        )

    def _win(self, feed: _Feed, legal: Array, *, best_first: bool = False) -> tuple[Array, Array, Array]:
        """Return what a month's feed wins of each material that duties count, (M, B) kg; its treatment, (B,) EUR; and
        all that it wins, (M, B) kg.
        """
        products, layout = self._layout.products, self._layout
        left, free = feed.used + feed.scrap, list(feed.lines)
        used = np.divide(feed.used, left, out=np.zeros_like(left), where=left > 0.0)
        per_kg = products.recovery * products.bom / products.mass[:, None]
        cost = layout.rates.route_cost.mean(axis=1) if layout.count[NodeKind.RECYCLER] else products.route_cost
        counted, won = np.zeros((2, len(products.materials), left.shape[1]))
        spent = np.zeros(left.shape[1])
        order = range(len(products.routes))
        for q in reversed(order) if best_first else order:
            line = products.route_line[q]
            wanted = left * legal[q] * products.offered[q][:, None]
            total = wanted.sum(axis=0)
            taken = wanted * np.minimum(1.0, np.divide(free[line], total, out=np.ones_like(total), where=total > 0.0))
            left, free[line] = left - taken, free[line] - taken.sum(axis=0)
            spent += cost[q] @ taken
            won += per_kg[q].T @ taken
            for origin, part in enumerate((used, 1.0 - used)):
                counted += self._counts[:, origin, None] * (per_kg[q].T @ (taken * part))
        return counted, spent, won

    def _lifted(self, share: Array) -> Array:
        """Return the collected share with buy-back, (P, B)."""
        return share + (1.0 - share) * self._layout.value("collection.buy_back_share")

    def _cost_of_return(self, units: Array, lifted: Array) -> Array:
        """Return what it costs to buy back units (P, B) x `lifted` a month before their treatment, EUR (B,)."""
        value = self._layout.value
        handling = value("collection.cost") + value("inspection.cost")
        return (units * lifted * value("collection.buy_back_cost") + units * (lifted - 1.0) * handling).sum(axis=0)

    def _invested(self, feed: _Feed) -> _Feed:
        lines = feed.lines.copy()
        for line, step in zip(self._layout.products.best_line, self._layout.value("invest.recycler.step"), strict=True):
            if line >= 0:
                lines[line] += step
        return _Feed(used=feed.used, scrap=feed.scrap, lines=lines)


def _cost_of_step(layout: Layout) -> float:
    """Return the monthly payment for a step of recycling capacity, EUR."""
    return float(
        annuity_factor(layout) * (layout.value("invest.recycler.capex") * layout.value("invest.recycler.step")).sum()
    )


def _origins_that_count(layout: Layout) -> Array:
    """Return 1.0 where recycled feed of an origin counts towards some duty of the suite, (M, origins)."""
    counts = np.zeros((len(layout.facts.materials), len(ORIGINS)))
    for duty in layout.obligations:
        if duty.type == "recycled_content_mandate":
            counts[np.ix_(duty.delivered.materials, duty.delivered.origins)] = 1.0
    return counts
