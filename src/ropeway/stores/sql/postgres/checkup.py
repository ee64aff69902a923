"""What the server's settings make an answer worth, and what `check` finds."""

from __future__ import annotations

from typing import Any, NamedTuple

from ....store import Durability, Finding
from .wire import Call, Wire

_SETTINGS = b"""select current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'), current_setting('autovacuum'), current_setting('server_version'), pg_is_in_recovery(),
    pg_backend_pid()::bigint"""
OLD = 600  # seconds after which an open snapshot is worth a word


class Settings(NamedTuple):
    """Those that decide what survives."""

    fsync: str
    full_page_writes: str
    synchronous_commit: str
    standbys: str
    autovacuum: str
    version: str
    standby: bool
    pid: int

    def worth(self, durability: str) -> Durability:
        """What an answered put survives."""
        if durability != "full" or self.fsync != "on" or self.full_page_writes != "on" or self.synchronous_commit == "off":
            return Durability.PROCESS
        return Durability.REPLICA if self.standbys and self.synchronous_commit != "local" else Durability.KERNEL

    def why(self) -> str:
        """What keeps it from being worth more."""
        if self.fsync != "on":
            return "fsync is off"
        if self.full_page_writes != "on":
            return "full_page_writes is off"
        if self.synchronous_commit in ("off", "local"):
            return f"synchronous_commit is {self.synchronous_commit}"
        return "no synchronous_standby_names" if not self.standbys else ""


def settings(wire: Wire) -> Settings:
    return Settings(*wire.ask(Call(_SETTINGS))[0])


def findings(wire: Wire, found: Settings, job: str, durability: str) -> list[Finding]:
    """Everything but the bell."""
    out = [Finding("ok", f"PostgreSQL {found.version}, class {found.worth(durability)}")]
    if found.standby:
        out.append(Finding("fault", "this server is a read-only standby: name the primary"))
    if found.fsync != "on" or found.full_page_writes != "on":
        out.append(Finding("warning", f"{found.why()}: a power cut can destroy the whole database. Turn it on"))
    elif durability == "full" and found.synchronous_commit == "off":
        out.append(Finding("warning", "synchronous_commit is off: a crash of the server undoes the last puts. Turn it on"))
    if found.autovacuum != "on":
        out.append(Finding("warning", "autovacuum is off: what has left the queue stays in the table, and claims get slower. Turn it on"))
    out += _dead_rows(wire, job)
    out += _snapshots(wire)
    return out


def _dead_rows(wire: Wire, job: str) -> list[Finding]:
    live, dead = _one(
        wire,
        b"select coalesce(n_live_tup, 0), coalesce(n_dead_tup, 0) from (select to_regclass($1)::oid) t(r) "
        b"left join pg_stat_all_tables on relid = r",
        job,
    )
    if dead > 100_000 and dead > live:
        return [Finding("warning", f"{dead} dead rows in {job}: autovacuum does not keep up. VACUUM it, and look for old snapshots")]
    return [Finding("ok", f"{live} rows, {dead} dead ones, as far as the server has counted")]


def _snapshots(wire: Wire) -> list[Finding]:
    rows = wire.ask(
        Call(
            b"select pid::bigint, coalesce(usename::text, ''), coalesce(application_name, ''), "
            b"extract(epoch from now() - xact_start)::bigint "
            b"from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_xmin is not null "
            b"and xact_start < now() - make_interval(secs => %d) order by xact_start limit 3" % OLD
        )
    )
    return [
        Finding(
            "warning",
            f"a transaction of {user} ({name}, pid {pid}) has been open for {age // 60} minutes: nothing can be vacuumed meanwhile",
        )
        for pid, user, name, age in rows
    ]


def _one(wire: Wire, text: bytes, value: str) -> Any:
    return wire.ask(Call(text, [value.encode()], [25], [0]))[0]
