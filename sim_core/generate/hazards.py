"""Hazards of law: how often, a year, an instrument is revised, in which way, by how much and with how much notice.

All rates and ranges are assumptions of this project. They say what a legislator does more often, not when: reforms are
postponed more often than they are weakened, weakened more often than repealed, law in force is changed least, tariffs
come with days of notice, duties on products with years.
"""

from collections.abc import Mapping
from dataclasses import dataclass

STAGES = ("proposed", "pending", "phase_in", "in_force", "expiring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """One way in which an instrument may be revised.

    kind: a revision of sim_core.policy.revisions. rate: a year. amount: range, months of delay and extend, factors of
    a least value otherwise (a largest value is divided by it). notice: range of days from the announcement to the
    adoption, for enact, amend and repeal to the day on which it applies. ends: range of months after which what is
    enacted ends, for a share `temporary` of it. phased: share of what is enacted at half its value first.
    """

    kind: str
    rate: float
    amount: tuple[float, float] = (0.0, 0.0)
    notice: tuple[int, int] = (30, 180)
    ends: tuple[int, int] = (0, 0)
    temporary: float = 0.0
    phased: float = 0.0


_DELAY = Hazard(kind="delay", rate=0.10, amount=(6, 48))
_DELAY_ON_THE_WAY = Hazard(kind="delay", rate=0.06, amount=(6, 36))
_FREEZE = Hazard(kind="freeze", rate=0.04)
_WEAKEN = Hazard(kind="weaken", rate=0.05, amount=(0.5, 0.9))
_TIGHTEN = Hazard(kind="tighten", rate=0.03, amount=(1.1, 1.5))
_REPEAL = Hazard(kind="repeal", rate=0.012, notice=(90, 730))
_EXTEND = Hazard(kind="extend", rate=0.30, amount=(12, 48))
_MORE = Hazard(kind="amend", rate=0.04, amount=(1.1, 1.5), notice=(360, 1440))
_LESS = Hazard(kind="amend", rate=0.03, amount=(0.5, 0.9), notice=(90, 540))
_ENACT = Hazard(
    kind="enact", rate=0.12, amount=(0.6, 1.6), notice=(180, 1080), ends=(36, 144), temporary=0.3, phased=0.5
)
_DUTY: Mapping[str, tuple[Hazard, ...]] = {
    "proposed": (_ENACT,),
    "pending": (_DELAY, _WEAKEN, _TIGHTEN, _REPEAL),
    "phase_in": (_DELAY_ON_THE_WAY, _FREEZE, _WEAKEN, _TIGHTEN, _REPEAL),
    "in_force": (_MORE, _LESS, _REPEAL),
    "expiring": (_EXTEND, _REPEAL),
}
# What a mask asks for isn't raised: beyond what the best route recovers, no route would be legal.
_MASK: Mapping[str, tuple[Hazard, ...]] = {
    "proposed": (_ENACT,),
    "pending": (_DELAY, _WEAKEN, _REPEAL),
    "phase_in": (_DELAY_ON_THE_WAY, _FREEZE, _WEAKEN, _REPEAL),
    "in_force": (_LESS, _REPEAL),
    "expiring": (_EXTEND, _REPEAL),
}
# Half a ban is none.
_WHOLE: Mapping[str, tuple[Hazard, ...]] = {
    stage: tuple(one for one in hazards if one.kind not in ("weaken", "amend")) for stage, hazards in _MASK.items()
}
_TARIFF: Mapping[str, tuple[Hazard, ...]] = {
    **_DUTY,
    "proposed": (Hazard(kind="enact", rate=0.25, amount=(0.4, 2.0), notice=(3, 90), ends=(6, 96), temporary=0.7),),
    "in_force": (
        Hazard(kind="amend", rate=0.20, amount=(1.2, 2.0), notice=(3, 60)),
        Hazard(kind="amend", rate=0.20, amount=(0.3, 0.8), notice=(3, 60)),
        Hazard(kind="repeal", rate=0.10, notice=(3, 60)),
    ),
    "expiring": (Hazard(kind="extend", rate=0.60, amount=(6, 24), notice=(3, 60)), _REPEAL),
}


def hazards_of(kind: str, acts: str, *, scales: bool) -> Mapping[str, tuple[Hazard, ...]]:
    """Return the hazards of an instrument by stage of STAGES.

    kind, acts: of a PolicyInstrument; scales: whether part of its value means anything, as of a ban it doesn't.
    """
    if not scales:
        return _WHOLE
    return _TARIFF if kind == "import_tariff" else _MASK if acts == "mask" else _DUTY
