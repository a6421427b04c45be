"""Feed cover: M of plants, so that the engine's rule buys the recycled feed with which a plan meets its duties.

The engine orders recycled feed up to M x announced duty x need over the lead time, and uses what there is at once (with
stock_ahead on, up to the duty). `recycled_covers` plays that rule through the coming epoch, with what the plan recycles
by itself spread evenly, and takes the least M with which plants use as much in the months of a duty as the plan does.
"""

from dataclasses import dataclass

import numpy as np

from optimizers.controllers.covers import covered
from optimizers.controllers.planning import Array, Plan
from sim_core.bound.outlook import Outlook
from sim_core.engine.layout import Layout
from sim_core.engine.production import scrap_share
from sim_core.engine.settings import M
from sim_core.engine.state import goods_forecast
from sim_core.network import LaneGroup, NodeKind

_ENOUGH = 1.0 - 1e-6  # of what the plan uses
_HALVINGS = 30


def recycled_covers(plan: Plan, layout: Layout, *, hold: bool, margin: float) -> Array:
    """Return M of each plant, (plants,): 0 where the plan knows no duty, practice where one is ahead of the epoch only,
    or where the node states its own maximum. hold: stock_ahead is on. margin: how much more than needed, a share.
    """
    plants = layout.targets[NodeKind.PLANT]
    usual = covered(layout, {}, 1)[M, plants, 0]
    if not layout.lanes[LaneGroup.EXTERNAL].count:
        return usual
    stated = ~np.isnan(layout.absolute[M, plants])
    play = _Play.of(plan, layout, hold=hold)
    goal = np.minimum(play.goal, play.used(np.full(len(plants), layout.suite.max_cover)))
    low, high = np.zeros(len(plants)), np.full(len(plants), layout.suite.max_cover)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = play.used(middle) >= _ENOUGH * goal
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    found = np.where(goal > 0.0, np.minimum(1.0, (1.0 + margin) * high / layout.suite.max_cover), 0.0)
    ahead = play.need.any(axis=(0, 2)) & ~play.owed.any(axis=(0, 2))
    return np.where(stated | ahead, usual, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Play:
    """The coming epoch of recycled feed, kg; arrays (months, plants, M) unless said.

    need: what a cover of 1 orders up to. room: the most that is used. owed: what the plan uses in months of a duty.
    own: what is recycled. able: (months, M) what outside markets have for one plant. price: (months, M). start: on
    hand, and coming: on its way, (plants, M). lead, own_lead: months of what is bought and of what is recycled,
    (plants,).
    """

    need: Array
    room: Array
    owed: Array
    own: Array
    able: Array
    price: Array
    start: Array
    coming: Array
    lead: Array
    own_lead: Array

    @classmethod
    def of(cls, plan: Plan, layout: Layout, *, hold: bool) -> "_Play":
        outlook, months, lanes = plan.model.outlook, plan.months, layout.lanes[LaneGroup.EXTERNAL]
        use = layout.products.bom / (1.0 - scrap_share(layout, outlook.first))
        expected = goods_forecast(layout, np.moveaxis(outlook.term("demand")[:months], 0, -1))[: layout.plants]
        duty = outlook.term("content_duty")
        soon = _soon(duty, int(layout.common("purchase.months")))[:months]
        due, ahead = (np.einsum("npt,pm,tpm->tnm", expected, use, part) for part in (duty[:months], soon))
        lead = np.maximum(1.0, lanes.to_receiver @ (lanes.share * (lanes.lead + lanes.information)))
        home = layout.lanes[LaneGroup.SECONDARY]
        from_home = home.to_receiver @ np.ones(home.count)
        return cls(
            need=ahead * lead[:, None],
            room=due if hold else np.einsum("npt,pm->tnm", expected, use),
            owed=plan.flow("recycled").sum(axis=(2, 4)) * (due > 0.0),
            own=np.repeat(_own(plan, layout).mean(axis=0)[None], months, axis=0),
            able=outlook.term("external_capacity")[:months] / max(1, layout.plants),
            price=outlook.term("external_price")[:months],
            **_there(outlook),
            lead=lead,
            own_lead=(home.to_receiver @ home.lead) / np.maximum(1.0, from_home),
        )

    @property
    def goal(self) -> Array:
        """What the plan uses in months of a duty, (plants,) EUR."""
        return np.einsum("tnm,tm->n", self.owed, self.price)

    def used(self, cover: Array) -> Array:
        """Return what plants use in months of a duty with covers (plants,), EUR, at most as much as the plan of each
        material, (plants,).
        """
        months = len(self.need)
        arriving = np.zeros((months + 1, *self.start.shape))
        arriving[0] = self.coming
        have, total, plants = self.start.copy(), np.zeros_like(self.start), np.arange(len(cover))
        for t in range(months):
            have = have + arriving[t] + self.own[t]
            used = np.minimum(have, self.room[t])
            have, total = have - used, total + used * (self.owed[t] > 0.0)
            position = have + arriving[t + 1 :].sum(axis=0) + self.own[t] * self.own_lead[:, None]
            bought = np.minimum(np.maximum(0.0, cover[:, None] * self.need[t] - position), self.able[t])
            arriving[np.minimum(months, t + np.rint(self.lead).astype(np.intp)), plants] += bought
        return (np.minimum(total, self.owed.sum(axis=0)) * self.price.mean(axis=0)).sum(axis=1)


def _soon(duty: Array, months: int) -> Array:
    """Return the highest duty of each month and those that purchasing reads with it, (T, P, M)."""
    return np.stack([duty[t : t + max(1, months)].max(axis=0) for t in range(len(duty))])


def _own(plan: Plan, layout: Layout) -> Array:
    """Return the material that the plan wins for each plant, (months, plants, M) kg."""
    lanes, products = layout.lanes[LaneGroup.SECONDARY], layout.products
    if "route" not in plan.model.columns or not lanes.count:
        return np.zeros((plan.months, layout.plants, plan.model.materials))
    won = np.einsum("tqypo,qpm->tym", plan.flow("route"), products.recovery * products.bom)
    return np.stack([lanes.to_receiver @ (lanes.share[:, None] * month[lanes.sender]) for month in won])


def _there(outlook: Outlook) -> dict[str, Array]:
    """Return recycled feed on hand and on its way to each plant, (plants, M) kg."""
    pipes = outlook.state.pipes
    inbound = outlook.start(pipes[LaneGroup.SECONDARY].inbound()).sum(axis=2)
    return {
        "start": outlook.start(outlook.state.feed)[:, :, 1:].sum(axis=2),
        "coming": inbound + outlook.start(pipes[LaneGroup.EXTERNAL].inbound()),
    }
