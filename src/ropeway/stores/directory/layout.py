"""The names on the disk: the name of a part is its state, so this file is the format. docs/directory-format.md tells it in prose.

    waiting   due.X.first-end.attempts.deaths.bits
    running   due.X.first-end.attempts.deaths.bits.prio.lease.serial
    ended     due.X.first-end.attempts.deaths.bits.prio.moment.serial     dead: when it died; done: when it is forgotten
    staged    s|n + pserial . prio . waiting name       a tail split off, a record given back: becomes a waiting part
              d|k + pserial . ended name                a record buried, or done and kept
    gone      g + running or ended name                 settled for good, being cleared away
    tags      .e<12 hex> its content was edited, and lies beside the job; .l<20 hex> its lane. A running one also has .p<n> its place in
              the lane, .q<n> its place in the queue. At the very end of any of the names above
    parked    prio.waiting name, in the folder of its lane

`attempts` begins with a 0 when attempts or a result are kept beside the job, so that only then anybody looks for them.
All hex is lower-case and all names are ASCII, so that a case-folding disk does no harm. `due` is 14 hex digits of microseconds since
1970: a sorted listing is the order of the queue. `first` and `end` have three digits for the same reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

RECORDS = 256  # of a part, at most: the settled bits must fit into a name
PART_BYTES = 1 << 20
BIG_BODY = 64 * 1024  # larger bodies lie beside their part

NARROW, WIDE, STRETCH = 16, 22, 28  # bits of a due that a slot (65 ms, 4.2 s) and a stretch of slots (268 s) span

HEX = "0123456789abcdef"
_WAITING = r"([0-9a-f]{14})\.([0-9a-f]{32})\.(\d{3})-(\d{3})\.(\d{1,6})\.(\d{1,6})\.([0-9a-f]{1,64})"
_TAGS = r"((?:\.e[0-9a-f]{12})?(?:\.l[0-9a-f]{20})?)"
_waiting = re.compile(_WAITING + _TAGS + r"\Z", re.ASCII).match
_running = re.compile(
    _WAITING + r"\.(\d\d)\.([0-9a-f]{1,14})\.([0-9a-f]{1,14})" + _TAGS + r"((?:\.p\d{1,7})?(?:\.q\d{1,7})?)\Z", re.ASCII
).match
_lane = re.compile(r"[0-9a-f]{20}\Z", re.ASCII).match
_staged = re.compile(r"([sndk])([0-9a-f]{1,14})\.(?:(\d\d)\.)?([0-9a-f]{14}\..*)\Z", re.ASCII).match
_slot = re.compile(r"([nw])([0-9a-f]{14})\Z", re.ASCII).match
_cursor = re.compile(r"[A-Za-z0-9._-]{1,128} [0-4] \d\d [0-9a-f]{14}\.[0-9a-f]{32} \d{3}\Z", re.ASCII).match
_holder = re.compile(
    r"([pf])\.([0-9a-f]{12})\.([0-9a-f]{1,12})\.(\d{1,10})\.([0-9a-f]{1,14})\.([0-9a-f]{20})\.([A-Za-z0-9._-]{1,64})\Z", re.ASCII
).match
_receipt = re.compile(
    r"([A-Za-z0-9._-]{1,128})/([A-Za-z0-9._-]{40,160})/([0-9a-f]{32})\.(\d{3})\.([0-9a-f]{1,14})\.(\d{1,3})\Z", re.ASCII
).match


class Part:
    """A part's name, taken apart. `prio`, `until` (lease or moment) and `serial` are those of a running or ended one. `past` is 1 when
    something is kept beside its jobs. `tags` stay with it wherever it goes, `stay` is of a running one: both as they stand in the name."""

    __slots__ = ("attempts", "bits", "deaths", "due", "end", "first", "past", "prio", "serial", "stay", "tags", "until", "x")

    def __init__(
        self,
        due: int,
        x: str,
        first: int,
        end: int,
        attempts: int,
        deaths: int,
        bits: int,
        prio: int = 0,
        until: int = 0,
        serial: int = 0,
        past: int = 0,
        tags: str = "",
        stay: str = "",
    ) -> None:
        self.due, self.x, self.first, self.end = due, x, first, end
        self.attempts, self.deaths, self.bits = attempts, deaths, bits
        self.prio, self.until, self.serial = prio, until, serial
        self.past, self.tags, self.stay = past, tags, stay

    @property
    def lane(self) -> str:
        """Its lane, by the hash that stands in names; empty when it has none."""
        return self.tags[-20:] if ".l" in self.tags else ""

    @property
    def edit(self) -> str:
        """Which file beside the job has its content; empty when it is as it was put."""
        return self.tags[2:14] if ".e" in self.tags else ""

    def edited(self, edit: str) -> str:
        """The tags, with this edit for the one that may be there."""
        return f".e{edit}{self.tags[14:] if self.edit else self.tags}"

    @property
    def place(self) -> int:
        """The number of its place in the lane; -1: none that the name tells."""
        return int(self.stay[2:].partition(".")[0]) if self.stay[:2] == ".p" else -1

    @property
    def seat(self) -> int:
        """The number of its place in the queue; -1 for none."""
        return int(self.stay.rpartition(".q")[2]) if ".q" in self.stay else -1

    def waiting(self) -> str:
        mark = "0" if self.past else ""
        return f"{self.due:014x}.{self.x}.{self.first:03}-{self.end:03}.{mark}{self.attempts}.{self.deaths}.{self.bits:x}{self.tags}"

    def held(self) -> str:
        """The running or ended name."""
        mark = "0" if self.past else ""
        return (
            f"{self.due:014x}.{self.x}.{self.first:03}-{self.end:03}.{mark}{self.attempts}.{self.deaths}.{self.bits:x}"
            f".{self.prio:02}.{self.until:x}.{self.serial:x}{self.tags}{self.stay}"
        )

    def but(self, **changes: int | str) -> Part:
        out = Part(
            self.due,
            self.x,
            self.first,
            self.end,
            self.attempts,
            self.deaths,
            self.bits,
            self.prio,
            self.until,
            self.serial,
            self.past,
            self.tags,
            self.stay,
        )
        for name, value in changes.items():
            setattr(out, name, value)
        return out

    def cut(self, first: int, end: int) -> Part:
        """The same part for a share of its records, with their bits; what only a running one has is left behind."""
        bits = (self.bits >> (first - self.first)) & ((1 << (end - first)) - 1)
        return self.but(first=first, end=end, bits=bits, stay="")

    def trimmed(self) -> Part:
        """Without the settled records at both ends: so it waits in the order of what it still stands for."""
        if not self.bits:
            return self
        records = [*self.open_records()]
        return self.cut(records[0], records[-1] + 1) if records else self

    def live(self) -> int:
        """How many of its records are not settled."""
        return self.end - self.first - self.bits.bit_count()

    def open_records(self) -> Iterator[int]:
        bits, first = self.bits, self.first
        return (i for i in range(first, self.end) if not bits >> (i - first) & 1)

    def full(self) -> bool:
        return self.bits == (1 << (self.end - self.first)) - 1

    def has_past(self) -> bool:
        """Whether something may lie beside its jobs. The mark alone should say so; of an attempt that was written down by one who then lost
        the job, a later claim tells."""
        return bool(self.past) or self.attempts > 1

    def settled(self, record: int) -> bool:
        return not self.first <= record < self.end or bool(self.bits >> (record - self.first) & 1)


def read_waiting(name: str) -> Part | None:
    """The part of a waiting name; None for a name that is none."""
    found = _waiting(name)
    if not found:
        return None
    due, x, first, end, attempts, deaths, bits, tags = found.groups()
    return _sound(Part(int(due, 16), x, int(first), int(end), int(attempts), int(deaths), int(bits, 16), past=_past(attempts), tags=tags))


def read_held(name: str) -> Part | None:
    """The part of a running or ended name; None for a name that is none."""
    found = _running(name)
    if not found:
        return None
    due, x, first, end, attempts, deaths, bits, prio, until, serial, tags, stay = found.groups()
    return _sound(
        Part(
            int(due, 16),
            x,
            int(first),
            int(end),
            int(attempts),
            int(deaths),
            int(bits, 16),
            int(prio),
            int(until, 16),
            int(serial, 16),
            _past(attempts),
            tags,
            stay,
        )
    )


def _past(attempts: str) -> int:
    return int(len(attempts) > 1 and attempts[0] == "0")


def _sound(part: Part) -> Part | None:
    return part if part.first < part.end <= RECORDS and part.bits >> (part.end - part.first) == 0 else None


NO_PAST = "0.0"


def just_put(due: int, x: str, count: int, past: str = NO_PAST, tags: str = "") -> str:
    """The waiting name of a part that is new here: what `Part(due, x, 0, count, 0, 0, 0).waiting()` says, in a third of the time. `past`:
    other attempts and deaths, see `past_of`."""
    return f"{due:014x}.{x}.000-{count:03}.{past}.0{tags}"


def lane_tag(lane: str) -> str:
    """How a job's lane stands in the names of its part."""
    if not lane:
        return ""
    import hashlib  # late: few have a lane, and each start would pay for it

    return f".l{hashlib.sha256(lane.encode()).hexdigest()[:20]}"


