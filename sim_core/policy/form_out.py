"""Writing an instrument: the JSON form from which it is rebuilt."""

import math
from datetime import date
from typing import Any

from sim_core.policy.arithmetic import Steps
from sim_core.policy.instrument import Flexibility, PolicyInstrument, Revision, Scope
from sim_core.units import MONTHS_PER_YEAR


def to_json(instrument: PolicyInstrument) -> dict[str, Any]:
    """Return the JSON form: schedules as staircases, null for out of force."""
    first = instrument.revisions[0]
    form: dict[str, Any] = {
        "id": instrument.id,
        "name": instrument.name,
        "type": instrument.type,
        "scope": _scope_out(instrument.scope),
        "schedule": _schedule_out(instrument, first),
        "announced": _iso(first.announced),
        "adopted": _iso(first.adopted),
        "unit": instrument.unit,
        "sense": instrument.sense,
        "status": instrument.status,
        "provenance": dict(instrument.provenance),
        "revisions": [
            {"announced": _iso(one.announced), "adopted": _iso(one.adopted), **_schedule_out(instrument, one)}
            for one in instrument.revisions[1:]
        ],
    }
    if instrument.grandfather:
        form["grandfather"] = instrument.grandfather
    if instrument.benchmarks:
        form["benchmarks"] = {
            one.material: {"benchmark": one.benchmark} | ({} if one.embedded is None else {"embedded": one.embedded})
            for one in instrument.benchmarks
        }
    return form | _duty_out(instrument) if instrument.acts == "duty" else form


def _duty_out(instrument: PolicyInstrument) -> dict[str, Any]:
    window, rules = instrument.window, instrument.flexibility
    begins = 2000 * MONTHS_PER_YEAR + (window.phase - 2000 * MONTHS_PER_YEAR) % window.months
    form: dict[str, Any] = {
        "window": {"months": window.months, "from": f"{begins // MONTHS_PER_YEAR}-{begins % MONTHS_PER_YEAR + 1:02d}"},
        "level": instrument.level,
        "delivered": instrument.delivered,
        "basis": instrument.basis,
        "lag": instrument.lag,
        "measure": instrument.measure,
        "eligible_origins": list(instrument.eligible_origins),
        "flexibility": _flexibility_out(rules),
    }
    if instrument.penalty:
        form["penalty"] = {"value": instrument.penalty.value, "unit": instrument.penalty.unit}
    return form


def _flexibility_out(rules: Flexibility) -> dict[str, Any]:
    form: dict[str, Any] = {"de_minimis": rules.de_minimis}
    if rules.bank_windows:
        form["banking"] = {"windows": rules.bank_windows, "share": rules.bank_share}
    if rules.carry_share:
        form["carry_forward"] = {"share": rules.carry_share}
    if rules.certificate_limit:
        price = "carbon_price" if rules.certificate_price is None else rules.certificate_price
        form["certificates"] = {"price": price, "limit": rules.certificate_limit}
    return form


def _scope_out(scope: Scope) -> dict[str, list[str]]:
    return {name: list(getattr(scope, name)) for name in Scope.__slots__ if getattr(scope, name)}


def _schedule_out(instrument: PolicyInstrument, revision: Revision) -> dict[str, Any]:
    if not instrument.wider:
        return {"shape": "staircase", "steps": _steps_out(revision.steps)}
    stages = zip((instrument.scope, *instrument.wider), (revision.steps, *revision.wider), strict=True)
    return {
        "shape": "staircase_of_scope",
        "stages": [{"scope": _scope_out(scope), "steps": _steps_out(steps)} for scope, steps in stages],
    }


def _steps_out(steps: Steps) -> list[list[Any]]:
    return [[_iso(first), value if math.isfinite(value) else None] for first, value in steps]


def _iso(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()
