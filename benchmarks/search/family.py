"""Further schedule problems of the published family, drawn by number and checked by the dynamic programme.

The distributions are inferred from the six published instances, not published with them. What was found there:
costs with a start of about N(0.5, 2), a random walk over the epochs (variance at lag k close to 1.3 + 0.39 k) and
noise; pairs that are zero in 43 % of cases; switch-on costs over 2 to 5, switch-off over 0.5 to 2; whole carbon of a
lever in a window of four values, cut off below -2; a cap that lies 0.55 of the way from the least carbon that keeps
the mandates up to the carbon of the best schedule without a cap (exactly so in all of them, rounded towards zero).
"""

from dataclasses import replace

import numpy as np

from benchmarks.search.problem import stream
from benchmarks.search.schedules import Instance, Mandate, Parameters, ScheduleProblem, as_problem, solve

EPOCHS, LEVERS, PARAMETERS = 24, 8, 20
PENALTY = 12.0
_CAP = 0.55  # of the way from the least carbon to that of the best schedule without a cap
_SMALL = 1e-9  # costs closer than this are the same


def draw(number: int, *, mixed: bool, epochs: int = EPOCHS, levers: int = LEVERS) -> Instance:
    """Return the instance of a number: always the same, and one whose best schedule keeps mandates and cap.

    mixed: with 20 parameters. The same number gives the same schedule with and without them.
    """
    draws = stream("schedule family", number, epochs, levers)
    while True:
        instance = _schedule(number, draws, epochs, levers)
        best, _ = solve(instance)
        if abs(best - solve(instance, constrained=True)[0]) < _SMALL:
            break
    if not mixed:
        return instance
    parameters = _parameters(stream("parameters of schedule family", number, epochs, levers), instance)
    return replace(instance, name=f"drawn{epochs}x{levers}+{PARAMETERS}c#{number}", parameters=parameters)


def drawn(number: int, *, mixed: bool) -> ScheduleProblem:
    """Return the instance of a number as a solved Problem."""
    return as_problem(draw(number, mixed=mixed))


def _schedule(number: int, draws: np.random.Generator, epochs: int, levers: int) -> Instance:
    steps = draws.normal(0.06, 0.6, (epochs, levers))
    steps[0] = draws.normal(0.5, 2.0, levers)
    cost = np.cumsum(steps, axis=0) + draws.normal(0.0, 0.8, (epochs, levers))
    pair = np.triu(draws.normal(0.0, 0.85, (levers, levers)) * (draws.random((levers, levers)) < 0.57), 1)
    carbon = np.maximum(-2, draws.integers(-1, 3, levers) + draws.integers(-2, 2, (epochs, levers)))
    mandates = tuple(
        Mandate(
            from_epoch=int(draws.integers(epochs // 6, 2 * epochs // 3 + 1)),
            levers=tuple(int(p) for p in draws.choice(levers, size=3, replace=False)),
            at_least=2,
        )
        for _ in range(3)
    )
    free = Instance(
        name=f"drawn{epochs}x{levers}#{number}",
        cost=cost,
        pair=pair,
        switch_on=draws.uniform(2.0, 5.0, levers),
        switch_off=draws.uniform(0.5, 2.0, levers),
        carbon=carbon,
        carbon_base=draws.integers(2, 6, epochs),
        carbon_cap=int(np.abs(carbon).sum()) + 6 * epochs,
        penalty=PENALTY,
        mandates=mandates,
    )
    return replace(free, carbon_cap=cap(free))


def cap(instance: Instance) -> int:
    """Return the family's carbon cap for an instance, whose own cap is ignored."""
    loose = replace(instance, carbon_cap=int(np.abs(instance.carbon).sum() + instance.carbon_base.sum()))
    still = np.zeros_like(instance.switch_on)
    clean = replace(
        loose, cost=instance.carbon.astype(float), pair=np.zeros_like(instance.pair), switch_on=still, switch_off=still
    )
    base = int(instance.carbon_base.sum())
    least = round(solve(clean, constrained=True)[0]) + base
    _, best = solve(loose)
    free = int((instance.carbon * best).sum()) + base
    return int(least + _CAP * (free - least))


def _parameters(draws: np.random.Generator, instance: Instance) -> Parameters:
    turned, upper = np.linalg.qr(draws.normal(size=(PARAMETERS, PARAMETERS)))
    return Parameters(
        shift_matrix=draws.normal(0.0, 0.0427, (PARAMETERS, instance.cost.size)),
        centre=draws.uniform(0.3, 0.7, PARAMETERS),
        scale=10.0 ** draws.uniform(0.5, 2.0, PARAMETERS),
        rotation=turned * np.sign(np.diag(upper)),  # uniform over the orthogonal matrices
    )
