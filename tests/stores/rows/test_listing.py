"""Listing a folder from several threads of one process at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ropeway.stores.directory.disk import DIRECTORY, Disk


def test_threads_that_list_by_one_descriptor_do_not_disturb_each_other(tmp_path: Path) -> None:
    names = {f"{number:03}" for number in range(300)}
    for name in names:
        (tmp_path / name).touch()
    disk, fd = Disk(), os.open(tmp_path, DIRECTORY)
    try:
        with ThreadPoolExecutor(4) as pool:
            listings = list(pool.map(lambda _: disk.names(fd), range(800)))
    finally:
        os.close(fd)
    assert [len(listing) for listing in listings] == [300] * 800
    assert all(set(listing) == names for listing in listings)
