"""The server: any store over HTTP, for every language, behind one gate. `make_app` is the ASGI application, `serve` runs it."""

from __future__ import annotations

from .app import make_app
from .grants import Grant, Role

__all__ = ["Grant", "Role", "make_app"]