def is_lane(name: str) -> bool:
    """Whether it is the folder of a lane, with what is parked of it."""
    return _lane(name) is not None


def parked_name(part: Part) -> str:
    return f"{part.prio:02}.{part.waiting()}"


def read_parked(name: str) -> Part | None:
    """The part of a parked name, with its priority; None for a name that is none."""
    part = read_waiting(name[3:]) if is_prio(name[:2]) and name[2:3] == "." else None
    if part is not None:
        part.prio = int(name[:2])
    return part


def past_of(attempts: int, deaths: int, kept: bool) -> str:
    """Attempts and deaths as they stand in a name; `kept`: something lies beside the job."""
    return f"{'0' if kept else ''}{attempts}.{deaths}"


class Staged:
    """A staged name taken apart: what it becomes, and the serial of the parent whose name decides whether it is real. (Records that were
    given back and claimed again may lie beside the part they came from, under the same X and first: only the serial tells them apart.)"""

    __slots__ = ("kind", "parent", "part")

    def __init__(self, kind: str, parent: int, part: Part) -> None:
        self.kind, self.parent, self.part = kind, parent, part

    def name(self) -> str:
        if self.kind in "sn":
            return f"{self.kind}{self.parent:x}.{self.part.prio:02}.{self.part.waiting()}"
        return f"{self.kind}{self.parent:x}.{self.part.held()}"

    def real(self, parent: Part) -> bool:
        """Whether this is the parent, and as it is named now it has let go of what is staged here."""
        if (parent.x, parent.serial) != (self.part.x, self.parent):
            return False
        if self.kind == "s":
            return parent.end <= self.part.first
        return parent.settled(self.part.first)


