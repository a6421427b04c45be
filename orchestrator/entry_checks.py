"""Rules of the experiment file that concern its Entries: names, what each controller needs, targets that are stated."""

from collections.abc import Iterator, Mapping
from typing import Any

from optimizers import METHODS, get
from orchestrator.faults import Objection, TreePath, list_at, near_miss, numbers_at, text_at, value_at, whole_at
from orchestrator.network_reader import read_network
from sim_core.network import TARGET_KINDS, Node
from sim_core.network_generator import NETWORK_TEMPLATES, template_nodes
from sim_core.suite import SuiteDefinition

# what an Entry with this controller must give: "nothing", "search", "parameters", or one of two
CONTROLLERS: Mapping[str, str] = {
    "linear": "nothing",
    "base_stock": "parameters",
    "local_base_stock": "search or parameters",
    "s_S": "search or parameters",
    "echelon_base_stock": "search or parameters",
    "push": "search or parameters",
    "pull": "search or parameters",
    "smu": "search or parameters",
    "best_grade_first": "search or parameters",
    "compliance_base_stock": "search or parameters",
    "compliance_greedy": "search or parameters",
    "dynamic_programme": "nothing",
    "mpc": "parameters",
    "two_stage": "nothing or parameters",
    "schedule": "search",
}
VIEWS = ("myopic", "announced", "law", "clairvoyant")  # what a rolling-horizon controller knows, ever more
# parameters that are a text, with what they may say
TEXTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"mpc": {"view": VIEWS}}
_USUAL_COVER: float = SuiteDefinition.__dataclass_fields__["max_cover"].default


def entry_objections(tree: Any) -> Iterator[Objection]:
    """Yield what is wrong across the fields of the Entries."""
    yield from _names(tree)
    yield from _controllers(tree)
    yield from _texts(tree)
    yield from _searches(tree)
    yield from _targets(tree)


def _names(tree: Any) -> Iterator[Objection]:
    names: dict[str, int] = {}
    for index in range(len(list_at(tree, "entries"))):
        name = text_at(tree, "entries", index, "name")
        if name is not None and names.setdefault(name, index) != index:
            message = f"the name is taken by entries[{names[name]}]"
            yield Objection(path=("entries", index, "name"), message=message, hint="give each Entry its own")
    reference = text_at(tree, "reference")
    if names and reference is not None and reference not in names:
        message = "differences are paired against this Entry, but entries has none of that name"
        yield Objection(path=("reference",), message=message, hint=near_miss(reference, names))


def _controllers(tree: Any) -> Iterator[Objection]:
    for index in range(len(list_at(tree, "entries"))):
        controller = text_at(tree, "entries", index, "controller")
        need = CONTROLLERS.get(controller or "")
        if need is None:
            continue
        path: TreePath = ("entries", index)
        searched, fixed = (value_at(tree, *path, name) is not None for name in ("search", "parameters"))
        if "nothing" not in need and not (searched and "search" in need) and not (fixed and "parameters" in need):
            field = "parameters" if need == "parameters" else "search"
            message = f"controller {controller} needs {need}"
            yield Objection(path=(*path, field), message=message, hint="add it to this Entry")
        if searched and "search" not in need:
            message = f"controller {controller} has nothing to search for"
            yield Objection(path=(*path, "search"), message=message, hint="remove it", key=True)
        if fixed and "parameters" not in need:
            message = f"controller {controller} takes no fixed parameters"
            yield Objection(path=(*path, "parameters"), message=message, hint="remove it", key=True)
        elif fixed and searched and "search" in need:
            message = "an Entry gives either search or parameters"
            yield Objection(path=(*path, "parameters"), message=message, hint="remove one of them", key=True)


def _texts(tree: Any) -> Iterator[Objection]:
    """Check parameters that are a text, or should be one."""
    for index in range(len(list_at(tree, "entries"))):
        known = TEXTS.get(text_at(tree, "entries", index, "controller") or "", {})
        given = value_at(tree, "entries", index, "parameters")
        for name, value in given.items() if isinstance(given, Mapping) else ():
            path: TreePath = ("entries", index, "parameters", name)
            choices = known.get(name)
            if choices is None and isinstance(value, str):
                yield Objection(path=path, message="must be a number")
            elif choices is not None and value not in choices:
                message, hint = f"must be one of {list(choices)}", near_miss(str(value), choices)
                yield Objection(path=path, message=message, hint=hint)


def _searches(tree: Any) -> Iterator[Objection]:
    yield from _missing_splits(tree)
    available = whole_at(tree, "suite", "splits", "train", "scenarios")
    for index in range(len(list_at(tree, "entries"))):
        path: TreePath = ("entries", index, "search")
        evaluations, width = whole_at(tree, *path, "evaluations"), whole_at(tree, *path, "width")
        for field, limit, what in (
            ("scenarios", available, "scenarios of the train split"),
            ("width", evaluations, "evaluations"),
            ("finalists", evaluations, "evaluations"),
            ("actors", width, "candidates of a generation (width)"),
        ):
            value = whole_at(tree, *path, field)
            if value is not None and limit is not None and value > limit > 0:
                message = f"is more than the {limit} {what}"
                yield Objection(path=(*path, field), message=message, hint=f"write at most {limit}")
        yield from _settings(tree, path)
        yield from _races(tree, path, available)


