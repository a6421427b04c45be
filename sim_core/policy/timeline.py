"""PolicyTimeline: a scenario's instruments compiled to the monthly arrays that the engine reads.

The realised arrays feed the books; the announced arrays feed controllers and the plant's purchasing. They are
computed from different views of the same revisions, and nothing of the realised view reaches a controller.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.policy.instrument import PolicyInstrument
from sim_core.units import month_starts

WINDOW = "calendar year per plant"
ELIGIBLE = ("post_consumer", "manufacturing_scrap", "external")
LOOKAHEAD = 48  # months of announced law that a controller and a plant's purchasing may see


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts:
    """What recovery law needs to know of each recycling route: recovered kg per kg and counted mass efficiency.

    recovery: (routes, materials); efficiency: (routes,), counting what law counts; exported: (routes,) True where the
    feed leaves the jurisdiction.
    """

    materials: tuple[str, ...]
    recovery: NDArray[np.float64]
    efficiency: NDArray[np.float64]
    exported: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTimeline:
    """Monthly law of one scenario. T periods, M materials, Q routes, H = LOOKAHEAD.

    duty: (T, M) recycled-content share that applies, day-weighted. route_legal: (T, Q) binding from the first full
    month. tariff: (T, M) ad valorem on imports. carbon_multiple: (T,) of the carbon price.
    announced_duty: (T, H, M): at the start of period t, the announced share h months on.
    announced_legal: (T, H, Q) likewise.
    """

    duty: NDArray[np.float64]
    route_legal: NDArray[np.bool_]
    tariff: NDArray[np.float64]
    carbon_multiple: NDArray[np.float64]
    announced_duty: NDArray[np.float64]
    announced_legal: NDArray[np.bool_]


def compile_timeline(
    instruments: tuple[PolicyInstrument, ...], routes: RouteFacts, first_month: int, periods: int
) -> PolicyTimeline:
    """Compile instruments to monthly arrays over `periods` months from month number `first_month`."""
    materials = routes.materials
    starts = month_starts(first_month, periods + LOOKAHEAD)
    ahead = np.arange(periods)[:, None] + np.arange(LOOKAHEAD)[None, :]
    duty = np.zeros((periods, len(materials)))
    announced_duty = np.zeros((periods, LOOKAHEAD, len(materials)))
    legal = np.ones((periods, len(routes.efficiency)), dtype=bool)
    announced_legal = np.ones((periods, LOOKAHEAD, len(routes.efficiency)), dtype=bool)
    tariff, carbon = np.zeros((periods, len(materials))), np.zeros(periods)
    for instrument in instruments:
        columns = [i for i, name in enumerate(materials) if instrument.material in (name, "all")]
        if instrument.type == "recycled_content_mandate":
            _refuse_unsupported(instrument, taken=bool(announced_duty[:, :, columns].any()))
            duty[:, columns] = instrument.realised_by_month(starts)[:periods, None]
            announced_duty[:, :, columns] = _announced(instrument, starts, ahead, mask=False)[:, :, None]
        elif instrument.type == "import_tariff":
            tariff[:, columns] += instrument.realised_by_month(starts)[:periods, None]
        elif instrument.type == "carbon_tax":
            carbon += instrument.realised_by_month(starts)[:periods]
        else:
            legal &= _legal(instrument, routes, instrument.realised_by_month(starts, mask=True)[:periods])
            announced_legal &= _legal(instrument, routes, _announced(instrument, starts, ahead, mask=True))
    return PolicyTimeline(
        duty=duty,
        route_legal=legal,
        tariff=tariff,
        carbon_multiple=carbon,
        announced_duty=announced_duty,
        announced_legal=announced_legal,
    )


def binding(
    instruments: tuple[PolicyInstrument, ...], routes: RouteFacts, first_month: int, periods: int
) -> dict[str, bool]:
    """Return whether each instrument binds in some month: a duty or charge above 0, or a route forbidden."""
    found: dict[str, bool] = {}
    starts = month_starts(first_month, periods)
    for instrument in instruments:
        if instrument.type in ("recovery_efficiency", "export_ban"):
            value = instrument.realised_by_month(starts, mask=True)
            found[instrument.id] = bool((~_legal(instrument, routes, value)).any())
        else:
            found[instrument.id] = bool((instrument.realised_by_month(starts) > 0).any())
    return found


def _refuse_unsupported(mandate: PolicyInstrument, *, taken: bool) -> None:
    """Raise ModelError for what this version's books can't settle, rather than settle it wrongly."""
    if mandate.window != WINDOW or set(mandate.eligible_origins) != set(ELIGIBLE):
        raise ModelError(
            f"{mandate.id}: recycled content is settled per {WINDOW!r} with origins {ELIGIBLE}, "
            f"not per {mandate.window!r} with {mandate.eligible_origins}"
        )
    if taken:
        raise ModelError(
            f"{mandate.id}: {mandate.material} has another recycled-content mandate already; one a material"
        )


def _announced(
    instrument: PolicyInstrument, starts: NDArray[np.int64], ahead: NDArray[np.int64], *, mask: bool
) -> NDArray[np.float64]:
    by_revision = np.stack(
        [
            instrument.in_force_by_month(i, starts) if mask else instrument.mean_by_month(i, starts)
            for i in range(len(instrument.revisions))
        ]
    )
    known = instrument.newest(starts[: len(ahead)], by="announced")
    return by_revision[known[:, None], ahead]


def _legal(instrument: PolicyInstrument, routes: RouteFacts, required: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where each route is legal under a required value, shape (*required.shape, Q)."""
    need = required[..., None]
    if instrument.type == "export_ban":
        return ~(routes.exported & (need > 0))
    if instrument.material == "all":
        return (routes.efficiency >= need) | routes.exported
    recovered = routes.recovery[:, routes.materials.index(instrument.material)]
    return (recovered >= need) | routes.exported
