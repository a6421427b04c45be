"""cluster.yaml, checked offline: Ray's schema and defaults, then what this project insists on."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))
PREFIX = "/opt/circularbench"
SETTINGS = ("RAY_AUTH_MODE=token", "OMP_NUM_THREADS=1", "RAY_worker_niceness=0", f'PATH="{PREFIX}/bin:$PATH"')


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def check_with_ray(config: dict[str, Any]) -> dict[str, Any]:
    """Take the steps of `ray up` that need no cloud and return the prepared configuration."""
    import jsonschema
    import ray.autoscaler
    from ray.autoscaler._private.providers import _NODE_PROVIDERS
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = Path(ray.autoscaler.__file__).parent / "ray-schema.json"
    jsonschema.validate(config, json.loads(schema.read_text(encoding="utf-8")))
    assert config["provider"]["type"] in _NODE_PROVIDERS
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def starts(config: dict[str, Any]) -> list[str]:
    """Return the commands that start Ray."""
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    return [command for command in commands if " start " in command]


def check_private(config: dict[str, Any]) -> None:
    """Every start insists on the token and on its file's mode; nothing listens beyond the private network."""
    assert len(starts(config)) == 2
    for command in starts(config):
        guard, _, started = command.partition("ray start")
        assert 'test "$(stat -c %a ~/.ray/auth_token)" = 600 &&' in guard
        for setting in SETTINGS:
            assert setting in guard
        assert "0.0.0.0" not in started and "ray-client-server" not in started
    assert "--dashboard-host=127.0.0.1" in starts(config)[0]
    assert "~/.ray/auth_token" in config["file_mounts"]
    assert any("chmod 600 ~/.ray/auth_token" in command for command in config["setup_commands"])
    assert config["provider"]["use_internal_ips"] is True


def offered_cpus(config: dict[str, Any]) -> int:
    """Return the CPUs that all workers together offer when the cluster has grown."""
    kinds = config["available_node_types"]
    workers = {name: kind for name, kind in kinds.items() if name != config["head_node_type"]}
    assert all(kind["max_workers"] <= config["max_workers"] for kind in workers.values())
    return max(kind["max_workers"] * kind["resources"]["CPU"] for kind in workers.values())


def needed_cpus(experiment: dict[str, Any]) -> int:
    """Return the CPUs that a sweep's searches hold side by side: one for each actor of each searched Entry."""
    searches = [entry["search"] for entry in experiment["entries"] if entry.get("search") is not None]
    return max(1, sum(search.get("actors", 1) for search in searches))


def test_ray_accepts_it(config: dict[str, Any]) -> None:
    prepared = check_with_ray(config)
    assert prepared["available_node_types"]["head"]["max_workers"] == 0
    assert prepared["docker"] == {}


def test_it_is_private(config: dict[str, Any]) -> None:
    check_private(config)


def test_the_package_comes_from_a_wheel_at_one_fixed_path(config: dict[str, Any]) -> None:
    setup = "\n".join(config["setup_commands"])
    assert f"--python {PREFIX}/bin/python" in setup
    assert re.search(r"--no-deps .*circularbench-\*\.whl", setup)
    assert "requirements.lock" in setup
    assert not config["file_mounts_sync_continuously"]


def test_numbers_said_twice_agree(config: dict[str, Any]) -> None:
    kinds = config["available_node_types"]
    head, worker = starts(config)
    assert f"--num-cpus={kinds['head']['resources']['CPU']} " in head
    assert worker.endswith(f"--num-cpus={kinds['worker']['resources']['CPU']}")
    # A longer path leaves no room for the sockets of a Ray session (107 characters on Linux).
    folder = re.search(r"--temp-dir=(\S+)", head)
    assert folder is not None and len(folder.group(1)) <= 31
    assert any(folder.group(1) in command and "-m 700" in command for command in config["setup_commands"])


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_workers_fit_the_sweep(config: dict[str, Any], path: Path) -> None:
    experiment = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert needed_cpus(experiment) <= offered_cpus(config)


def _unknown_field(config: dict[str, Any]) -> None:
    config["workers"] = 4


def _wrong_head(config: dict[str, Any]) -> None:
    config["head_node_type"] = "boss"


def _too_many_minimum_workers(config: dict[str, Any]) -> None:
    config["available_node_types"]["worker"]["min_workers"] = 9


@pytest.mark.parametrize("spoil", [_unknown_field, _wrong_head, _too_many_minimum_workers])
def test_rays_check_finds_mistakes(config: dict[str, Any], spoil: Callable[[dict[str, Any]], None]) -> None:
    import jsonschema

    spoil(config)
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        check_with_ray(config)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled"),
        ("= 600 &&", "= 644 &&"),
        ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0"),
        ("RAY_worker_niceness=0", ""),
    ],
)
def test_mutant_starts_are_caught(config: dict[str, Any], old: str, new: str) -> None:
    for kind in ("head", "worker"):
        name = f"{kind}_start_ray_commands"
        config[name] = [command.replace(old, new) for command in config[name]]
    with pytest.raises(AssertionError):
        check_private(config)


def test_a_sweep_that_does_not_fit_is_found(config: dict[str, Any]) -> None:
    entries = [
        {"name": "a", "search": {"actors": 30}},
        {"name": "b", "search": {}},
        {"name": "c", "search": {"actors": 2}},
    ]
    assert needed_cpus({"entries": entries}) == 33 > offered_cpus(config)
