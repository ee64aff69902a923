"""A folder that goes, comes back, or is hidden by another one."""

from __future__ import annotations

import os
import shutil

import pytest

from .yard import Yard


@pytest.mark.parametrize("moved", [False, True])
def test_a_folder_that_was_gone_is_watched_again(yard: Yard, moved: bool) -> None:
    yard.watch()
    yard.bring("a")
    yard.step()
    if moved:
        os.rename(yard.folder, yard.place / "elsewhere")
    else:
        shutil.rmtree(yard.folder)
    yard.step()
    yard.folder.mkdir()
    yard.step(1)
    yard.bring("b")
    yard.step()  # the kernel has told: nothing was looked through
    assert yard.bodies() == ["a", "b"]


def test_one_that_is_away_is_looked_for_each_second(yard: Yard) -> None:
    watcher = yard.watch()
    os.rename(yard.folder, yard.place / "elsewhere")
    for _ in range(20):
        yard.step(1)
    assert watcher.step() <= 1


def test_what_happens_in_a_folder_that_was_moved_away_says_nothing_of_the_new_one(yard: Yard) -> None:
    yard.watch()
    elsewhere = yard.place / "elsewhere"
    os.rename(yard.folder, elsewhere)
    yard.folder.mkdir()
    yard.step(1)
    yard.write("a")  # in place: it must settle
    yard.step()
    (yard.place / "outside").write_bytes(b"x")
    os.rename(yard.place / "outside", elsewhere / "a")
    yard.step()
    assert yard.bodies() == []
    yard.step(2.1)
    assert yard.bodies() == ["a"]


@pytest.mark.parametrize("again", [False, True])
def test_a_share_that_is_not_mounted_for_a_while_brings_nothing_twice(yard: Yard, again: bool) -> None:
    yard.watch()
    yard.bring("a")
    yard.step()
    share = yard.place / "share"
    os.rename(yard.folder, share)
    yard.folder.mkdir()  # what a mount point is without its share
    yard.step(1)
    if again:
        yard.watch()
    yard.step(20)
    yard.step(20)
    yard.folder.rmdir()
    os.rename(share, yard.folder)
    yard.bring("b")
    if again:
        yard.watch()
    yard.step(20)
    yard.step(2.1)
    assert yard.bodies() == ["a", "b"]


def test_a_folder_that_was_made_anew_forgets_what_was_in_the_old_one(yard: Yard) -> None:
    yard.watch()
    yard.bring("a")
    yard.step()
    os.rename(yard.folder, yard.place / "elsewhere")
    yard.folder.mkdir()
    yard.bring("b")
    yard.step(20)
    yard.step(20)
    assert yard.watcher is not None
    assert [row.path for row in yard.watcher._record.rows()] == ["b"]
