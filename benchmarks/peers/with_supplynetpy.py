"""SupplyNetPy on supplynetpy.yaml: the network of its README, supplier, distributor and a customer a period.

Settings: logging off, levels not recorded. Its (s, S) policy with s = S - 1 orders up to S after every sale, as ours
does; goods arrive a thousandth of a period early, before the customer of the third period, and not in a race with him.
Demand is drawn ahead by NumPy; the drawing counts.
"""

import numpy as np
from stopwatch import answer, arguments, measure
from SupplyNetPy import Components

PERIODS, LEVEL, DEMAND, LOST = 2000, 33, 10.0, 9.0


def main() -> None:
    seconds = arguments().parse_args().seconds
    random = np.random.default_rng(20260101)
    costs: list[float] = []

    def work() -> float:
        demand = iter(np.maximum(random.poisson(DEMAND, PERIODS + 2), 1).tolist())  # it draws two ahead, refuses 0
        network = Components.create_sc_net(
            nodes=[
                {"ID": "S1", "name": "factory", "node_type": "infinite_supplier"},
                {
                    "ID": "D1",
                    "name": "shop",
                    "node_type": "distributor",
                    "capacity": 1000,
                    "initial_level": LEVEL,
                    "inventory_holding_cost": 1,
                    "replenishment_policy": Components.SSReplenishment,
                    "policy_param": {"s": LEVEL - 1, "S": LEVEL},
                    "product_buy_price": 0,
                    "product_sell_price": 1,
                },
            ],
            links=[{"ID": "L1", "source": "S1", "sink": "D1", "cost": 0, "lead_time": lambda: 2.999}],
            demands=[
                {
                    "ID": "C1",
                    "name": "customers",
                    "order_arrival_model": lambda: 1,
                    "order_quantity_model": lambda: next(demand),
                    "demand_node": "D1",
                    "consume_available": True,
                }
            ],
        )
        found = Components.simulate_sc_net(network, sim_time=PERIODS, logging=False)
        costs.append((found["inventory_carry_cost"] + LOST * found["lost_sales"][1]) / PERIODS)
        return float(PERIODS)

    done, spent = measure(work, seconds)
    error = float(np.std(costs, ddof=1) / np.sqrt(len(costs))) if len(costs) > 1 else None
    answer("supplynetpy", done, spent, cost=float(np.mean(costs)), standard_error=error)


if __name__ == "__main__":
    main()
