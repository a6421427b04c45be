"""Simulated annealing, one candidate after another: the classic that every other method is measured against."""

from optimizers.annealing import Annealing, temperature_settings


class SimulatedAnnealing(Annealing):
    """One chain of single changes (Kirkpatrick, Gelatt and Vecchi 1983), cooled geometrically over the budget.

    It is at its best asked for one candidate at a time. Asked for n, it proposes n changes of one state and judges them
    in the order proposed: one that is accepted after another replaces it.
    """

    SETTINGS = temperature_settings(0.2, 0.03)

    def chain_count(self) -> int:
        """Return one."""
        return 1