def read_staged(name: str) -> Staged | None:
    """A staged name taken apart; None for a name that is none."""
    found = _staged(name)
    if not found:
        return None
    kind, parent, prio, rest = found.groups()
    part = read_waiting(rest) if prio else read_held(rest)
    if part and prio:
        part.prio = int(prio)
    return Staged(kind, int(parent, 16), part) if part and (kind in "sn") == bool(prio) else None


def slot_of(due: int, width: int) -> str:
    """The folder for a due time: n or w for its width, then the first microsecond it spans."""
    return f"{'w' if width == WIDE else 'n'}{due >> width << width:014x}"


def read_slot(name: str) -> int | None:
    """The first microsecond of a slot by its folder's name; None for a name that is none."""
    found = _slot(name)
    return int(found[2], 16) if found else None


def is_slot(name: str) -> bool:
    return _slot(name) is not None


def slot_end(name: str) -> int:
    return int(name[1:], 16) + (1 << (WIDE if name[0] == "w" else NARROW))


def stretch_of(moment: int) -> str:
    return f"{moment >> STRETCH:07x}"


def is_stretch(name: str) -> bool:
    return len(name) == 7 and all(c in HEX for c in name)


def is_prio(name: str) -> bool:
    return len(name) == 2 and name.isdigit() and name.isascii()


