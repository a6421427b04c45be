"""Every error reaches the user from any worker: one message, unharmed by pickling, with an exit code."""

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

from sim_core.errors import CircularBenchError

PACKAGES = ("sim_core", "optimizers", "orchestrator")


def tree(root: type[CircularBenchError]) -> Iterator[type[CircularBenchError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def survives(error_class: type[CircularBenchError]) -> bool:
    try:
        error = error_class("sweep.yaml:3: a place and a remedy")
        copy = pickle.loads(pickle.dumps(error))
    except TypeError:
        return False
    return (
        type(copy) is error_class
        and copy.args == error.args
        and vars(copy) == vars(error)
        and str(copy) == error.message
    )


@pytest.fixture(scope="module")
def errors() -> list[type[CircularBenchError]]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    found = list(tree(CircularBenchError))
    return [error for error in found if error.__module__.partition(".")[0] in PACKAGES]


def test_every_error_survives_pickling(errors: list[type[CircularBenchError]]):
    assert [error.__qualname__ for error in errors if not survives(error)] == []


def test_every_error_has_an_exit_code(errors: list[type[CircularBenchError]]):
    assert {error.exit_code for error in errors} <= {1, 2, 3}


def test_the_tree_says_what_the_caller_should_do(errors: list[type[CircularBenchError]]):
    """A new kind of error goes under one of these four, or this list is the place to argue for a fifth."""
    assert sorted(error.__name__ for error in CircularBenchError.__subclasses__() if error in errors) == [
        "InfrastructureError",
        "InputError",
        "IntegrityError",
        "RunError",
    ]


class TwoArgumentsError(CircularBenchError):
    """The mutant: unpickling calls it with one argument."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{place}{message}")
        self.args = (message, place, "one too many")


def test_an_error_that_dies_on_its_way_out_of_a_worker_is_found():
    assert not survives(TwoArgumentsError)
