"""The manifest of a folder of generated scenarios: what they follow from, and the sha256 of each file."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.plan import code_digest, digest_of_sources
from sim_core.errors import InputError, IntegrityError
from sim_core.generate.contract import SCHEMA_VERSION
from sim_core.seeding import canonical_json, content_id
from sim_core.suite import SuiteDefinition

RECIPES_FILE, PATHS_FILE, MANIFEST = "recipes.parquet", "paths.parquet", "manifest.json"
FILES = (RECIPES_FILE, PATHS_FILE)
_OWN = ("scenario_draws.py", "scenario_files.py", "scenario_tables.py")  # files that shape what is written
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A folder of scenarios that is whole. suite: as it was resolved when they were drawn."""

    folder: Path
    digest: str
    suite: SuiteDefinition
    files: Mapping[str, Mapping[str, Any]]


def request_of(suite: SuiteDefinition) -> dict[str, Any]:
    """Return all that the files of a suite follow from, in JSON form."""
    import pyarrow as pa

    here = Path(__file__).parent
    code = content_id(code_digest(), digest_of_sources([here / name for name in _OWN], here.parent))
    definition = json.loads(canonical_json(suite.to_json()))
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": {"name": suite.name, "digest": suite.digest, "definition": definition},
        "code": {"digest": code, "pyarrow": pa.__version__},
    }


def manifest_of(suite: SuiteDefinition, request: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest in JSON form. request: see `request_of`. files: records by name, each with its sha256."""
    whole = {**request, "counts": _counts(suite), "files": {name: files[name] for name in sorted(files)}}
    return {**whole, "digest": _digest(whole)}


def put_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest in JSON form."""
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def records_of(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the files' records of the manifest that lies there; None where it is none of the same request."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        same = all(found[name] == value for name, value in request.items()) and found["digest"] == _digest(found)
        return dict(found["files"]) if same else None
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def undamaged(folder: Path, records: Mapping[str, Any]) -> dict[str, Any]:
    """Return the records of the files whose bytes are those that were written."""
    return {
        name: records[name]
        for name in FILES
        if name in records and (folder / name).is_file() and sha256_of(folder / name) == records[name]["sha256"]
    }


def read_manifest(folder: Path) -> Manifest:
    """Return a folder's manifest after checking that all its files are whole.

    Raises InputError for a folder without one or of another schema version, IntegrityError for what is damaged.
    """
    path, again = folder / MANIFEST, "repeat the command that generated it: it writes anew what is damaged or missing"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{folder} holds no {MANIFEST}, so no scenarios; make some with: circularbench scenarios generate SPEC "
            f"-o {folder}"
        ) from None
    except ValueError:
        raise IntegrityError(f"{path} is damaged; {again}") from None
    known = found.get("schema_version") if isinstance(found, dict) else None
    if known != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {known}, this circularbench reads version {SCHEMA_VERSION}: read it with the "
            "version that wrote it, or generate the scenarios again"
        )
    try:
        if found["digest"] != _digest(found):
            raise IntegrityError(f"{path} was altered: its digest is not that of its content; {again}")
        damaged = sorted(set(found["files"]) - set(undamaged(folder, found["files"])))
        suite = SuiteDefinition.from_json(found["suite"]["definition"])
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"{path} is damaged ({error}); {again}") from None
    if damaged or RECIPES_FILE not in found["files"]:
        raise IntegrityError(f"{folder}: {', '.join(damaged) or RECIPES_FILE} damaged or missing; {again}")
    return Manifest(folder=folder, digest=found["digest"], suite=suite, files=found["files"])


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file's path; the file takes the name at the end, whole and on disk, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        temporary.unlink(missing_ok=True)


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest over all: of what the scenarios are, not of which code drew them."""
    sums = {name: record["sha256"] for name, record in manifest["files"].items()}
    return content_id("scenarios", manifest["schema_version"], manifest["suite"], manifest["counts"], sums)


def _counts(suite: SuiteDefinition) -> dict[str, dict[str, int]]:
    """Return how many scenarios each family has in each split."""
    found: dict[str, dict[str, int]] = {}
    for split, one in suite.splits.items():
        if not one.scenarios:
            continue
        whole, more = divmod(one.scenarios, len(one.families))
        of_split = found.setdefault(split, {})
        for place, name in enumerate(one.families):
            of_split[name] = of_split.get(name, 0) + whole + (place < more)
    return found
