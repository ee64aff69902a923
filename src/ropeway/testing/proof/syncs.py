"""Whether each answered put was made safe before it was answered: the file, its name, and every folder above it, by the trace of a run.

This judges the order of the calls by the strictest reading of the standard: what was not synced is gone after a power cut. A file system
that is kinder than that (ext4 commits a rename along with the first sync) would hide a missing sync from any number of power cuts.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .report import Outcome, need
from .steps import Ground, scenario
from .trace import Call, record

_PATHS = re.compile(r'(AT_FDCWD|\d+)(?:<([^>]*)>)?, "([^"]*)"')
_FD = re.compile(r"^\d+<([^>]*)>")


class Disk:
    """What a disk would hold after a power cut now: names whose folder was not synced since they came, data that was not synced."""

    def __init__(self) -> None:
        self.inode: dict[str, int] = {}
        self.loose: set[str] = set()  # names
        self.unwritten: set[int] = set()  # inodes
        self._next = 0

    def create(self, path: str) -> None:
        self._next += 1
        self.inode[path] = self._next
        self.loose.add(path)

    def link(self, old: str, new: str) -> None:
        self.inode[new] = self.inode.get(old, 0)
        self.loose.add(new)

    def rename(self, old: str, new: str) -> None:
        for path in [p for p in self.inode if p == old or p.startswith(f"{old}/")]:
            moved = new + path[len(old) :]
            self.inode[moved] = self.inode.pop(path)
            if path in self.loose:
                self.loose.discard(path)
                self.loose.add(moved)
        self.loose.add(new)

    def sync(self, path: str) -> None:
        self.unwritten.discard(self.inode.get(path, 0))
        self.loose = {p for p in self.loose if p.rpartition("/")[0] != path}

    def unsafe(self, path: str) -> list[str]:
        """What of this file would be missing: its data, or a name on its way."""
        out = [f"the data of {path}"] if self.inode.get(path, 0) in self.unwritten else []
        while path:
            if path in self.loose:
                out.append(f"the name {path}")
            path = path.rpartition("/")[0]
        return out


def paths(call: Call, home: str) -> list[str]:
    """The absolute paths that a call names, in order."""
    out = []
    for _, folder, name in _PATHS.findall(call.text):
        out.append(name if name.startswith("/") else f"{folder or home}/{name}")
    return out


def judge(calls: Sequence[Call]) -> tuple[int, list[str]]:
    """How many answered puts there were, and what of them was not safe when they were answered."""
    disk, answered, wrong = Disk(), 0, []
    for call in calls:
        named = paths(call, str(Path.cwd())) if not call.error else []
        fd = _FD.match(call.text)
        if call.name in ("openat", "mkdirat", "mkdir", "open") and call.result >= 0:
            where = named[0] if named else call.text.split('"')[1]
            if call.name.startswith("mkdir") or ("O_CREAT" in call.text and where not in disk.inode):
                disk.create(where)
        elif call.name.startswith("rename") and len(named) == 2:
            disk.rename(*named)
        elif call.name.startswith("link") and len(named) == 2:
            disk.link(*named)
        elif call.name == "unlinkat" and named:
            disk.inode.pop(named[0], None)
            disk.loose.discard(named[0])
        elif call.name == "fsync" and fd and not call.error:
            disk.sync(fd[1])
        elif call.name in ("write", "writev") and fd:
            if '\\"what\\":\\"put.ok' in call.text:
                ids = re.findall(r"[0-9a-f]{32}", call.text)
                answered += 1
                wrong += _unsafe(disk, ids)
            disk.unwritten.add(disk.inode.get(fd[1], -1))
    return answered, wrong


def _unsafe(disk: Disk, ids: Sequence[str]) -> list[str]:
    """Of the files that stand for these jobs: parts are named by their first job, bodies and keys are links and files of their own."""
    found = [p for p in disk.inode if any(i in p for i in ids) and "/run/" not in p and "/beside/" not in p]
    inodes = {disk.inode[p] for p in found}
    found += [p for p in disk.inode if "/key/" in p and disk.inode[p] in inodes and p not in found]
    if not found:
        return [f"no file of the answered job {ids[0]} was seen"]
    return [f"answered while not safe: {what}" for path in found for what in disk.unsafe(path)]


def sweep(above: Path, bug: str = "") -> tuple[int, list[str]]:
    """Record the scenario and judge each answer by what had been synced before it: how many answers, and what went wrong."""
    ground = Ground(above, "syncs")
    calls = record(scenario(ground, bug), ground.log)
    ground.clear()
    return judge(calls)


def run(amount: int) -> Outcome:
    """Every put of the scenario; there is no amount to choose."""
    need("strace")
    with tempfile.TemporaryDirectory(prefix="ropeway-syncs-") as folder:
        count, wrong = sweep(Path(folder))
    if not count:
        wrong.append("no put was seen at all")
    return Outcome("syncs", f"{count} answered puts traced", wrong)
