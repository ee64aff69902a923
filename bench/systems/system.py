"""What a row of the tables is: which class does the work, in whose environment, how much of it in a slice, and how safe it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class System(NamedTuple):
    """A side that is measured. `peer`: the environment it lives in (environments.py); nothing for what runs in our own.

    `durable`: the durabilities that it can be held to. `puts`, `drains`: jobs a slice, so that one takes some tenths of a second.
    `bulk`, `waits`: whether it puts many in one call, and whether it has a worker that waits. `options` go to the class.
    """

    module: str
    attribute: str
    what: str
    peer: str = ""
    durable: tuple[str, ...] = ("os", "full")
    puts: int = 3_000
    drains: int = 2_000
    bulk: int = 0  # jobs a slice in bulk; 0 = it has no call for that
    waits: bool = False
    keeps: bool = False  # a backlog stands before its drain; else it gets just what it is to drain, and a worker of its own
    options: Mapping[str, Any] = {}
