import pytest

import optimizers
from optimizers.evolution import Evolution
from optimizers.quantum_inspired import QuantumInspired
from optimizers.random_search import RandomSearch
from sim_core.errors import InputError


def test_known_names():
    assert optimizers.get("random") is RandomSearch
    assert optimizers.get("evolution") is Evolution
    assert optimizers.get("quantum_inspired") is QuantumInspired


def test_unknown_name_gets_a_near_miss():
    with pytest.raises(InputError, match="'quantum_inspird': did you mean 'quantum_inspired'"):
        optimizers.get("quantum_inspird")


def test_unknown_name_without_a_near_miss_lists_the_methods():
    with pytest.raises(InputError, match=r"'zzz': known methods are cma_es, decomposition, .*, umda"):
        optimizers.get("zzz")
