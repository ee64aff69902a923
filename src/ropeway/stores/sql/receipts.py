"""Receipts: the proof of a claim as text. `<id>.<token>`, with a `k` behind it when the job wants to be kept once it is done."""

from __future__ import annotations

import re

_RECEIPT = re.compile(r"([0-9a-f]{32})\.([0-7][0-9a-f]{15})(k?)\Z", re.ASCII).match

Claim = tuple[str, int, bool]


def receipt(job_id: str, token: int, kept: bool) -> str:
    return f"{job_id}.{token:016x}k" if kept else f"{job_id}.{token:016x}"


def read_receipt(text: object) -> Claim | None:
    """(id, token, kept), None for what is no receipt."""
    found = _RECEIPT(text) if isinstance(text, str) and len(text) < 64 else None
    return (found[1], int(found[2], 16), bool(found[3])) if found else None
