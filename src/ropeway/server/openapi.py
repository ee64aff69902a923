"""The description of the API, made from the table of doors: OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.responses import Response

from .. import __version__
from .answers import said
from .calling import Arguments
from .described import PROBLEM_SHAPE, answers
from .doors import Call, Door
from .lending import Acks, Extensions, Handbacks
from .operating import Switch, Which
from .steering import Limiting, Ordering

_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_SPAN = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d|w)?$", "examples": ["30s", "10m", "1.5"]}
_SHORT = _SPAN | {"examples": ["0.2s"]}
_MOMENT = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": "^[0-9]{1,10}(\\.[0-9]+)?$"}]}
_TEXT = {"type": "string"}

_QUERY: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("POST", "/v1/queues/{q}/jobs"): {
        "priority": {"type": "integer", "minimum": 0, "maximum": 99},
        **dict.fromkeys(("delay", "ttl", "keep"), _SPAN),
        "at": _MOMENT,
        **dict.fromkeys(("key", "lane", "task"), _TEXT),
        "id": _ID,
        "on_conflict": {"enum": ["raise", "keep", "replace"]},
    },
    ("POST", "/v1/queues/{q}/claims"): {"limit": {"type": "integer", "minimum": 1, "maximum": 1000}, "lease": _SPAN, "wait": _SHORT},
    ("GET", "/v1/jobs"): {
        **dict.fromkeys(("queue", "state", "q", "task", "key", "lane", "error", "after"), _TEXT),
        "limit": {"type": "integer", "minimum": 1, "maximum": 200},
    },
    ("POST", "/v1/topics/{t}"): {"id": _ID},
    ("GET", "/v1/topics/{t}/events"): {"body": {"enum": ["text", "base64"]}},
    ("GET", "/v1/totals"): dict.fromkeys(("queue", "q", "task", "key", "lane", "error"), _TEXT),
    ("GET", "/v1/failures"): dict.fromkeys(("queue", "task"), _TEXT),
    ("GET", "/v1/jobs/{id}/why"): {"queue": _NAME},
    ("GET", "/v1/history"): {"span": _SPAN, "queue": _TEXT, "task": _TEXT},
    ("POST", "/v1/call/{task}"): {"timeout": _SHORT, "queue": _NAME},
    ("GET", "/v1/audit"): {"limit": {"type": "integer", "minimum": 1, "maximum": 1000}},
    ("POST", "/v1/queues/{q}/resume"): {name: {"enum": ["true", "false"]} for name in ("put", "claim")},
}
_ANY_BODY = frozenset({("POST", "/v1/queues/{q}/jobs"), ("POST", "/v1/topics/{t}")})
_BODIES: dict[str, Any] = {
    "/v1/call/{task}": Arguments,
    "/v1/ack": Acks,
    "/v1/nack": Handbacks,
    "/v1/bury": Handbacks,
    "/v1/extend": Extensions,
    "/v1/queues/{q}/pause": Switch,
    "/v1/queues/{q}/limits": Limiting,
    "/v1/workers/{id}/orders": Ordering,
    "/v1/jobs/requeue": Which,
    "/v1/jobs/delete": Which,
    "/v1/jobs/move": Which,
    "/v1/jobs/cancel": Which,
}


def doors(others: Iterable[Door]) -> list[Door]:
    """The door to the description of all the others, and of itself."""
    known = list(others)

    async def show(call: Call) -> Response:
        return said(description([*known, own], call.scope.get("root_path", "")))

    own = Door("GET", "/openapi.json", None, show, says="This description", changes=False)
    return [own]


def description(doors: Iterable[Door], above: str = "") -> dict[str, Any]:
    """The description of these doors; `above`: the path under which they are mounted."""
    kinds = list(dict.fromkeys(_BODIES.values()))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    shapes = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Any] = {}
    for door in doors:
        paths.setdefault(door.path, {})[door.method.lower()] = _operation(door, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ropeway", "version": __version__, "description": "Jobs, over HTTP. Errors are application/problem+json."},
        "servers": [{"url": above or "/"}],
        "paths": paths,
        "components": {
            "schemas": components | {"Problem": PROBLEM_SHAPE},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{"bearer": []}, {"basic": []}],
    }


def _operation(door: Door, shapes: dict[Any, Any]) -> dict[str, Any]:
    known = {"q": _NAME, "id": _ID} | ({"t": _NAME} if door.method == "POST" else {})
    params: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": known.get(name, _TEXT)} for name in re.findall(r"{(\w+)}", door.path)
    ]
    params += [{"name": name, "in": "query", "schema": shape} for name, shape in _QUERY.get((door.method, door.path), {}).items()]
    made: dict[str, Any] = {
        "summary": door.says,
        "operationId": f"{door.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', door.path.lower()).strip('_')}",
        "responses": answers(door),
    }
    if (door.method, door.path) in _ANY_BODY:
        what = "job" if "{q}" in door.path else "message"
        params.append({"name": "Ropeway-H-NAME", "in": "header", "schema": _TEXT, "description": f"a header NAME of the {what}"})
    if door.path in ("/v1/events", "/v1/queues/{q}/events", "/v1/topics/{t}/events"):
        params.append({"name": "Last-Event-ID", "in": "header", "schema": _TEXT, "description": "the id of the last event seen"})
    if params:
        made["parameters"] = params
    if (kind := _BODIES.get(door.path)) is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": shapes[kind]}}}
    elif (door.method, door.path) in _ANY_BODY:
        any_bytes: dict[str, Any] = {"schema": {}}
        made["requestBody"] = {
            "content": dict.fromkeys(("application/json", "text/plain", "application/octet-stream", "application/x-ndjson"), any_bytes)
        }
    if door.open:
        made["security"] = []
    return made
