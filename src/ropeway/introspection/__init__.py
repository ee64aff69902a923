"""The introspection page: what this process can say of itself, over HTTP, from a thread of its own. `introspect` opens it."""

from __future__ import annotations

from .page import Page, introspect

__all__ = ["Page", "introspect"]
