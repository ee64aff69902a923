"""What `check` finds and says."""

from __future__ import annotations

from ..store import Durability, Feature
from ..url import hidden
from .clean import clean
from .output import Row
from .session import Session
from .verdict import DONE, FAILED

SURVIVES = {
    Durability.NONE: "nothing: it dies with its process",
    Durability.PROCESS: "the death of any process, but no crash of the machine",
    Durability.KERNEL: "a crash of the machine and a power cut",
    Durability.REPLICA: "the loss of the machine: a replica takes over",
}


def check(session: Session) -> int:
    """Print what there is to know about the store. The exit code: 1 when there is a fault."""
    url, why = session.where()
    said = session.out.mode == "table"
    if said:  # before anything can fail: which store it is helps most when it does
        session.out.line(f"store       {clean(hidden(url))}")
        session.out.line(f"chosen by   {clean(why)}")
        session.out.stream.flush()
    store = session.store
    durability = store.durability()
    findings = list(store.check())
    fault = any(finding.level == "fault" for finding in findings)
    row: Row = {"url": store.url, "why": why, "durability": str(durability), "survives": SURVIVES[durability], "max_body": store.max_body}
    row |= {"features": sorted(store.features), "ok": not fault, "findings": [{"level": f.level, "text": f.text} for f in findings]}
    lacks = sorted(set(Feature) - store.features)
    text = [f"durability  {durability}: an answered put survives {SURVIVES[durability]}"]
    text += [f"largest     {store.max_body:,} bytes a body"] if store.max_body else []
    text += [f"lacks       {' '.join(lacks)}"] if lacks else []
    text += [clean(f"{finding.level:<12}{finding.text}") for finding in findings] or ["ok          nothing is wrong"]
    session.out.one(row, text, name="url")
    return FAILED if fault else DONE
