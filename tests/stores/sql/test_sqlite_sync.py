"""A disk that goes away in the midst of a put: what lies in the log may be found there later, so nobody may be told that it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from ropeway.errors import StoreError
from ropeway.job import Job
from ropeway.stores import open_store

JOBS = [Job(f"{number:032x}", "q", b"body") for number in range(1, 4)]


class Disk(apsw.VFS):
    """The system's own, but that it can go away: the next sync fails, and from then on all else too. What was written stays as it is."""

    def __init__(self) -> None:
        self.before = apsw.vfs_names()[0]
        self.going = self.gone = False
        super().__init__("ropeway-test-disk", self.before)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's own name
        return File(self, name, flags)


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(disk.before, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's own name
        self._disk.gone = self._disk.going
        self._look()
        super().xSync(flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's own name
        self._look()
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's own name
        self._look()
        super().xWrite(data, offset)

    def xLock(self, level: int) -> None:  # noqa: N802 - SQLite's own name
        self._look()
        super().xLock(level)

    def xFileSize(self) -> int:  # noqa: N802 - SQLite's own name
        self._look()
        return super().xFileSize()

    def _look(self) -> None:
        if self._disk.gone:
            error = apsw.IOError("the disk is gone")
            error.result = error.extendedresult = apsw.SQLITE_IOERR  # as of one that comes from SQLite itself
            raise error


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    apsw.set_default_vfs("ropeway-test-disk")
    yield made
    apsw.set_default_vfs(made.before)
    made.unregister()


@pytest.mark.parametrize("size", [1, 2], ids=["one", "several"])
def test_a_put_whose_sync_failed_is_of_unknown_outcome(disk: Disk, tmp_path: Path, size: int) -> None:
    url = f"sqlite:{tmp_path}/jobs.db?durability=full"
    store = open_store(url)
    assert store.put(JOBS[:1]) == [True]
    disk.going = True
    with pytest.raises(StoreError, match="unknown whether it was done") as failed:
        store.put(JOBS[1 : 1 + size])
    assert not failed.value.definite
    store.close()
    disk.going = disk.gone = False
    again = open_store(url)
    assert again.put(JOBS[1 : 1 + size]) == [True] * size  # the same call may be repeated
    assert again.counts()["q"].ready == 1 + size
    again.close()
