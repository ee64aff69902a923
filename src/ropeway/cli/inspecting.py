"""What `inspect` does: finds the process, asks it, and shows what it answered."""

from __future__ import annotations

import os
import time

from ..errors import Timeout
from ..introspection.asking import Asked, Silent, Source
from ..introspection.places import Place, all_of, find
from ..living import identity
from ..sight import machine
from ..sight.kernel import catches
from ..worker.fleet import Member, workers
from .manage import meant
from .output import Row, say
from .session import Session
from .sights import lines, new_lines
from .table import Column, render, terminal_width
from .verdict import DONE, NOTHING, REFUSED, TIMED_OUT, USAGE, Failure

AGAIN = 1.0  # seconds between two looks with -f
SOON = 0.3  # and at what comes line by line, from a page
FAR = 10.0  # seconds for a worker that is asked by its orders


def list_pages(session: Session) -> int:
    """Print the processes of this user that have a page."""
    places = list(all_of())
    columns = [
        Column("PID", lambda one: str(one.pid), right=True),
        Column("PROGRAM", lambda one: one.title, flex=True),
        Column("PAGE", lambda one: _where(one)),
    ]
    session.out.rows(
        ({"id": str(one.pid), "pid": one.pid, "program": one.title, "page": _where(one)} for one in places),
        lambda _: render(columns, places, terminal_width()),
        empty="no process of yours has a page; open one: ropeway.introspect(), or ropeway work --introspect 127.0.0.1:0",
    )
    return DONE


def _where(place: Place) -> str:
    return f"unix:{place.path}" if place.path else place.url.rpartition("/")[0] if place.url.count("/") > 2 else place.url


def inspect(session: Session, target: str, what: str, *, follow: bool, wait: float) -> int:
    """Print that view of the process; with `follow` until stopped."""
    look = _Look(session, target, wait)
    if what == "page":
        return _page(session, look)
    if not follow:
        seen = look.view(what)
        session.out.one({"id": target, **seen}, lines(what, seen), name="pid")
        return DONE
    before: Row | None = None
    with session.out.listing(lambda row: row["_text"]) as emit:
        while True:
            seen = look.view(what)
            if what in ("output", "logs"):
                for row in new_lines(what, seen, before):
                    emit(row if session.out.mode == "table" else {name: value for name, value in row.items() if name != "_text"})
            else:
                emit({"_text": [*lines(what, seen), ""]} if session.out.mode == "table" else seen)
            before = seen
            session.flush()
            time.sleep(SOON if look.near and what in ("output", "logs") else AGAIN)


def _page(session: Session, look: _Look) -> int:
    source = look.source
    if source is None:
        raise Failure(NOTHING, "this worker has no page; it is asked by its orders. Start it with --introspect 127.0.0.1:0 for one")
    session.out.one({"id": source.url, "page": source.url}, [source.url], name="page")
    return DONE


class _Look:
    """Where a target is, found once. `source`: its page; without one, `member`: it is asked by its orders."""

    def __init__(self, session: Session, target: str, wait: float) -> None:
        self._wait = wait
        self.source: Source | None = None
        self._member: Member | None = None
        self._place: Place | None = None
        if target.isascii() and target.isdigit():
            self._by_pid(session, int(target[:18]))
        elif ":" in target:
            self._by_address(target)
        else:
            (self._member,) = meant(workers(session.link), target)
            if self._member.seen.who.partition(".")[0] == identity().partition(".")[0]:
                self._by_place(find(self._member.seen.pid))
        self.near = self.source is not None

    def view(self, what: str) -> Row:
        """What it shows. Failure when it does not answer, with what else is known of it."""
        if self.source is None:
            assert self._member is not None
            try:
                return self._member.inspect(what, timeout=max(self._wait, FAR))
            except Timeout as error:
                raise Failure(TIMED_OUT, str(error)) from None
        try:
            return self.source.view(what, self._wait)
        except Asked as error:
            raise Failure(REFUSED if error.status in (401, 421) else NOTHING if error.status == 404 else 1, str(error)) from None
        except Silent as error:
            raise Failure(TIMED_OUT, self._why_silent(error)) from None

    def _by_pid(self, session: Session, pid: int) -> None:
        self._by_place(find(pid))
        if self.source is not None:
            return
        members = [member for member in workers(session.link) if member.seen.pid == pid and _is_here(member)]
        if members:
            self._member = members[0]
        elif "error" in machine.outside(pid, 0.0):
            raise Failure(NOTHING, f"there is no process {pid}; nothing was asked. See: ropeway inspect, ropeway workers")
        else:
            raise Failure(
                NOTHING,
                f"process {pid} has no page of yours, and is no worker of this store; nothing was asked. In a Python program: "
                f"ropeway.introspect(). From outside: {machine.outside_text(machine.outside(pid))}",
            )

    def _by_place(self, place: Place | None) -> None:
        if place is not None:
            self._place = place
            self.source = Source(f"unix:{place.path}" if place.path else place.url)

    def _by_address(self, target: str) -> None:
        url = target if "://" in target or target.startswith("unix:") else f"http://{target}"
        known = next((one for one in all_of() if f"{one.url}/".startswith(f"{url.rstrip('/')}/") or f"unix:{one.path}" == target), None)
        if known is not None:
            self._by_place(known)
        else:
            try:
                self.source = Source(url)
            except ValueError as error:
                raise Failure(USAGE, f"{target[:200]!r} is no address: {error}; nothing was asked") from None

    def _why_silent(self, error: Silent) -> str:
        place = self._place
        if place is None:
            return f"{error}. Is it still there?"
        outside = machine.outside_text(machine.outside(place.pid))
        stacks = written_down(place).splitlines()
        for line in ["where its threads stand, the last call first:", *stacks] if stacks else ():
            say(line)
        return f"process {place.pid} does not answer within {self._wait:g} s: {outside}"


def _is_here(member: Member) -> bool:
    return member.seen.who.split(".")[:2] == identity().split(".")[:2]


def written_down(place: Place) -> str:
    """The stacks that the process itself writes down when it is sent its signal, which needs no interpreter. Empty when it does not."""
    from ..living import is_dead, is_halted

    if not place.signal or not place.stacks or is_dead(place.who) or is_halted(place.who):
        return ""
    try:
        before = os.path.getsize(place.stacks)
        if find(place.pid) != place or not catches(place.pid, place.signal):
            return ""  # it ended, and another has its number; or another program has taken its place, and would die of the signal
        os.kill(place.pid, place.signal)
        until, seen = time.monotonic() + 1.0, before
        while time.monotonic() < until:
            time.sleep(0.05)
            size = os.path.getsize(place.stacks)
            if size > before and size == seen:
                break
            seen = size
        with open(place.stacks, "rb") as file:
            file.seek(before)
            return file.read(1 << 16).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
