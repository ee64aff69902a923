"""A task as somebody sees it who wants to put a job for it and cannot read its code: what it takes, as JSON Schema says such things."""

from __future__ import annotations

import json
from inspect import Parameter, cleandoc
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import BadValue
from ..names import shown

if TYPE_CHECKING:
    from .registry import Tasks
    from .task import Task

LARGEST = 64 << 10  # bytes of a description; without its schemas, should it be larger
LONGEST = 1000  # characters of a text
MOST = 100  # parameters that are told

Row = dict[str, Any]

KINDS = {
    Parameter.POSITIONAL_ONLY: "place",
    Parameter.POSITIONAL_OR_KEYWORD: "either",
    Parameter.KEYWORD_ONLY: "name",
    Parameter.VAR_POSITIONAL: "places",
    Parameter.VAR_KEYWORD: "names",
}


def described(tasks: Tasks, name: str) -> bytes:
    """What the task of that name takes, as JSON: `task`, `queue`, `signature` and `says` for people, `parameters` each with `name`, `kind`,
    `required` and `schema`, and `defs` that the schemas refer to. Raises BadValue when there is no such task."""
    task = tasks.get(name)
    if task is None:
        raise BadValue(f"no task {shown(name)} is registered here")
    signature = task.arguments.signature
    told = list(signature.parameters.values())[:MOST]
    row: Row = {"task": name, "queue": task.queue, "signature": f"{name}{signature}"[:LONGEST], "says": _says(task)}
    schemas, defs = _schemas(task, told)
    row["parameters"] = [
        {"name": one.name, "kind": KINDS[one.kind], "required": _needed(one), "schema": schema}
        for one, schema in zip(told, schemas, strict=True)
    ]
    row["defs"] = defs
    data = json.dumps(row, default=str).encode()
    if len(data) > LARGEST:
        row["defs"] = {}
        for parameter in row["parameters"]:
            parameter["schema"] = {}
        data = json.dumps(row, default=str).encode()
    return data


def _needed(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty and KINDS[parameter.kind] not in ("places", "names")


def _says(task: Task[..., Any, Any]) -> str:
    """The first line of its docstring."""
    text = getattr(task.function, "__doc__", None)
    return cleandoc(text).partition("\n")[0][:LONGEST] if isinstance(text, str) else ""


def _schemas(task: Task[..., Any, Any], parameters: list[Parameter]) -> tuple[list[Row], Row]:
    """A schema for each, and what they refer to; {} (anything) for a type that JSON Schema has no words for."""
    types = [task.arguments.type_of(one.name) for one in parameters]
    try:
        schemas, defs = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    except Exception:  # noqa: BLE001 - types are the program's own, and may raise anything
        return [_schema(one) for one in types], {}
    return list(schemas), defs


def _schema(of: Any) -> Row:
    try:
        (schema,), defs = msgspec.json.schema_components([of], ref_template="#/$defs/{name}")
    except Exception:  # noqa: BLE001 - as above
        return {}
    return {} if defs else schema
