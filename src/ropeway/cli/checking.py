"""What `check` finds and says."""

from __future__ import annotations

from collections.abc import Iterator

from ..store import ANY, Durability, Feature, Finding
from ..url import hidden
from .clean import clean
from .output import Row
from .rows import limits_shown
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
    findings = [*store.check(), *_limits(session)]
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


def _limits(session: Session) -> Iterator[Finding]:
    """Where the limits of the configuration are not those that hold."""
    wanted = session.link.limits()
    if not wanted:
        return
    if Feature.LIMITS not in session.store.features:
        yield Finding("warning", f"the configuration limits {' '.join(sorted(wanted))}, and this engine cannot: workers refuse to start")
        return
    for name, counts in session.store.counts(sorted(wanted)).items():
        if counts.limits == ANY != wanted[name]:
            yield Finding("note", f"queue {name} has no limits yet: the next worker sets {limits_shown(wanted[name])}, as configured")
        elif counts.limits != wanted[name]:
            shown = f"{limits_shown(counts.limits)} holds, the configuration says {limits_shown(wanted[name]) or 'none'}"
            yield Finding("note", f"queue {name}: {shown}. To take that: ropeway limit {name} --config")
