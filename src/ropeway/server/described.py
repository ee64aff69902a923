"""What each door answers, for the description of the API: statuses, content types, and the shapes of what comes back."""

from __future__ import annotations

from typing import Any

from .doors import Door
from .problems import PROBLEM, TITLES

JSON = "application/json"
_TEXT = {"type": "string"}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(of: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": of, **more}


PROBLEM_SHAPE = _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT)
_ANSWERS = _object(answers=_list({"type": "boolean"}))
_COUNTED = _object(count=_COUNT)
_ROWS = _list({"type": "object"})
_LENT = _object(id=_ID, queue=_TEXT, receipt=_TEXT, attempt=_COUNT, headers={"type": "object"}, content_type=_TEXT)

# What is answered when all went well; anything else is an object of JSON with 200.
_GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/queues/{q}/jobs"): {
        "201": {"oneOf": [_object(id=_ID, created={"type": "boolean"}), _object(ids=_list(_ID))]},
    },
    ("POST", "/v1/topics/{t}"): {"201": {"oneOf": [_object(id=_ID), _object(ids=_list(_ID))]}},
    ("GET", "/v1/topics"): {"200": _object(groups=_ROWS, retained=_ROWS)},
    ("POST", "/v1/queues/{q}/claims"): {"200": _list(_LENT, minItems=1), "204": None},
    ("POST", "/v1/call/{task}"): {"200": {}},
    **{("POST", f"/v1/{verb}"): {"200": _ANSWERS} for verb in ("ack", "nack", "bury", "extend")},
    **{("POST", f"/v1/queues/{{q}}/{verb}"): {"204": None} for verb in ("pause", "resume")},
    ("POST", "/v1/queues/{q}/purge"): {"200": _COUNTED},
    **{("POST", f"/v1/jobs/{verb}"): {"200": _COUNTED} for verb in ("requeue", "delete", "move", "cancel")},
    ("GET", "/v1/queues"): {"200": _object(queues=_ROWS)},
    ("GET", "/v1/queues/{q}"): {"200": _object(queue=_TEXT, ready=_COUNT, delayed=_COUNT, running=_COUNT, dead=_COUNT, done=_COUNT)},
    ("GET", "/v1/jobs"): {"200": _object(jobs=_ROWS, after={"type": ["string", "null"]})},
    ("GET", "/v1/jobs/{id}"): {"200": _object(id=_ID, queue=_TEXT, state=_TEXT, history=_ROWS)},
    ("GET", "/v1/workers"): {"200": _object(workers=_ROWS)},
    ("GET", "/v1/schedules"): {"200": _object(schedules=_ROWS)},
    ("GET", "/v1/history"): {
        "200": _object(
            step={"enum": [60, 3600]}, rows=_list(_object(at=_COUNT, queue=_TEXT, task=_TEXT, done=_COUNT, failed=_COUNT, dead=_COUNT))
        ),
    },
    ("GET", "/v1/audit"): {"200": _object(acts=_ROWS)},
}
# Doors that do not speak JSON.
_KINDS = {
    "/v1/jobs/{id}/body": "application/octet-stream",
    **dict.fromkeys(("/v1/events", "/v1/queues/{q}/events", "/v1/topics/{t}/events"), "text/event-stream"),
    "/metrics": "text/plain",
    "/stats.txt": "text/plain",
    "/healthz": "text/plain",
    "/readyz": "text/plain",
}
# What an answer holds that has no schema of its own.
_EVENTS = (
    "snapshot and change tell how the queue stands: {queues, gone, failure}. job tells what happened to a job: {event, id, queue, at, "
    "attempt, ...}, event being put brought claimed done failed returned buried lost cancelled requeued deleted or dropped; without an id "
    "it is of count jobs (-1: some). missed tells how many of these were not told: {missed} (-1: some)."
)
_SAYS = {
    "/v1/events": "snapshot, then change, each {queues, gone, failure}: rows that differ, and names of queues that are gone",
    "/v1/queues/{q}/events": _EVENTS,
}
# What may be in the way, beside that which may be in the way of any request.
_BAD: dict[str, tuple[int, ...]] = {
    "/v1/queues/{q}/jobs": (409, 422, 423),
    "/v1/queues/{q}/claims": (423,),
    "/v1/topics/{t}": (422, 423),
    "/v1/topics/{t}/events": (422,),
    "/v1/topics": (422,),
    "/v1/call/{task}": (409, 422, 423, 502, 504),
    **{f"/v1/{verb}": (409, 422) for verb in ("ack", "nack", "bury", "extend")},
    **{f"/v1/jobs/{verb}": (409, 422, 423) for verb in ("requeue", "delete", "move", "cancel")},
    "/v1/queues/{q}/limits": (422,),
    "/v1/workers/{id}/orders": (422,),
    "/v1/schedules/{name}/run": (409, 422, 423),
    "/v1/workers/{id}/inspect": (422, 504),
}
_ANYWHERE = (400, 401, 403, 405, 408, 421, 431, 500, 503)


def answers(door: Door) -> dict[str, Any]:
    """The responses of this door."""
    kind = _KINDS.get(door.path, JSON)
    made: dict[str, Any] = {}
    for status, shape in _GOOD.get((door.method, door.path), {"200": {"type": "object"} if kind == JSON else _TEXT}).items():
        told = {"description": _SAYS.get(door.path, "done") if shape is not None else "done, nothing to say"}
        made[status] = told if shape is None else told | {"content": {kind: {"schema": shape}}}
    bad = {*_ANYWHERE, *_BAD.get(door.path, ())}
    if "{" in door.path:
        bad.add(404)
    if door.method != "GET":
        bad |= {413, 415}
    for number in sorted(bad):
        shape = {"content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        made[str(number)] = {"description": TITLES.get(number, "refused"), **shape}
    if door.path == "/readyz":
        made["503"] = {"description": "its store does not answer", "content": {"text/plain": {"schema": _TEXT}}}
    return made