def queue_folder(queue: str) -> str:
    """The folder of a queue: the name in lower case and, when it has capitals, a plus and their places as a hex bitmap. Two queues
    that differ only in case so have two folders on a case-folding disk too."""
    lower = queue.lower()
    if lower == queue:
        return queue
    places = sum(1 << i for i, c in enumerate(queue) if c.isupper())
    return f"{lower}+{places:x}"


def read_queue_folder(name: str) -> str | None:
    """The queue of a folder; None when the folder is no queue's."""
    lower, plus, places = name.partition("+")
    if not plus:
        return name if name == name.lower() else None
    try:
        bits = int(places, 16)
    except ValueError:
        return None
    queue = "".join(c.upper() if bits >> i & 1 else c for i, c in enumerate(lower))
    return queue if queue_folder(queue) == name else None


class HolderName:
    """A holder's folder name, taken apart: kind p (dies with its process) or f (lives by its leases alone)."""

    __slots__ = ("boot", "host", "kind", "pid", "pidns", "random", "start")

    def __init__(self, kind: str, boot: str, pidns: str, pid: int, start: int, random: str, host: str) -> None:
        self.kind, self.boot, self.pidns, self.pid = kind, boot, pidns, pid
        self.start, self.random, self.host = start, random, host

    def __str__(self) -> str:
        return f"{self.kind}.{self.boot}.{self.pidns}.{self.pid}.{self.start:x}.{self.random}.{self.host}"


def read_holder(name: str) -> HolderName | None:
    """A holder's folder name taken apart; None for a name that is none."""
    found = _holder(name)
    if not found:
        return None
    kind, boot, pidns, pid, start, random, host = found.groups()
    return HolderName(kind, boot, pidns, int(pid), int(start, 16), random, host)


def is_cursor(text: str) -> bool:
    """Whether text is a place in a listing as `browse` gives it out."""
    return _cursor(text) is not None


def runs_of(records: Sequence[int]) -> list[list[int]]:
    """Records in runs without a gap. What goes back to its old place may not take others in its middle: they are due at the same moment."""
    runs: list[list[int]] = []
    for record in sorted(records):
        if runs and runs[-1][-1] + 1 == record:
            runs[-1].append(record)
        else:
            runs.append([record])
    return runs


def receipt_of(queue: str, holder: str, part: Part) -> str:
    """What all receipts of one claimed part have in common; the record's number follows."""
    return f"{queue}/{holder}/{part.x}.{part.first:03}.{part.serial:x}."


def read_receipt(text: str) -> tuple[str, str, str, int, int, int] | None:
    """(queue, holder, x, first, serial, record), or None for text that is no receipt of this engine."""
    found = _receipt(text)
    if not found or found[1].startswith(".") or not _holder(found[2]):
        return None
    queue, holder, x, first, serial, record = found.groups()
    return queue, holder, x, int(first), int(serial, 16), int(record)


def by_part(receipts: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Receipts by the part they belong to: {base: [(index, record)]}. Text that is no receipt belongs nowhere."""
    out: dict[str, list[tuple[int, int]]] = {}
    last, members = "", out.setdefault("", [])
    for index, receipt in enumerate(receipts):
        dot = receipt.rfind(".") + 1
        base, record = receipt[:dot], receipt[dot:]
        if base and len(record) <= 3 and record.isdigit() and record.isascii():
            if base != last:  # most come in a row, and hashing such a text costs more than comparing it
                last, members = base, out.setdefault(base, [])
            members.append((index, int(record)))
    del out[""]
    return out
