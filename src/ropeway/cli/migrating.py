"""What `migrate` does and says."""

from __future__ import annotations

from .output import Row
from .session import Session
from .verdict import DONE


def migrate(session: Session, only_sql: bool) -> int:
    """Bring the tables up to date, or print how. Stores without tables have nothing to be done."""
    store = session.store
    run = getattr(store, "migrate", None)
    if run is None:
        session.out.one({"url": store.url, "changed": False}, ["nothing to do: this store has no tables"], name="url")
        return DONE
    if only_sql:
        for text in store.schema():  # type: ignore[attr-defined]
            session.out.line(f"{text};")
        return DONE
    found, now = run()
    row: Row = {"url": store.url, "found": found, "version": now, "changed": found != now}
    said = f"the tables have version {now}: nothing to do" if found == now else f"the tables have version {now} now, "
    if found != now:
        said += f"they had {found}" if found else "and were made"
    session.out.one(row, [said], name="url")
    return DONE
