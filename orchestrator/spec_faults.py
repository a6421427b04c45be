"""Pydantic's errors in the words of an experiment file: place, field, value, near miss."""

from collections.abc import Iterable
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.faults import Fault, Objection, TreePath, near_miss, shown, value_at
from orchestrator.yaml_reader import Document

CROSS_CHECK = "cross_check"  # error type by which a model reports objections; here they are reported one by one

_MESSAGES = {
    "missing": "the field is missing",
    "extra_forbidden": "unknown field",
    "model_type": "must be a mapping of fields",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must hold {min_length} or more items",
    "too_long": "must hold {max_length} or fewer items",
}


def spec_faults(
    error: ValidationError, objections: Iterable[Objection], model: type[BaseModel], document: Document
) -> list[Fault]:
    """Return a fault for each error and objection, except where a fault of the document already explains it."""
    details = error.errors(include_url=False)
    faults = [_fault(detail, model, document) for detail in details if detail["type"] != CROSS_CHECK]
    faults += [_object(objection, document) for objection in objections]
    return [fault for fault in faults if not document.is_unread(fault.path)]


def _fault(detail: ErrorDetails, model: type[BaseModel], document: Document) -> Fault:
    path, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    is_key = kind == "extra_forbidden"
    message = _MESSAGES[kind].format_map(context) if kind in _MESSAGES else detail["msg"]
    hint = str(context.get("hint", ""))
    if is_key:
        hint = near_miss(str(path[-1]), _fields(model, path[:-1]))
    elif kind == "string_type" and isinstance(detail["input"], (bool, int, float)):
        hint = "quote it"
    got = "" if kind == "missing" else shown(detail["input"])
    return Fault(place=document.place(path, key=is_key), path=path, message=message, got=got, hint=hint)


def _object(objection: Objection, document: Document) -> Fault:
    path = objection.path
    got = shown(value_at(document.value, *path)) if path in document.values and not objection.key else ""
    place = document.place(path, key=objection.key)
    return Fault(place=place, path=path, message=objection.message, got=got, hint=objection.hint)


def _fields(model: type[BaseModel], path: TreePath) -> list[str]:
    """Return the names of the fields that a mapping at a path may hold."""
    kind: Any = model
    for part in path:
        kind = kind.model_fields[part].annotation if isinstance(part, str) else get_args(kind)[0]
        kind = next((option for option in get_args(kind) if _is_optional_part(option, kind)), kind)
    return list(kind.model_fields)


def _is_optional_part(option: Any, kind: Any) -> bool:
    return NoneType in get_args(kind) and isinstance(option, type) and issubclass(option, BaseModel)
