"""An answer that is a value, as JSON."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


def said(value: object, status: int = 200, **headers: str) -> Response:
    """The value as JSON. Headers by their names, with _ for -."""
    known = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(msgspec.json.encode(value), status, known, "application/json")
