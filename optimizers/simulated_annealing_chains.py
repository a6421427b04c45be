"""Simulated annealing in many chains at once: the simplest way to use a parallel machine."""

from optimizers.annealing import Annealing, temperature_settings


class SimulatedAnnealingChains(Annealing):
    """As many independent chains as candidates are asked at once, each cooled over its share of the budget.

    Each chain makes budget / width moves only, which is why the method needs long budgets.
    """

    SETTINGS = temperature_settings(0.05, 0.02)

    def chain_count(self) -> int:
        """Return the width."""
        return max(1, self.width)
