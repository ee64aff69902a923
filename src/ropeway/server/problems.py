"""Errors as answers: every error of ropeway's tree has its status, and a body of application/problem+json (RFC 9457)."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from ..errors import (
    BadBody,
    BadName,
    BadValue,
    ConfigError,
    Conflict,
    LeaseLost,
    NotAllowed,
    RemoteError,
    RopewayError,
    Stopped,
    StoreError,
    Timeout,
    Unsupported,
)

STATUS: dict[type[RopewayError], int] = {
    BadName: 400,
    BadValue: 400,
    BadBody: 400,
    NotAllowed: 403,
    Conflict: 409,
    LeaseLost: 409,
    Unsupported: 422,
    Stopped: 423,
    ConfigError: 500,
    RemoteError: 502,
    StoreError: 503,
    Timeout: 504,
}
PROBLEM = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    411: "Length required",
    413: "Too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Unsupported",
    423: "Stopped",
    429: "Too many",
    431: "Headers too large",
    500: "Server error",
    502: "Remote error",
    503: "Not available",
    504: "Timeout",
}


FAULT: dict[str, object] = {  # of ours: it is logged, and nothing of it is told
    "type": "urn:ropeway:Fault",
    "title": TITLES[500],
    "status": 500,
    "detail": "the server failed; it is unknown what was done. Its log says why",
}


class Refusal(Exception):
    """A request that is refused before it reaches a store."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def status_of(error: RopewayError) -> int:
    """The status of the nearest class above that has one."""
    for kind in type(error).__mro__:
        if (status := STATUS.get(kind)) is not None:
            return status
    return 500


def problem(status: int, text: str, kind: str = "", headers: dict[str, str] | None = None, **more: object) -> Response:
    """The answer. `kind`: the class in the tree of errors, so that a client can raise the same."""
    return Response(problem_body(status, text, kind, **more), status, headers, PROBLEM)


def problem_body(status: int, text: str, kind: str = "", **more: object) -> bytes:
    """The body of such an answer."""
    name = f"urn:ropeway:{kind}" if kind else "about:blank"
    return msgspec.json.encode({"type": name, "title": TITLES.get(status, "Error"), "status": status, "detail": text} | more)


def answer(error: Exception) -> Response:
    """The answer to an error that a handler ended with."""
    if isinstance(error, Refusal):
        return problem(error.status, str(error), headers=error.headers)
    if not isinstance(error, RopewayError):
        return Response(msgspec.json.encode(FAULT), 500, None, PROBLEM)
    told = problem_of(error)
    headers = {"Retry-After": "1"} if isinstance(error, StoreError) else None
    return Response(msgspec.json.encode(told), status_of(error), headers, PROBLEM)


def problem_of(error: RopewayError) -> dict[str, object]:
    """The error as a problem: what a client needs to raise the same."""
    kind, status = type(error).__name__, status_of(error)
    more: dict[str, object] = {"type": f"urn:ropeway:{kind}", "title": TITLES.get(status, "Error"), "status": status, "detail": str(error)}
    if isinstance(error, StoreError):
        more["definite"] = error.definite
    if isinstance(error, Stopped):
        more |= {"queue": error.queue, "reason": error.reason}
    if isinstance(error, Conflict):
        more |= {"key": error.key, "job_id": error.job_id}
    if isinstance(error, RemoteError):
        more |= {"remote_type": error.remote_type, "traceback": error.traceback}
    return more
