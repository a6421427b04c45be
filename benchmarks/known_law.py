"""Known answers of statutory arithmetic, on the worked examples of docs/policies.md."""

from collections.abc import Iterator

import numpy as np

from benchmarks.estimates import Finding, Values
from sim_core.policy.arithmetic import CURRENCIES
from sim_core.policy.timeline import PolicyTimeline, compile_timeline
from sim_core.units import KG_PER_T, parse_month
from tests.sim_core.example_law import EXAMPLES, FACTS, read, settle


def law_answers() -> Iterator[tuple[str, tuple[float, ...], Finding]]:
    """Yield (name, answer, what the policy engine says with an error of 0)."""
    yield "cbam_liability_2028", (69360.0,), _cbam_liability()
    yield "weee_rate", (0.60,), _weee_rate()
    yield "ab793_penalty", (30864.68,), _ab793_penalty()
    yield "ets_cap", (1571583007.0, 1528579492.0, 1485575977.0), _ets_caps()
    yield "carbon_tax_ramp", (2224.8,), _found(40.0 * _months("RAMP", "2026-01", 64).carbon_tax.sum())
    yield "cobalt_share_mid_2033", (0.16,), _cobalt_share()
    yield "cbam_factor_mean_2026_2033", (0.38625,), _cbam_factor()


def _found(*values: float) -> Finding:
    found: Values = np.array(values, dtype=np.float64)
    return found, np.zeros(len(found))


def _months(name: str, first: str, count: int) -> PolicyTimeline:
    return compile_timeline((read(name),), FACTS, parse_month(first), count)


def _cbam_liability() -> Finding:
    """EUR for 1,000 t of steel imported in January 2028, at 80 EUR/t: m (e - B (1 - f)) x price."""
    charged = _months("CBAM", "2028-01", 1).cbam[0, FACTS.materials.index("steel")]
    return _found(1000.0 * KG_PER_T * charged * 80.0 / KG_PER_T)


def _cbam_factor() -> Finding:
    """Mean share of what is embedded that is charged, f of e - B (1 - f), over 2026 to 2033: no line between steps."""
    charged = _months("CBAM", "2026-01", 96).cbam[:, FACTS.materials.index("steel")]
    return _found(float(np.mean(1.0 - (2.1 - charged) / 1.37)))


def _weee_rate() -> Finding:
    """Collected over the mean placed in the three years before: 60 of (90 + 100 + 110) / 3."""
    year = settle(read("WEEE"), EXAMPLES["WEEE"]["check"]["book"])[3]
    return _found(0.65 * year.delivered[0, 0] / year.duty[0, 0])


def _ab793_penalty() -> Finding:
    """USD for 1,000 t of plastic with 18 % recycled content where 25 % is due, at 0.20 USD/lb."""
    (year,) = settle(read("AB793"), EXAMPLES["AB793"]["check"]["book"])
    return _found(year.shortfall_charge[0] / CURRENCIES["USD"])


def _ets_caps() -> Finding:
    """What an emitter of nothing may emit in 2021 to 2023, t."""
    years = settle(read("ETS"), {"start": "2021-01", "flows": {"emissions": [0] * 3}})
    return _found(*(year.delivered[0, 0] for year in years))


def _cobalt_share() -> Finding:
    """The duty is a staircase: 0.16 until 2036, not the 0.21 of a line drawn between two steps."""
    pack, cobalt = FACTS.products.index("pack"), FACTS.materials.index("cobalt")
    return _found(_months("STAIRCASE", "2033-06", 1).content_duty[0, pack, cobalt])