def _settings(tree: Any, path: TreePath) -> Iterator[Objection]:
    """Check the numbers that a search gives its method."""
    given, method = value_at(tree, *path, "settings"), text_at(tree, *path, "method")
    if not isinstance(given, Mapping) or not given or method not in METHODS:
        return
    known = get(method).SETTINGS
    for name in given:
        if name not in known:
            hint = near_miss(str(name), known) if known else "remove it: the method has no settings"
            message = f"is no setting of method {method}"
            yield Objection(path=(*path, "settings", name), message=message, hint=hint, key=True)
    for name, value in numbers_at(tree, *path, "settings").items():
        domain = known[name].domain if name in known else None
        if domain is not None and not domain.low <= value <= domain.high:
            message = f"must be from {domain.low:g} to {domain.high:g}"
            yield Objection(path=(*path, "settings", name), message=message)
        elif domain is not None and domain.integer and value != round(value):
            yield Objection(path=(*path, "settings", name), message="must be a whole number")


def _races(tree: Any, path: TreePath, available: int | None) -> Iterator[Objection]:
    """Check that a race has as many candidates as it is to have, and scenarios that its search never saw."""
    evaluations, searched = whole_at(tree, *path, "evaluations"), whole_at(tree, *path, "scenarios")
    candidates, finalists = whole_at(tree, *path, "race", "candidates"), whole_at(tree, *path, "finalists")
    if candidates is not None and evaluations is not None and candidates > evaluations > 0:
        message = f"is more than the {evaluations} evaluations"
        yield Objection(path=(*path, "race", "candidates"), message=message, hint=f"write at most {evaluations}")
    if candidates is not None and finalists is not None and finalists > candidates > 0:
        message = f"is more than the {candidates} candidates of the race"
        yield Objection(path=(*path, "finalists"), message=message, hint=f"write at most {candidates}")
    raced = whole_at(tree, *path, "race", "scenarios")
    if raced is not None and available is not None and searched is not None and raced > available - searched >= 0:
        message = f"is more than the {available - searched} scenarios of the train split that the search leaves"
        hint = f"write at most {available - searched}, or give the train split more"
        yield Objection(path=(*path, "race", "scenarios"), message=message, hint=hint)


def _missing_splits(tree: Any) -> Iterator[Objection]:
    splits = value_at(tree, "suite", "splits")
    searches = [value_at(entry, "search") for entry in list_at(tree, "entries")]
    finalists = [whole_at(search, "finalists") or 0 for search in searches if isinstance(search, Mapping)]
    for split, needed, use in (
        ("train", bool(finalists), "searches tune on it"),
        ("validation", any(count > 1 for count in finalists), "searches choose between their finalists on it"),
    ):
        if needed and isinstance(splits, Mapping) and splits.get(split) is None:
            yield Objection(path=("suite", "splits", split), message=f"the field is missing, and {use}", key=True)


def _targets(tree: Any) -> Iterator[Objection]:
    """Check the levels that users state for nodes by name: "plant-1.S: 20"."""
    stated = [i for i, entry in enumerate(list_at(tree, "entries")) if value_at(entry, "controller") == "base_stock"]
    nodes = _nodes(tree) if stated else {}
    if not nodes:
        return
    own = {f"{name}.{letter}": most for name, node in nodes.items() for letter, most in node.max_target.items()}
    cover = numbers_at(tree, "suite").get("max_cover", _USUAL_COVER)
    targets = {
        f"{name}.{letter}": own.get(f"{name}.{letter}", cover)
        for name, node in nodes.items()
        for letter, kinds in TARGET_KINDS.items()
        if node.kind in kinds
    }
    for index in stated:
        path: TreePath = ("entries", index, "parameters")
        given = value_at(tree, *path)
        for name in given if isinstance(given, Mapping) else ():
            if name not in targets:
                kind = nodes[name.rpartition(".")[0]].kind if name.rpartition(".")[0] in nodes else None
                message = f"a {kind} has no such target" if kind else "is no target of a node of the network"
                hint = near_miss(str(name), targets)
                yield Objection(path=(*path, name), message=message, hint=hint, key=True)
        for name, level in numbers_at(tree, *path).items():
            if name in targets and not 0.0 <= level <= targets[name]:
                scale = "the node's max_target" if name in own else "the suite's max_cover"
                yield Objection(path=(*path, name), message=f"must be from 0 to {targets[name]:g}, {scale}")


def _nodes(tree: Any) -> dict[str, Node]:
    """Return the nodes of the suite's network by name; none where the network can't be read."""
    network = value_at(tree, "suite", "network")
    if isinstance(network, str) and network in NETWORK_TEMPLATES:
        return {name: Node(name=name, kind=kind) for name, kind in template_nodes(network).items()}
    read = read_network(network).network if isinstance(network, Mapping) else None
    return {node.name: node for node in read.nodes} if read else {}
