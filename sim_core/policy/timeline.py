"""PolicyTimeline: a scenario's instruments compiled to the monthly arrays that the engine reads.

The realised arrays feed the books; the announced arrays feed controllers and the plant's purchasing. They are
computed from different views of the same revisions, and nothing of the realised view reaches a controller.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.policy.charges import charges
from sim_core.policy.facts import LawFacts, Matched, matches, require_scope
from sim_core.policy.from_catalogue import append, not_yet_law
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.masks import bans, export_quota, route_legal
from sim_core.policy.obligation import Obligation, duty_stages, obligation_id, obligations
from sim_core.policy.views import LOOKAHEAD, AnnouncedView, RealisedView
from sim_core.units import MONTHS_PER_YEAR, add_months, month_start

__all__ = ["LOOKAHEAD", "LawFacts", "PolicyTimeline", "binding", "compile_timeline", "inject", "require_scope"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTimeline:
    """Monthly law of one scenario. T periods, O obligations, P products, M materials, Q routes, H = LOOKAHEAD.

    Duties and charges are day-weighted, masks bind from the first full month. The announced arrays hold, for the start
    of period t, what is announced for h months on.
    """

    theta: Array  # (T, O) the share, or amount a year, that is required or allowed
    in_force: Array  # (T, O) share of the month
    announced_theta: Array  # (T, H, O)
    content_duty: Array  # (T, P, M) the largest recycled-content share in force
    announced_content_duty: Array  # (T, H, P, M)
    route_legal: Mask  # (T, Q, P)
    announced_route_legal: Mask  # (T, H, Q, P)
    landfill_legal: Mask  # (T, P)
    import_legal: Mask  # (T, M)
    import_goods_legal: Mask  # (T, P)
    production_legal: Mask  # (T, P)
    sale_legal: Mask  # (T, P) False where a restriction doesn't exempt stock
    export_quota: Array  # (T, P) units a month; infinity where none
    carbon_multiple: Array  # (T,) of the scenario's carbon price
    carbon_tax: Array  # (T,) EUR/t
    tariff_departure: Array  # (T, M) ad valorem, paid at the rate of the day of departure
    tariff_entry: Array  # (T, M) paid at the rate of the day of entry
    tariff_goods: Array  # (T, P)
    cbam: Array  # (T, M) kgCO2e charged per kg imported
    landfill_tax: Array  # (T, P) EUR/kg
    epr_fee: Array  # (T, P) EUR/unit placed
    subsidy_recycled: Array  # (T, P) EUR/kg recovered
    subsidy_reuse: Array  # (T, P) EUR/unit reused or remanufactured
    traceability: Array  # (T, P) EUR/unit placed


def compile_timeline(
    instruments: Iterable[PolicyInstrument],
    facts: LawFacts,
    first_month: int,
    periods: int,
    duties: Sequence[Obligation] | None = None,
) -> PolicyTimeline:
    """Compile instruments to monthly arrays over `periods` months from month number `first_month`.

    duties: the suite's obligations, which give the O axis; those of the instruments unless given. An instrument that
    matches nothing is left out. Raises ModelError for a duty that the suite's obligations lack.
    """
    law = tuple(instruments)
    if duties is None:
        duties = obligations(law, facts, {})
    now, ahead = RealisedView(first_month, periods), AnnouncedView(first_month, periods)
    stages = [stage for instrument in law for stage in matches(instrument, facts)]
    owed = [stage for one in law if one.acts == "duty" for stage in duty_stages(one, facts)]
    theta, in_force = np.zeros((2, periods, len(duties)))
    announced_theta = np.zeros((periods, LOOKAHEAD, len(duties)))
    for stage, column in zip(owed, _columns(owed, duties), strict=True):
        theta[:, column], in_force[:, column] = now.mean(stage.part), now.in_force(stage.part)
        announced_theta[:, :, column] = ahead.mean(stage.part)
    return PolicyTimeline(
        theta=theta,
        in_force=in_force,
        announced_theta=announced_theta,
        content_duty=_content_duty(owed, facts, now),
        announced_content_duty=_content_duty(owed, facts, ahead),
        announced_route_legal=route_legal(stages, facts, ahead),
        **_realised(stages, facts, now),
    )


def binding(
    instruments: Iterable[PolicyInstrument], facts: LawFacts, first_month: int, periods: int
) -> dict[str, bool]:
    """Return whether each instrument binds in some month: it owes, forbids or charges what would be free without it."""
    now = RealisedView(first_month, periods)
    nothing = _realised([], facts, now)
    found: dict[str, bool] = {}
    for instrument in instruments:
        stages = matches(instrument, facts)
        own = _realised(stages, facts, now)
        changes = any(not np.array_equal(own[name], nothing[name]) for name in own)
        owes = instrument.acts == "duty" and any(now.in_force(one.part).any() for one in stages)
        found[instrument.id] = changes or owes
    return found


def inject(
    instruments: Iterable[PolicyInstrument], new: PolicyInstrument, period: int, first_month: int
) -> tuple[PolicyInstrument, ...]:
    """Return the instruments with one more, announced, adopted and in force from the first day of a period.

    Its staircase is moved so that its first step lies on that day. An id that is law already is revised: from that day
    on the new staircase applies. Raises ModelError for a new instrument with revisions of its own, and for one that
    revises another type, scope or rule.
    """
    if len(new.revisions) != 1:
        raise ModelError(f"instrument {new.id!r} has revisions; inject it plain, and each revision when it comes")
    first = month_start(first_month + period)
    staircases = _moved(new, first)
    law = tuple(instruments)
    before = [one for one in law if one.id == new.id]
    if not before:
        return (*law, append(not_yet_law(new), first, first, staircases))
    if replace(before[0], revisions=(), name="", provenance={}, status="user") != replace(
        new, revisions=(), name="", provenance={}, status="user"
    ):
        raise ModelError(f"instrument {new.id!r} is law with another type, scope or rule; inject it under another id")
    if before[0].revisions[-1].announced > first or before[0].revisions[-1].adopted > first:
        raise ModelError(f"instrument {new.id!r} has a revision later than that period; inject after it")
    return tuple(append(one, first, first, staircases) if one.id == new.id else one for one in law)


def _moved(new: PolicyInstrument, first: int) -> tuple[tuple[tuple[int, float], ...], ...]:
    """Return the staircases of all stages, moved by whole months, the earliest step exactly on day `first`."""
    own = (new.revisions[0].steps, *new.revisions[0].wider)
    begins = min((steps[0][0] for steps in own if steps), default=first)
    start, end = date.fromordinal(begins), date.fromordinal(first)
    months = (end.year - start.year) * MONTHS_PER_YEAR + end.month - start.month
    return tuple(
        tuple((first if day == begins else add_months(day, months), value) for day, value in steps) for steps in own
    )


def _realised(stages: Sequence[Matched], facts: LawFacts, now: RealisedView) -> dict[str, Any]:
    return {
        "route_legal": route_legal(stages, facts, now),
        "export_quota": export_quota(stages, facts, now),
        **bans(stages, facts, now),
        **charges(stages, facts, now),
    }


def _columns(owed: Sequence[Matched], duties: Sequence[Obligation]) -> list[int]:
    known = {duty.id: column for column, duty in enumerate(duties)}
    missing = [obligation_id(stage) for stage in owed if obligation_id(stage) not in known]
    if missing:
        raise ModelError(f"duties {missing} are not among the suite's obligations {list(known)}")
    return [known[obligation_id(stage)] for stage in owed]


def _content_duty(owed: Sequence[Matched], facts: LawFacts, view: RealisedView | AnnouncedView) -> Array:
    found = np.zeros((*view.shape, len(facts.products), len(facts.materials)))
    for stage in owed:
        if stage.part.type == "recycled_content_mandate":
            found = np.maximum(found, view.mean(stage.part)[..., None, None] * stage.pairs)
    return found
