"""The types of regulation: how each one acts, on what, in which units, and what it means to be out of force.

A type acts as one of
    duty     an obligation over a window, with a shortfall (sim_core.policy.obligation)
    mask     something is legal or not, from the first full month (sim_core.policy.masks)
    charge   a price, day-weighted within a month (sim_core.policy.charges)
"""

from collections.abc import Mapping
from dataclasses import dataclass

AT_LEAST, AT_MOST = "at_least", "at_most"
ORIGINS = ("post_consumer", "manufacturing_scrap", "external")  # of recycled feed, in the order of the register


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentType:
    """What all instruments of a type have in common. The first entry of each list is the default.

    units: of the value; "EUR/..." stands for any currency and mass that sim_core.policy.arithmetic converts.
    processes: what it may act on. senses: whether the value is a least or a largest one. ceiling: what a strengthened
    value can't exceed. delivered, bases: the registers that a duty may count, and what it may be a share of.
    """

    acts: str
    units: tuple[str, ...]
    processes: tuple[str, ...]
    senses: tuple[str, ...] = (AT_LEAST,)
    ceiling: float = float("inf")
    delivered: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    needs_material: bool = False
    grandfather: tuple[str, ...] = ("",)


_IMPORTS = ("material_import", "goods_import", "import")
TYPES: Mapping[str, InstrumentType] = {
    "carbon_tax": InstrumentType(acts="charge", units=("EUR/t", "multiple"), processes=("emissions",)),
    "ets_cap": InstrumentType(
        acts="duty",
        units=("t/year",),
        processes=("emissions",),
        senses=(AT_MOST,),
        delivered=("emissions",),
        bases=("calendar",),
    ),
    "cbam": InstrumentType(
        acts="charge", units=("fraction",), processes=("material_import",), ceiling=1.0, needs_material=True
    ),
    "recycled_content_mandate": InstrumentType(
        acts="duty",
        units=("fraction",),
        processes=("production",),
        ceiling=1.0,
        delivered=("recycled",),
        bases=("content",),
        needs_material=True,
    ),
    "collection_target": InstrumentType(
        acts="duty",
        units=("fraction",),
        processes=("collection",),
        ceiling=1.0,
        delivered=("collected",),
        bases=("placed", "ended"),
    ),
    "recovery_efficiency": InstrumentType(
        acts="mask", units=("fraction",), processes=("recycling",), ceiling=1.0, needs_material=True
    ),
    "recycling_target": InstrumentType(
        acts="duty",
        units=("fraction",),
        processes=("recycling",),
        ceiling=1.0,
        delivered=("recovered_mass",),
        bases=("treated_mass", "collected", "ended", "placed"),
    ),
    "landfill_ban": InstrumentType(
        acts="mask",
        units=("bool", "fraction"),
        processes=("disposal",),
        senses=(AT_LEAST, AT_MOST),
        ceiling=1.0,
        delivered=("landfilled",),
        bases=("ended", "collected", "placed"),
    ),
    "landfill_tax": InstrumentType(acts="charge", units=("EUR/kg",), processes=("disposal",)),
    "epr_fee": InstrumentType(acts="charge", units=("EUR/unit", "EUR/kg"), processes=("sale",)),
    "import_tariff": InstrumentType(
        acts="charge", units=("fraction",), processes=_IMPORTS, grandfather=("departure", "entry")
    ),
    "import_ban": InstrumentType(acts="mask", units=("bool",), processes=_IMPORTS, ceiling=1.0),
    "export_ban": InstrumentType(acts="mask", units=("bool",), processes=("export",), ceiling=1.0),
    "export_quota": InstrumentType(
        acts="mask", units=("unit/month", "unit/year"), processes=("export",), senses=(AT_MOST,)
    ),
    "material_restriction": InstrumentType(
        acts="mask",
        units=("fraction",),
        processes=("production",),
        senses=(AT_MOST,),
        ceiling=1.0,
        needs_material=True,
        grandfather=("stock_exempt", "stock_included"),
    ),
    "repair_reuse_quota": InstrumentType(
        acts="duty",
        units=("fraction",),
        processes=("reuse",),
        ceiling=1.0,
        delivered=("reused", "placed_again"),
        bases=("collected", "ended", "marketed"),
    ),
    "sales_mandate": InstrumentType(
        acts="duty", units=("fraction",), processes=("sale",), ceiling=1.0, delivered=("placed",), bases=("placed",)
    ),
    "subsidy": InstrumentType(acts="charge", units=("EUR/kg", "EUR/unit"), processes=("recycling", "reuse")),
    "traceability": InstrumentType(acts="charge", units=("bool",), processes=("sale",), ceiling=1.0),
    "sourcing_quota": InstrumentType(
        acts="duty",
        units=("fraction",),
        processes=("sourcing",),
        senses=(AT_LEAST, AT_MOST),
        ceiling=1.0,
        delivered=("domestic", "imported"),
        bases=("virgin",),
        needs_material=True,
    ),
}
