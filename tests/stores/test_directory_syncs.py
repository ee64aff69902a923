"""The files of one put are begun before the first is waited for: one commit of the journal serves all, and each is synced all the same."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ropeway.clock import SYSTEM
from ropeway.job import Job
from ropeway.link import Link
from ropeway.stores.directory.disk import Disk
from ropeway.stores.directory.store import DirectoryStore
from ropeway.url import parse_url


class Heard:
    """The os module, and what was asked of the disk about files, by inode."""

    def __init__(self, refuses: bool = False) -> None:
        self.asked: list[tuple[str, int]] = []
        self._refuses = refuses

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _note(self, what: str, fd: int) -> None:
        if stat.S_ISREG((info := os.fstat(fd)).st_mode):
            self.asked.append((what, info.st_ino))

    def fsync(self, fd: int) -> None:
        self._note("sync", fd)
        os.fsync(fd)

    def posix_fadvise(self, fd: int, *how: int) -> None:
        self._note("begin", fd)
        if self._refuses:
            raise OSError(22, "Invalid argument")


def asked(folder: Path, count: int, heard: Heard, **options: Any) -> list[tuple[str, int]]:
    """What a put of so many asks for."""
    url = parse_url(f"dir:{folder}/spool?bell=off&durability=full", {"dir": frozenset({"mode"})})
    store = DirectoryStore(url, SYSTEM, disk=Disk(shared=False, calls=heard))
    try:
        new_id = Link("memory:").new_id
        store.put([Job(new_id(), "q")])
        heard.asked.clear()
        assert all(store.put([Job(new_id(), "q", key=f"k{n}" if options else "") for n in range(count)]))
        return heard.asked
    finally:
        store.close()


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize(("count", "options", "files"), [(600, {}, 3), (3, {"key": "k"}, 3)])
def test_all_are_begun_before_the_first_is_waited_for(tmp_path: Path, count: int, options: Any, files: int, refuses: bool) -> None:
    heard = asked(tmp_path, count, Heard(refuses), **options)
    assert [what for what, _ in heard] == ["begin"] * files + ["sync"] * files
    assert len({inode for what, inode in heard if what == "sync"}) == files


def test_one_is_just_synced(tmp_path: Path) -> None:
    assert [what for what, _ in asked(tmp_path, 1, Heard())] == ["sync"]
    assert [what for what, _ in asked(tmp_path / "many", 200, Heard())] == ["sync"]


class Folders(Heard):
    """The same for folders, too."""

    def _note(self, what: str, fd: int) -> None:
        self.asked.append((what, os.fstat(fd).st_ino))


def test_what_is_fleeting_waits_for_no_disk_and_what_is_not_does(tmp_path: Path) -> None:
    heard = Folders()
    url = parse_url(f"dir:{tmp_path}/spool?bell=off&durability=full", {"dir": frozenset({"mode"})})
    store = DirectoryStore(url, SYSTEM, disk=Disk(shared=False, calls=heard))
    new_id = Link("memory:").new_id
    try:
        store.put([Job(new_id(), "q", fleeting=True)])  # the first: the queue itself is made
        heard.asked.clear()
        store.put([Job(new_id(), "q", fleeting=True)])
        store.put([Job(new_id(), "q", fleeting=True, delay=600.0) for _ in range(300)])  # into a folder that nobody has made yet
        assert [what for what, _ in heard.asked if what == "sync"] == []
        store.put([Job(new_id(), "q", fleeting=True), Job(new_id(), "q")])
        files = [name for _, _, names in os.walk(tmp_path / "spool/q/jobs") for name in names]
        assert len([what for what, _ in heard.asked if what == "sync"]) >= 2, "one that is not fleeting makes the batch wait"
        assert len(files) == 5
        heard.asked.clear()
        store.put([Job(new_id(), "q", delay=600.0)])
        above = {os.stat(path).st_ino for path in [tmp_path / "spool/q/jobs", *(tmp_path / "spool/q/jobs").glob("*/*")]}
        assert above & {inode for what, inode in heard.asked if what == "sync"}, "a folder that a fleeting put has made was never synced"
    finally:
        store.close()
