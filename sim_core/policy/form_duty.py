"""Reading what only a duty has: window, registers, penalty, flexibility."""

from typing import Any

from sim_core.errors import ModelError
from sim_core.policy.arithmetic import rate
from sim_core.policy.instrument import Flexibility, Penalty, PolicyInstrument, Window
from sim_core.policy.kinds import AT_MOST, ORIGINS
from sim_core.policy.reading import Reader, one_of
from sim_core.units import MONTHS_PER_YEAR, parse_month

_MOST_LAG_MONTHS = 120


def read_duty(form: Reader, plain: PolicyInstrument) -> dict[str, Any]:
    """Return the fields of a duty. Raises ModelError naming the entry and the remedy."""
    kind = plain.kind
    window = _window(form)
    levels = ("plant", "system") if plain.type == "recycled_content_mandate" else ("system",)
    delivered = form.choice("delivered", kind.delivered, kind.delivered[-1 if _bought_abroad(plain) else 0])
    lag = int(form.number("lag", default=0.0))
    if lag * window.months > _MOST_LAG_MONTHS:
        raise ModelError(f"{form.place}.lag: the basis may look back {_MOST_LAG_MONTHS} months at most")
    basis = form.choice("basis", kind.bases, kind.bases[0])
    if lag and basis in ("content", "calendar"):
        raise ModelError(f"{form.place}.lag: {basis!r} has no past windows; a lag needs a volume such as 'placed'")
    origins = form.names("eligible_origins")
    for origin in origins:
        one_of(origin, ORIGINS, f"{form.place}.eligible_origins")
    return {
        "window": window,
        "level": form.choice("level", levels, levels[0]),
        "delivered": delivered,
        "basis": basis,
        "lag": lag,
        "measure": form.choice("measure", ("unit", "mass"), "unit"),
        "eligible_origins": tuple(origin for origin in ORIGINS if not origins or origin in origins),
        "penalty": _penalty(form),
        "flexibility": _flexibility(form),
    }


def _bought_abroad(plain: PolicyInstrument) -> bool:
    return plain.type == "sourcing_quota" and plain.sense == AT_MOST


def _window(form: Reader) -> Window:
    said = form.take("window", "calendar_year")
    if isinstance(said, str):
        known = {"calendar_year": MONTHS_PER_YEAR, "month": 1}
        return Window(months=known[one_of(said, tuple(known), f"{form.place}.window")])
    window = form.inner("window")
    months = int(window.number("months", default=MONTHS_PER_YEAR, least=1.0))
    months = int(window.number("years", least=1.0)) * MONTHS_PER_YEAR if window.has("years") else months
    begins = parse_month(window.text("from", "2000-01"))
    window.close()
    return Window(months=months, phase=begins % months)


def _penalty(form: Reader) -> Penalty | None:
    if not form.has("penalty"):
        form.take("penalty", None)
        return None
    penalty = form.inner("penalty")
    found = Penalty(value=penalty.number("value"), unit=penalty.text("unit"))
    penalty.close()
    rate(found.value, found.unit, f"{penalty.place}.unit")
    return found


def _flexibility(form: Reader) -> Flexibility:
    rules = Reader(form.take("flexibility", {}), f"{form.place}.flexibility")
    found: dict[str, Any] = {"de_minimis": rules.number("de_minimis", default=0.0)}
    for name, read in (("banking", _banking), ("carry_forward", _carry_forward), ("certificates", _certificates)):
        if rules.has(name):
            inner = rules.inner(name)
            found |= read(inner)
            inner.close()
        else:
            rules.take(name, None)
    rules.close()
    return Flexibility(**found)


def _banking(rule: Reader) -> dict[str, Any]:
    return {
        "bank_windows": int(rule.number("windows", default=1.0, least=1.0, most=100.0)),
        "bank_share": rule.number("share", default=1.0, most=1.0),
    }


def _carry_forward(rule: Reader) -> dict[str, Any]:
    return {"carry_share": rule.number("share", default=1.0, most=1.0)}


def _certificates(rule: Reader) -> dict[str, Any]:
    carbon = rule.take("price") == "carbon_price"
    return {
        "certificate_limit": rule.number("limit", default=1.0, most=1.0),
        "certificate_price": None if carbon else rule.number("price"),
    }
