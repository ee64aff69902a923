"""What a client of a file server wrongly remembers does not hide a job from the directory engine: the smallest forms, without a network.

The real thing is run by `python -m ropeway.testing.proof nfs shared`; each of these was found there.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ropeway.clock import SYSTEM
from ropeway.errors import StoreError
from ropeway.job import Job
from ropeway.store import Handback, Holder
from ropeway.stores.directory.disk import Disk
from ropeway.stores.directory.place import grain_of
from ropeway.stores.directory.store import DirectoryStore
from ropeway.testing.clock import FakeClock
from ropeway.testing.proof import across
from ropeway.url import parse_url

HOLDER = Holder("tester")
QUICK = ("put_while_listed", "waited_for", "new_queue", "switches", "settled_elsewhere", "large_body", "result", "notes")


class Client:
    """The os module as a client of a file server may show it: a listing is remembered until this client changes the folder or is told to
    forget it, as after a change in the tick of that listing; what was not there stays so until this client tries to make it; and what
    another has removed is stale."""

    def __init__(self) -> None:
        self._lists: dict[tuple[int, int], list[str]] = {}
        self._missing: set[tuple[tuple[int, int], str]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _folder(self, fd: int) -> tuple[int, int]:
        info = os.fstat(fd)
        if not info.st_nlink:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return info.st_dev, info.st_ino

    def _changed(self, fd: int, name: str) -> None:
        folder = self._folder(fd)
        self._lists.pop(folder, None)
        self._missing.discard((folder, name))

    def listdir(self, fd: int) -> list[str]:
        folder = self._folder(fd)
        if folder not in self._lists:
            self._lists[folder] = os.listdir(fd)
        return list(self._lists[folder])

    def posix_fadvise(self, fd: int, *rest: int) -> None:
        self._lists.pop(self._folder(fd), None)

    def open(self, name: str, flags: int, mode: int = 0o777, *, dir_fd: int) -> int:
        missing = self._folder(dir_fd), name
        if flags & os.O_CREAT:
            self._changed(dir_fd, name)
        elif missing in self._missing:
            raise FileNotFoundError(errno.ENOENT, "remembered as missing", name)
        try:
            return os.open(name, flags, mode, dir_fd=dir_fd)
        except FileNotFoundError:
            self._missing.add(missing)
            raise

    def stat(self, name: str, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
        missing = self._folder(dir_fd), name
        if missing in self._missing:
            raise FileNotFoundError(errno.ENOENT, "remembered as missing", name)
        try:
            return os.stat(name, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        except FileNotFoundError:
            self._missing.add(missing)
            raise

    def rename(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        self._changed(src_dir_fd, old)
        self._changed(dst_dir_fd, new)
        os.rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def link(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool = True) -> None:
        self._changed(dst_dir_fd, new)
        os.link(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    def mkdir(self, name: str, mode: int, *, dir_fd: int) -> None:
        self._changed(dir_fd, name)
        os.mkdir(name, mode, dir_fd=dir_fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self._changed(dir_fd, name)
        os.unlink(name, dir_fd=dir_fd)

    def rmdir(self, name: str, *, dir_fd: int) -> None:
        self._changed(dir_fd, name)
        os.rmdir(name, dir_fd=dir_fd)


def store(path: Path, clock: Any = SYSTEM, calls: Any = None) -> DirectoryStore:
    url = parse_url(f"dir:{path}/store?durability=os&bell=off", {"dir": frozenset({"mode"})})
    return DirectoryStore(url, clock, disk=Disk(shared=True, calls=calls or Client()))


@pytest.mark.parametrize("name", QUICK)
def test_what_another_client_did_is_seen(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "IN_TIME", 2.0)
    monkeypatch.setattr(across, "PATIENCE", 2.5)
    one, two = store(tmp_path), store(tmp_path)
    try:
        assert getattr(across, name)(one, two) == ""
    finally:
        one.close()
        two.close()


def emptied(tmp_path: Path) -> tuple[DirectoryStore, DirectoryStore, list[Any]]:
    """One client holds a job of a slot that it has open; the other has removed the slot."""
    clock = FakeClock()
    one, two = store(tmp_path, clock), store(tmp_path, clock)
    one.put([across.job("q"), across.job("q", priority=10)])
    held = one.claim(["q"], 9, 60.0, HOLDER)
    clock.advance(20)
    assert two.claim(["q"], 1, 60.0, HOLDER) == []
    assert not [name for _, _, names in os.walk(tmp_path / "store/q/jobs") for name in names]
    return one, two, held


def test_a_job_goes_back_to_a_slot_that_another_client_has_removed(tmp_path: Path) -> None:
    one, two, held = emptied(tmp_path)
    assert one.nack([Handback(lent.receipt, restore=True) for lent in held]) == [True, True]
    assert len(two.claim(["q"], 9, 60.0, HOLDER)) == 2


def test_folders_that_another_client_has_removed_do_not_fail_a_claim(tmp_path: Path) -> None:
    one, two, _ = emptied(tmp_path)
    assert one.claim(["q"], 1, 60.0, HOLDER) == []
    two.put([across.job("q")])
    assert len(one.claim(["q"], 1, 60.0, HOLDER)) == 1


def test_a_claim_that_outlives_its_lease_hands_nothing_out(tmp_path: Path) -> None:
    """The file server was away in the midst of it: another may have the job by now, though this client still reads the file."""
    clock = FakeClock()

    class Slow(Client):
        def rename(self, *args: Any, **kwargs: Any) -> None:
            super().rename(*args, **kwargs)
            clock.advance(10)

    store(tmp_path, clock).put([across.job("q")])
    late = store(tmp_path, clock, Slow())
    assert late.claim(["q"], 1, 5.0, HOLDER) == []
    lent = late.claim(["q"], 1, 30.0, HOLDER)
    assert [one.attempt for one in lent] == [2]


def test_a_file_that_was_made_and_is_said_to_exist_is_made_again(tmp_path: Path) -> None:
    class Denying(Client):
        def open(self, name: str, flags: int, mode: int = 0o777, *, dir_fd: int) -> int:
            fd = super().open(name, flags, mode, dir_fd=dir_fd)
            if flags & os.O_EXCL and name not in denied:
                denied.add(name)
                os.close(fd)
                raise FileExistsError(errno.EEXIST, "the reply was lost", name)
            return fd

    denied: set[str] = set()
    here = store(tmp_path, calls=Denying())
    assert here.put([across.job("q")]) == [True]
    assert here.put([Job(across.new_id(), "q", os.urandom(100_000))]) == [True]
    here.notes.note("a", b"1", 60.0)
    assert len(denied) >= 5
    assert len(here.claim(["q"], 2, 30.0, HOLDER)) == 2


def test_a_look_at_the_servers_clock_that_took_long_is_repeated(tmp_path: Path) -> None:
    """The file server was away: by what it said after that, jobs were due seconds later than for everybody else."""
    clock = FakeClock()

    class Away(Client):
        away = True

        def utime(self, fd: int) -> None:
            os.utime(fd)
            if self.away:
                self.away = False
                clock.advance(14)

    here = store(tmp_path, clock, Away())
    here.put([across.job("q")])
    assert abs(here._place.now() - time.time()) < 1.0


@pytest.mark.parametrize(
    ("stamp", "grain"), [(10**18, 2.0), (10**18 + 10**9, 1.0), (10**18 + 250_000_000, 0.25), (10**18 + 12_345_678, 0.01)]
)
def test_the_grain_of_a_servers_clock(stamp: int, grain: float) -> None:
    assert grain_of(stamp) == grain


def test_a_fault_that_is_not_about_a_missing_name_is_not_taken_for_one(tmp_path: Path) -> None:
    """ESTALE though both names are there: the file server is ill, and nobody was faster."""

    class Ill(Client):
        def rename(self, *args: Any, **kwargs: Any) -> None:
            raise OSError(errno.ESTALE, "ill")

    fd = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "a").touch()
    try:
        with pytest.raises(OSError, match="ill"):
            Disk(shared=True, calls=Ill()).rename("a", fd, "b", fd)
    finally:
        os.close(fd)


class Failing(Client):
    """Each rename into a slot is done, and said to have failed; so is what is tried to clear up behind it."""

    failed = False

    def rename(self, *args: Any, **kwargs: Any) -> None:
        super().rename(*args, **kwargs)
        if args[0].startswith("t") and ".000-001." in args[1]:
            self.failed = True
            raise OSError(errno.EIO, "the reply was lost")

    def unlink(self, *args: Any, **kwargs: Any) -> None:
        if self.failed and args[0].startswith("t"):
            raise OSError(errno.EIO, "the reply was lost")
        super().unlink(*args, **kwargs)


@pytest.mark.parametrize("more", [{}, {"key": "only"}, {"body": b"x" * 100_000}, {"once": True}], ids=["plain", "key", "big", "once"])
def test_a_put_that_was_done_and_said_to_have_failed_is_not_said_to_be_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    """It is unknown; and since the job may be there, its key and its body stay."""
    with pytest.raises(StoreError) as caught:
        store(tmp_path, calls=Failing()).put([Job(across.new_id(), "q", **{"body": b"b", **more})])
    assert not caught.value.definite
    here = store(tmp_path)
    lent = here.claim(["q"], 1, 30.0, HOLDER)
    assert [one.job.source.read() if one.job.source else one.job.body for one in lent] == [more.get("body", b"b")]
    if "key" in more:
        assert here.put([across.job("q", key="only")]) == [False]


def test_a_store_is_opened_by_who_remembers_that_there_was_none(tmp_path: Path) -> None:
    """It looked, another host made the store, and the name of its format was still said to be missing."""
    (tmp_path / "store").mkdir()

    class Late(Client):
        """The moment before the format is looked for a second time, somebody else has made it."""

        def listdir(self, fd: int) -> list[str]:
            if not (tmp_path / "store/format").exists():
                store(tmp_path).put([across.job("q")])
            return super().listdir(fd)

    calls = Late()
    fd = os.open(tmp_path / "store", os.O_RDONLY)
    try:
        with pytest.raises(FileNotFoundError):
            calls.open("format", os.O_RDONLY, dir_fd=fd)
    finally:
        os.close(fd)
    assert len(store(tmp_path, calls=calls).claim(["q"], 1, 30.0, HOLDER)) == 1
