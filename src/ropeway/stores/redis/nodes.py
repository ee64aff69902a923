"""Which node of a cluster has which slot."""

from __future__ import annotations

from typing import Any


def slots(reply: list[Any], asked: str) -> dict[int, tuple[str, int]]:
    """Out of CLUSTER SLOTS: the primary of every slot. A node that does not know its own name is the one that was asked."""
    out: dict[int, tuple[str, int]] = {}
    for first, last, node, *_ in reply:
        host = node[0].decode() if node[0] else ""
        out.update(dict.fromkeys(range(first, last + 1), (host if host not in ("", "?") else asked, node[1])))
    return out
