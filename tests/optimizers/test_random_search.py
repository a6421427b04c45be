import numpy as np

from optimizers.contract import Evaluation, SearchSpace
from optimizers.random_search import RandomSearch

SPACE = SearchSpace(epochs=20, levers=("a", "b", "c", "d", "e"), parameters=("x", "y"))


def test_density_of_bits_and_values_are_uniform():
    search = RandomSearch(SPACE, budget=2000, width=250, seed=5)
    asked = [one for _ in range(8) for one in search.ask(250)]
    density = np.array([one.bits.mean() for one in asked])
    for sample in (density, np.array([one.values[0] for one in asked])):
        share = np.histogram(sample, bins=4, range=(0.0, 1.0))[0] / len(asked)
        assert np.all(np.abs(share - 0.25) < 0.05)


def test_candidates_do_not_depend_on_what_is_told():
    told, untold = (RandomSearch(SPACE, budget=100, width=10, seed=5) for _ in range(2))
    first = told.ask(10)
    untold.ask(10)
    told.tell([Evaluation(candidate=one, value=float(i), standard_error=0.0, n=1) for i, one in enumerate(first)])
    assert [one.key for one in told.ask(10)] == [one.key for one in untold.ask(10)]
