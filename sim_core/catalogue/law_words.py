"""The closed vocabularies of `law.csv`: which words a cell of each column may hold, and what they mean."""

from collections.abc import Mapping

from sim_core.catalogue import ARCHETYPES, archetype
from sim_core.policy.kinds import ORIGINS, TYPES

AS_OF = "2026-01-01"  # the day of which a row's status speaks
ALL, NONE = "all", "none"  # in a column of scope: everything, and nothing that the model has

STATUSES: Mapping[str, str] = {
    "adopted": f"law, but not applied yet on {AS_OF}",
    "in_force": f"applies on {AS_OF}; a later step of the same instrument may have taken its place",
    "proposed": f"announced, not adopted by {AS_OF}",
    "repealed": f"was law, has been ended by {AS_OF}",
    "superseded": "was adopted, then replaced by a revision before it applied",
    "counterfactual": "no law: this project's own, for scenarios",
    "history": "no law: something observed",
}
REASONS: Mapping[str, str] = {
    "history": "an observed price, not a rule",
    "disruption": "an event; scenarios draw their own",
    "no_archetype": "no product of the catalogue stands for what it is about",
    "no_material": "no product of the catalogue holds the material",
    "no_process": "the chain has no stage at which it acts",
    "unit_outside_model": "what it measures is no quantity of the model",
    "condition_outside_model": "it depends on a condition that the model doesn't know",
    "reporting_only": "a duty to report that changes no flow and no cost here",
    "whole_economy": "it addresses a state or a market as a whole, not one chain",
    "part_of_another": "a detail of an instrument that has rows of its own, or is carried by another",
    "not_adopted": "not law yet, so it has no adopted date to act from",
}
PENALTY_FORMS: Mapping[str, str] = {
    "per_unit_of_shortfall": "a sum for each unit of a shortfall",
    "per_unit_emitted": "a sum for each t of CO2e that no allowance covers",
    "per_cent_of_turnover": "a share of the offender's turnover",
    "fine_per_item": "a sum for each unlawful item",
    "market_ban": "what doesn't comply may not be sold",
    "charge_instead": "who misses it pays the charge of another row",
    "none_stated": "the law names no sum: a suite declares a price of shortfall",
}
CONFIDENCE: Mapping[str, str] = {
    "high": "value and date are established",
    "medium": "value or date rests on one source, or on sources that disagree",
    "low": "read in no source; at most this where nothing is verified",
}
VERIFICATION: Mapping[str, str] = {
    "secondary_source": "value and date read in a secondary source",
    "partly": "value or date read in a secondary source, the other not",
    "unverified": "read in no source",
}
BASES: Mapping[str, str] = {
    "law": "a rule of law, or a proposal of one",
    "counterfactual": "a rule of this project's own",
    "record": "an observation",
}
JURISDICTIONS: Mapping[str, str] = {
    "EU": "European Union",
    "DE": "Germany",
    "UK": "United Kingdom",
    "US": "United States",
    "US-CA": "California",
    "CA": "Canada",
    "CN": "China",
    "IN": "India",
    "ID": "Indonesia",
    "JP": "Japan",
    "SG": "Singapore",
    "Basel": "parties to the Basel Convention",
    "global": "everywhere",
}
WINDOWS: Mapping[str, str] = {
    "calendar_year": "January to December",
    "april_year": "April to March",
    "month": "each month",
}
MORE_TYPES = ("carbon_price_history", "disruption", "penalty")  # beside those that the model knows
SHAPES = (
    "step",
    "step_revised",
    "step_relative",
    "step_open_end",
    "target_step",
    "annual_step",
    "temporary_step",
    "ceiling_step",
    "soft_ceiling",
    "staircase",
    "staircase_indexed",
    "staircase_revised",
    "staircase_relative",
    "staircase_of_scope",
    "staircase_of_slope",
    "linear_decrease_annual_steps",
    "linear_ramp_down_annual",
    "impulse",
    "window",
    "stochastic",
)
UNITS = (
    "fraction",
    "bool",
    "multiple",
    "EUR/t",
    "EUR/kg",
    "EUR/tCO2",
    "GBP/t",
    "CAD/tCO2e",
    "SGD/tCO2e",
    "USD/lb",
    "USD/kWh",
    "USD/y",
    "allowances",
    "allowances (tCO2e)",
    "fraction of 2008-12 reference per year",
    "mass fraction",
    "ppb",
    "t",
    "cycles",
    "years",
    "days",
)
# Columns that may hold an assumption of this project: what the published rows don't say.
ASSUMABLE = (
    "jurisdiction",
    "archetype",
    "material",
    "process",
    "announced_on",
    "adopted_on",
    "window",
    "level",
    "delivered",
    "against",
    "lag",
    "measure",
    "sense",
    "eligible_origin",
    "penalty",
    "flexibility",
    "grandfather",
    "benchmarks",
)


