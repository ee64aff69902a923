"""What a server's configuration is worth: the class of an answered put, and what `check` and the first connection have to say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hiredis import ReplyError
from msgspec import Struct

from ...errors import ConfigError
from ...store import Durability, Finding
from ...url import StoreUrl
from .scripts import Request

if TYPE_CHECKING:
    from .hub import Hub
    from .rooms import Rooms

Ask = Callable[..., Any]
RANKS = "-PKR"
OLDEST = 6


class Config(Struct):
    """The server as it is configured now. None: this user may not know."""

    version: str
    aof: bool | None
    fsync: str | None  # always, everysec, no
    policy: str | None
    maxmemory: int | None
    replicas: int
    copies: int  # how many replicas must have a put before it answers

    @property
    def durability(self) -> Durability:
        if self.copies:
            return Durability.REPLICA
        if not self.aof or self.fsync == "everysec":  # everysec: while a sync is under way the server answers before it has written
            return Durability.NONE
        return Durability.KERNEL if self.fsync == "always" else Durability.PROCESS if self.fsync == "no" else Durability.NONE

    @property
    def evicts(self) -> bool:
        """Whether the server throws keys away when its memory is full."""
        return self.policy is not None and self.policy != "noeviction"


def read_config(ask: Ask, copies: int) -> Config:
    """Ask the server. Managed servers refuse CONFIG: then what INFO tells has to do."""
    info: dict[str, str] = {}
    for section in ("server", "memory", "persistence", "replication"):
        text = _maybe(ask, "INFO", section)
        if text is not None:
            info |= dict(line.split(":", 1) for line in text.decode(errors="replace").splitlines() if ":" in line)
    fsync = _setting(ask, "appendfsync")
    aof = info.get("aof_enabled")
    maxmemory = info.get("maxmemory", "")
    return Config(
        info.get("valkey_version") or info.get("redis_version", "?"),
        None if aof is None else aof == "1",
        fsync,
        info.get("maxmemory_policy") or _setting(ask, "maxmemory-policy"),
        int(maxmemory) if maxmemory.isdigit() else None,
        int(info.get("connected_slaves", "0")),
        copies,
    )


def greet(ask: Ask, url: StoreUrl, copies: int) -> None:
    """At the first connection: refuse what was required and is not there, warn of what would lose jobs."""
    config = read_config(ask, copies)
    if url.require and RANKS.index(url.require) > RANKS.index(config.durability):
        raise ConfigError(
            f"{url.text}: durability class {url.require} is required, this server gives {config.durability}; nothing was opened. "
            "K needs appendonly yes and appendfsync always, P at least appendfsync no, R wait=N and replicas"
        )
    if config.evicts:
        logging.getLogger("ropeway").warning(
            "%s throws keys away when its memory is full (maxmemory-policy %s): jobs will be lost. Set it to noeviction",
            url.text,
            config.policy,
        )


def check_server(hub: Hub, rooms: Rooms, copies: int, queues: Sequence[str], deaf: str) -> Iterator[Finding]:
    """What there is to say, of every primary."""
    for place in hub.places():
        yield from _server(lambda *words, place=place: _one(hub, place, words), f"{place[0]}:{place[1]}", copies)
    address = hub.address
    if not address.local and not (address.tls and address.password):
        missing = " and ".join(word for word, there in (("TLS", address.tls), ("a password", address.password)) if not there)
        yield Finding("warning", f"other hosts reach this server, and it is used without {missing}: use rediss:// and a password")
    if deaf:
        yield Finding(
            "warning", f"this user may not listen ({deaf}), so idle workers only look now and then: allow the channels {rooms.stem}*"
        )
    yield from _limbo(hub, rooms, queues)


def _server(ask: Ask, where: str, copies: int) -> Iterator[Finding]:
    config = read_config(ask, copies)
    yield Finding("ok", f"{where}: version {config.version}")
    major = config.version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        yield Finding("fault", f"{where} is older than Redis {OLDEST}: update it")
    if config.evicts:
        level = "fault" if config.maxmemory or config.maxmemory is None else "warning"
        yield Finding(
            level,
            f"{where} throws keys away when its memory is full (maxmemory-policy {config.policy}): set it to noeviction, or jobs are lost",
        )
    if config.aof is None:
        yield Finding("note", f"{where} does not say whether it keeps an append-only file: what an answer survives is not known")
    elif not config.aof:
        yield Finding(
            "warning", f"{where} keeps no append-only file: when it ends, all jobs since its last snapshot are gone. Set appendonly yes"
        )
    elif config.fsync is None:
        yield Finding("note", f"{where} keeps an append-only file; this user may not read how it is synced (CONFIG), so no class is sure")
    elif config.fsync == "always":
        yield Finding("ok", f"{where}: an answered put survives a power cut (appendfsync always, class K)")
    elif config.fsync == "everysec":
        yield Finding(
            "note",
            f"{where}: appendfsync everysec: when the server or its machine dies, up to two seconds of answered puts may be gone (class -)",
        )
    else:
        yield Finding("note", f"{where}: appendfsync {config.fsync}: a power cut loses what the kernel has not written yet (class P)")
    if copies and config.replicas < copies:
        yield Finding("fault", f"{where} has {config.replicas} replicas and wait={copies} is asked for: every put will fail")


def _limbo(hub: Hub, rooms: Rooms, queues: Sequence[str]) -> Iterator[Finding]:
    """Jobs that stand nowhere: their record is there, and no set has them."""
    for queue in queues:
        room = rooms.room(queue)
        names = [("HLEN", 2), ("ZCARD", 3), ("ZCARD", 5), ("ZCARD", 8), ("ZCARD", 9), ("ZCARD", 11)]
        jobs, *sets = hub.ask([Request(None, (command, room.keys[place]), room.slot) for command, place in names])
        if jobs != sum(sets):
            yield Finding(
                "warning",
                f"queue {queue} has {jobs} jobs, and {sum(sets)} places for them: another program has changed its keys, or jobs came and "
                "went during this look. Look again",
            )


def _one(hub: Hub, place: tuple[str, int], words: Sequence[str]) -> Any:
    (reply,) = hub.through([Request(None, tuple(words))], place=place)
    return reply


def _maybe(ask: Ask, *words: str) -> Any:
    reply = ask(*words)
    return None if isinstance(reply, ReplyError) else reply


def _setting(ask: Ask, name: str) -> str | None:
    found = _maybe(ask, "CONFIG", "GET", name)
    return found[1].decode() if isinstance(found, list) and len(found) == 2 else None
