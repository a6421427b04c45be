"""stockpyl on stockpyl.yaml: a serial system of four stages at local base-stock levels.

Settings: no consistency checks, no progress bar, and trials of 104 periods, about where it is fastest: a trial keeps
every period's state of every node, so that longer ones cost more a period. Demand is drawn inside.
"""

import numpy as np
from stockpyl.sim import simulation
from stockpyl.supply_chain_network import serial_system
from stopwatch import answer, arguments, measure

PERIODS, WARM_UP = 104, 24


def main() -> None:
    seconds = arguments().parse_args().seconds
    costs: list[float] = []

    def work() -> float:
        network = serial_system(
            num_nodes=4,
            node_order_in_system=[4, 3, 2, 1],
            node_order_in_lists=[1, 2, 3, 4],
            shipment_lead_time=[1, 1, 1, 2],
            local_holding_cost=[8, 4, 2, 1],
            stockout_cost=[40, 0, 0, 0],
            demand_type="N",
            mean=10,
            standard_deviation=2,
            policy_type="BS",
            base_stock_level=[12.765, 10.7319, 10.7319, 22.7833],
        )
        simulation(network, PERIODS, rand_seed=len(costs), progress_bar=False, consistency_checks="N")
        scored = range(WARM_UP, PERIODS)
        costs.append(float(np.mean([sum(n.state_vars[t].total_cost_incurred for n in network.nodes) for t in scored])))
        return float(len(network.nodes) * PERIODS)

    done, spent = measure(work, seconds)
    error = float(np.std(costs, ddof=1) / np.sqrt(len(costs))) if len(costs) > 1 else None
    answer("stockpyl", done, spent, cost=float(np.mean(costs)), standard_error=error)


if __name__ == "__main__":
    main()
