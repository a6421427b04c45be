"""What commands of several files share: options, how an experiment file is read, how lines and objects are printed."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim_core.errors import InputError

if TYPE_CHECKING:
    from orchestrator.spec import ExperimentSpec

SpecArgument = Annotated[
    Path, typer.Argument(metavar="SPEC", exists=True, dir_okay=False, readable=True, help="experiment file (YAML)")
]
ResultsOption = Annotated[
    Path | None, typer.Option("--results", metavar="DIR", file_okay=False, help="default: ./results/<suite>")
]
EngineOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="kernel or numpy (slow, for debugging); default: the file's")
]
JsonOption = Annotated[bool, typer.Option("--json", help="last line of stdout: one JSON object")]


def load_experiment(path: Path, engine: str | None = None) -> "ExperimentSpec":
    """Read an experiment file; all its faults come as one SpecError. engine: in place of the file's, if given."""
    from orchestrator.spec import load
    from orchestrator.work import ENGINES

    if engine is not None and engine not in ENGINES:
        raise InputError(f"no engine is called {engine!r}; there are {list(ENGINES)}")
    loaded = load(path)
    return loaded if engine is None else loaded.model_copy(update={"engine": engine})


def results_of(spec: "ExperimentSpec", given: Path | None) -> Path:
    """Return the results folder: the given one, or the suite's."""
    return given if given is not None else Path("results") / spec.suite.name


def print_object(value: Any) -> None:
    """Print one JSON object as the last line of stdout."""
    sys.stderr.flush()
    typer.echo(json.dumps(value, sort_keys=True, allow_nan=False))


def say(text: str) -> None:
    """Print a line to stderr."""
    typer.echo(text, err=True)
