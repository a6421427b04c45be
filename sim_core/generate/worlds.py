"""The worlds that shipped families share beside the neutral one. All numbers are assumptions of this project."""

from dataclasses import replace

from sim_core.generate.world import World

# The carbon price a third below and above its trend for four and two and a half years on average; a slump of demand in
# ten years; metals' prices as correlated as base metals' monthly returns have been, about one half.
MARKETS = World(
    carbon_levels=(-0.25, 0.35),
    carbon_switches=(0.25, 0.4),
    carbon_jumps=0.4,
    carbon_jump=0.2,
    slumps=0.1,
    slump_depth=(0.1, 0.35),
    slump_months=9.0,
    price_correlation=0.5,
    premium_correlation=-0.4,
    collection_drift=(-0.04, 0.10),
    collection_noise=0.15,
)
CRISES = World(crises=0.25, crisis_branching=0.6, crisis_months=4.0, crisis_reach=0.6)
TURMOIL = replace(MARKETS, crises=0.25, crisis_branching=0.6, crisis_months=4.0, crisis_reach=0.6)
