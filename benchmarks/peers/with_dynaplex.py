"""DynaPlex on dynaplex.yaml: the lost-sales node that it ships, at base-stock levels.

Settings: the compiled engine at LLVM's highest level, one worker, all runtime checks compiled out, and few calls of
many trajectories each, so that nothing but the simulation counts; compiling is done before. Demand is drawn inside, by
an alias table, anew for every trajectory.
"""

import dynaplex
from dynaplex.modelling import DiscreteDist
from dynaplex.models.lost_sales import BaseStockPolicy, LostSalesMDP
from stopwatch import answer, arguments, measure

TRAJECTORIES, WARM_UP, SCORED = 8192, 24, 600
REFERENCE, LEVELS = 28, (22, 25, 28, 31)


def main() -> None:
    seconds = arguments().parse_args().seconds
    dynaplex.set_jit_opt_level(3)
    # The larger of its bounds on an order's size, so that every order reaches the level as ours does.
    mdp = LostSalesMDP(
        p=9.0, h=1.0, leadtime=4, demand_dist=DiscreteDist.poisson(5.0), bound_order_size_to_max_system_inv=True
    )
    comparer = dynaplex.PolicyComparer(
        mdp, number_of_trajectories=TRAJECTORIES, warmup_time=WARM_UP, horizon=SCORED, workers=1, jit=True, checks=False
    )
    found = comparer.assess(BaseStockPolicy(mdp, REFERENCE))

    def work() -> float:
        for level in LEVELS:
            comparer.assess(BaseStockPolicy(mdp, level))
        return float(len(LEVELS) * TRAJECTORIES * (WARM_UP + SCORED))

    answer("dynaplex", *measure(work, seconds), cost=found.mean, standard_error=found.error)


if __name__ == "__main__":
    main()
