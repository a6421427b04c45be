"""gym-invmgmt on gym_invmgmt.yaml: its own network of nine nodes under base-stock levels at its six stock points.

Settings: the environment itself without gymnasium's wrappers, nothing rendered or logged, episodes of 624 periods so
that resets don't count, demand given as a series drawn by NumPy (its own draws through SciPy take longer; the drawing
counts), and a policy that reads the environment's arrays in one matrix product. It has no batch form, and gymnasium's
vector environments would step the same object in turn.
"""

import numpy as np
from gym_invmgmt import CoreEnv
from stopwatch import answer, arguments, measure

PERIODS, DEMAND = 624, 20.0
LEVELS = {1: 140.0, 2: 150.0, 3: 160.0, 4: 60.0, 5: 60.0, 6: 60.0}
SHARES = {(2, 1): 0.5, (4, 2): 0.4, (5, 2): 0.3, (6, 2): 0.3, (4, 3): 0.5, (6, 3): 0.5, (7, 5): 0.5, (8, 5): 0.5}
SHARES |= {(3, 1): 0.5, (7, 4): 1.0, (8, 6): 1.0}


def main() -> None:
    seconds = arguments().parse_args().seconds
    random = np.random.default_rng(20260101)
    env = CoreEnv(scenario="network", num_periods=PERIODS, user_D={(1, 0): np.zeros(PERIODS)})
    network = env.network
    links = network.reorder_links
    receives = np.eye(len(network.all_nodes))[[network.node_map[receiver] for _, receiver in links]]  # (links, nodes)
    split = receives * np.array([[SHARES[link]] for link in links])
    levels = np.zeros(len(network.all_nodes))
    for node, level in LEVELS.items():
        levels[network.node_map[node]] = level
    shop = network.node_map[1]

    def work() -> float:
        network.graph.edges[1, 0]["user_D"] = random.poisson(DEMAND, PERIODS).astype(np.float64)
        env.reset(seed=0)
        for t in range(PERIODS):
            missing = levels - env.X[t] - env.Y[t] @ receives
            if t:
                missing[shop] += env.U[t - 1, 0]
            env.step(np.maximum(split @ missing, 0.0))
        return float(len(LEVELS) * PERIODS)

    work()
    answer("gym-invmgmt", *measure(work, seconds))


if __name__ == "__main__":
    main()
