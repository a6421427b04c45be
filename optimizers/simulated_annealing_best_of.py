"""Simulated annealing in four chains, each of which judges the best of many neighbours."""

from collections.abc import Iterable, Sequence

from optimizers.annealing import Annealing, energy_of, temperature_settings
from optimizers.contract import Evaluation

_CHAINS = 4


class SimulatedAnnealingBestOf(Annealing):
    """Four chains; in each generation a chain tries a quarter of the candidates and judges the best of them.

    With a width of 64 that is the best of 16 neighbours a move: few moves, but good ones.
    """

    SETTINGS = temperature_settings(0.5, 0.2)

    def chain_count(self) -> int:
        """Return four, or as many as one ask has candidates for."""
        return max(1, min(_CHAINS, self.width))

    def judged(self, told: Sequence[tuple[Evaluation, int]]) -> Iterable[tuple[Evaluation, int]]:
        """Return the best evaluation of each chain."""
        best: dict[int, tuple[Evaluation, int]] = {}
        for evaluation, origin in told:
            known = best.get(origin % len(self.chains))
            if known is None or energy_of(evaluation) < energy_of(known[0]):
                best[origin % len(self.chains)] = (evaluation, origin)
        return best.values()