def _among(name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for kind in TYPES.values() for word in getattr(kind, name)))


def _materials() -> tuple[str, ...]:
    return tuple(dict.fromkeys(material for name in ARCHETYPES for material in archetype(name).materials))


def single_words() -> dict[str, tuple[str, ...]]:
    """Return the words that a cell of a column may hold one of; an empty word means that the cell may be empty."""
    return {
        "jurisdiction": tuple(JURISDICTIONS),
        "type": (*TYPES, *MORE_TYPES),
        "product": (ALL,),
        "process": (NONE, *_among("processes")),
        "unit": UNITS,
        "shape": SHAPES,
        "status": tuple(STATUSES),
        "window": ("", *WINDOWS),
        "level": ("", "plant", "system"),
        "delivered": ("", *_among("delivered")),
        "against": ("", *_among("bases")),
        "measure": ("", "unit", "mass"),
        "sense": ("", *_among("senses")),
        "grandfather": tuple(dict.fromkeys(("", *_among("grandfather")))),
        "penalty_form": ("", *PENALTY_FORMS),
        "basis": tuple(BASES),
        "binds": ("yes", "no"),
        "reason": ("", *REASONS),
        "confidence": tuple(CONFIDENCE),
        "verification": tuple(VERIFICATION),
    }


def listed_words() -> dict[str, tuple[str, ...]]:
    """Return the words of which a cell of a column may hold several, joined by "+"; "" means that it may be empty."""
    return {
        "archetype": (ALL, NONE, *ARCHETYPES),
        "material": (ALL, NONE, *_materials()),
        "eligible_origin": ("", *ORIGINS),
        "assumed": ("", *ASSUMABLE),
    }


ACTS: Mapping[str, str] = {
    "duty": "a duty over a window, with a shortfall where it is missed",
    "mask": "something is legal or not, from the first full month",
    "charge": "a price, weighted by the days of a month on which it holds",
}
ASKS: Mapping[str, str] = {  # by type
    "carbon_tax": "a price is paid for each t of CO2e",
    "ets_cap": "emissions of a year stay under a cap, or allowances are bought",
    "cbam": "imported material pays for the CO2e embedded in it, this share of it",
    "recycled_content_mandate": "new products hold at least this share of recycled material",
    "collection_target": "at least this share of products is collected",
    "recovery_efficiency": "a route of recycling recovers at least this share of its feed",
    "recycling_target": "at least this share is recycled",
    "landfill_ban": "nothing, or at most this share, goes to landfill",
    "landfill_tax": "a tax is paid for what goes to landfill",
    "epr_fee": "a fee is paid for what is placed on the market",
    "import_tariff": "imports pay this share of their value",
    "import_ban": "nothing of the kind is imported",
    "export_ban": "nothing of the kind is exported",
    "export_quota": "at most this much is exported",
    "material_restriction": "products hold at most this share of a material",
    "repair_reuse_quota": "at least this share is repaired or used again",
    "sales_mandate": "at least this share of sales is of the kind",
    "subsidy": "this is paid for what is recycled or used again",
    "traceability": "each product has a record of its life",
    "sourcing_quota": "at least, or at most, this share of material is bought at home, or abroad",
    "carbon_price_history": "nothing: a price that was observed",
    "disruption": "nothing: an event that was observed",
    "penalty": "a sum is paid for what another row of the catalogue asks",
}
