"""Calls: a job whose caller waits for its answer, over a private queue for replies; and jobs whose ends are awaited by ring."""

from __future__ import annotations
