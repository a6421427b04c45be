"""What gets installed: the three packages with the catalogue's data, the command, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sim_core", "optimizers", "orchestrator")
BESIDE = ("tests", "experiments", "benchmarks")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in (name for name in (*PACKAGES, *BESIDE) if (ROOT / name).is_dir()):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(target), str(source)], check=True)
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def files(package: str) -> set[str]:
    found = (path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in found}


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(wheel: zipfile.ZipFile):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = set.union(*(files(package) for package in PACKAGES))
    assert held == wanted


def test_the_catalogue_travels_with_its_data(wheel: zipfile.ZipFile):
    data = [name for name in wheel.namelist() if name.startswith("sim_core/catalogue/") and not name.endswith(".py")]
    assert {Path(name).suffix for name in data} >= {".csv", ".json"}


def test_the_wheel_brings_the_command_and_the_licence(wheel: zipfile.ZipFile):
    information = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "circularbench = orchestrator.cli:main" in wheel.read(information["entry_points.txt"]).decode()
    assert "licenses/LICENSE" in information
