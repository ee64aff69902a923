"""Which files have a job, and when."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ropeway.errors import BadValue, ConfigError
from ropeway.job import State
from ropeway.store import Query
from ropeway.watch import Watcher
from ropeway.watch.eyes import Eyes
from ropeway.watch.record import Record

from .yard import QUEUE, Yard


def test_a_file_that_comes_by_a_rename_is_finished_at_once(yard: Yard) -> None:
    yard.watch()
    yard.bring("film.mkv")
    yard.step()
    assert yard.bodies() == ["film.mkv"]
    yard.step(60)
    assert yard.bodies() == ["film.mkv"]
    assert [told.path for told in yard.told] == ["film.mkv"]


def test_a_rename_inside_the_folder_counts_as_well(yard: Yard) -> None:
    yard.watch()
    path = yard.write(".film.part")
    yard.step(60)
    assert yard.bodies() == []
    path.rename(yard.folder / "film")
    yard.step()
    assert yard.bodies() == ["film"]


def test_what_is_written_in_place_must_settle(yard: Yard) -> None:
    yard.watch()
    yard.write("report")
    yard.step()
    assert yard.bodies() == []
    yard.step(1.9)
    assert yard.bodies() == []
    yard.step(0.2)
    assert yard.bodies() == ["report"]


def test_a_half_written_file_gives_none_however_long_its_writer_pauses(yard: Yard) -> None:
    yard.watch()
    with (yard.folder / "half").open("wb") as file:
        file.write(b"the first half, ")
        file.flush()
        for _ in range(20):
            yard.step(30)
        assert yard.bodies(*State) == []
        file.write(b"and the second")
    yard.step(1)
    assert yard.bodies(*State) == []
    yard.step(2)
    assert yard.bodies() == ["half"]


def test_one_that_was_half_written_before_anybody_watched(yard: Yard) -> None:
    with (yard.folder / "half").open("wb") as file:
        file.write(b"the first half, ")
        file.flush()
        yard.watch(existing=True)
        for _ in range(20):
            yard.step(30)
        assert yard.bodies(*State) == []
    yard.step(3)
    yard.step(3)
    assert yard.bodies() == ["half"]


def test_appending_again_and_again_gives_one_job_after_the_last(yard: Yard) -> None:
    yard.watch()
    for _ in range(5):
        with (yard.folder / "log").open("ab") as file:
            file.write(b"line\n")
        yard.step(1.5)
    assert yard.bodies() == []
    yard.step(2)
    assert yard.bodies() == ["log"]


def test_a_file_that_changes_later_has_another_job(yard: Yard) -> None:
    yard.watch()
    yard.bring("rates", b"1")
    yard.step()
    yard.bring("rates", b"2")
    yard.step()
    assert yard.bodies() == ["rates", "rates"]


def test_a_link_made_into_the_folder_is_a_file_too(yard: Yard) -> None:
    yard.watch()
    (yard.place / "outside").write_bytes(b"x")
    os.link(yard.place / "outside", yard.folder / "linked")
    yard.step()
    yard.step(2.1)
    assert yard.bodies() == ["linked"]


def test_what_lies_there_at_the_first_start_is_left(yard: Yard) -> None:
    yard.write("old")
    yard.watch()
    yard.bring("new")
    yard.step(10)
    assert yard.bodies() == ["new"]
    yard.watch()
    yard.step(10)
    assert yard.bodies() == ["new"]


def test_existing_files_when_asked_for(yard: Yard) -> None:
    yard.write("old")
    yard.watch(existing=True)
    yard.step(2.1)
    assert yard.bodies() == ["old"]
    yard.watch(existing=True)
    yard.step(10)
    assert yard.bodies() == ["old"]


def test_what_came_while_nobody_watched_is_found(yard: Yard) -> None:
    yard.watch()
    yard.leave()
    yard.bring("meanwhile")
    yard.watch()
    yard.step(2.1)
    assert yard.bodies() == ["meanwhile"]


def test_done_jobs_leave_no_doubt_after_a_restart(yard: Yard) -> None:
    yard.watch()
    yard.bring("film")
    yard.step()
    yard.link.store.delete(Query(queues=(QUEUE,), limit=None))
    yard.watch()
    yard.step(60)
    assert yard.bodies(*State) == []


def test_globs_and_folders_inside(yard: Yard) -> None:
    yard.watch(globs=("*.mkv", "sub/*.txt"), recursive=True)
    for name in ("a.mkv", "b.avi", "sub/c.mkv", "sub/d.txt", "e.txt", ".hidden/f.mkv", ".g.mkv", "sub/deep/h.mkv"):
        yard.write(name)
    yard.step()
    yard.step(2.1)
    assert yard.bodies() == ["a.mkv", "sub/c.mkv", "sub/d.txt", "sub/deep/h.mkv"]
    yard.bring("sub/deep/late.mkv")  # the new folders are watched by now, and not only looked through
    yard.step()
    assert "sub/deep/late.mkv" in yard.bodies()


def test_without_r_folders_inside_are_nothing(yard: Yard) -> None:
    yard.watch()
    yard.write("sub/a")
    yard.step(10)
    yard.step(10)
    assert yard.bodies() == []


def test_a_file_that_goes_before_it_has_settled_has_none(yard: Yard) -> None:
    yard.watch()
    path = yard.write("gone")
    yard.step()
    path.unlink()
    yard.step(10)
    yard.step(10)
    assert yard.bodies(*State) == []


def test_what_is_no_plain_file_is_nothing(yard: Yard) -> None:
    yard.watch(recursive=True)
    secret = yard.place / "secret"
    secret.mkdir()
    (secret / "file").write_bytes(b"x")
    (yard.folder / "link").symlink_to(secret / "file")
    (yard.folder / "folder").symlink_to(secret)
    os.mkfifo(yard.folder / "fifo")
    for _ in range(3):
        yard.step(10)
    assert yard.bodies(*State) == []


def test_moved_first(yard: Yard) -> None:
    taken = yard.place / "taken"
    yard.watch(move_to=str(taken))
    yard.bring("film", b"1")
    yard.step()
    yard.bring("film", b"2")
    yard.step()
    assert yard.bodies() == [f"{taken}/film", f"{taken}/film~2"]
    assert (taken / "film").read_bytes() == b"1"
    assert (taken / "film~2").read_bytes() == b"2"
    assert list(yard.folder.iterdir()) == []
    yard.watch(move_to=str(taken))
    yard.step(60)
    assert len(yard.bodies()) == 2


def test_the_folder_to_move_to_may_lie_inside(yard: Yard) -> None:
    yard.watch(move_to=str(yard.folder / "taken"), recursive=True)
    yard.bring("film")
    yard.step()
    yard.step(60)
    yard.step(60)
    assert yard.bodies() == ["taken/film"]


def test_the_content_as_the_body(yard: Yard) -> None:
    yard.watch(content=True)
    content = bytes(range(256)) * 100
    yard.bring("film", content)
    yard.step()
    (entry,) = yard.link.store.browse(Query(queues=(QUEUE,)))
    assert entry.job.headers["file-name"] == "film"
    (lent,) = yard.link.store.claim((QUEUE,), 1, 30, yard.link.holder())
    assert (lent.job.body if lent.job.source is None else lent.job.source.read()) == content


def test_content_that_does_not_fit_is_refused_and_told(yard: Yard) -> None:
    if yard.link.store.max_body is None:
        pytest.skip("this engine takes any size")
    yard.watch(content=True)
    yard.bring("big", b"x" * (yard.link.store.max_body + 1))
    yard.bring("small")
    yard.step()
    assert yard.link.store.counts((QUEUE,))[QUEUE].ready == 1
    (refused,) = (told for told in yard.told if told.refused)
    assert refused.path == "big"
    yard.step(60)
    assert len(yard.told) == 2


def test_a_queue_that_refuses_makes_files_wait(yard: Yard) -> None:
    yard.watch()
    yard.link.store.pause((QUEUE,), put=True, reason="deploy")
    yard.bring("a")
    yard.step()
    yard.bring("b")
    yard.step(10)
    assert yard.bodies(*State) == []
    yard.link.store.pause((QUEUE,), put=False)
    yard.step(40)
    assert yard.bodies() == ["a", "b"]
    assert yard.asleep() == 0


def test_hostile_names(yard: Yard) -> None:
    yard.watch()
    names = [b"new\nline", b"not \xff text", b"-rf", b"$(reboot)", b"esc \x1b[2J", "\N{SNOWMAN}".encode()]
    for name in names:
        outside = yard.place / "outside"
        outside.write_bytes(b"x")
        os.rename(outside, os.fsencode(yard.folder) + b"/" + name)
    yard.step()
    assert yard.bodies() == sorted(os.fsdecode(name) for name in names)


def test_what_the_kernel_lost_is_found_by_looking(yard: Yard) -> None:
    watcher = yard.watch()
    yard.write("a")
    eyes = watcher._eyes
    assert isinstance(eyes, Eyes)
    eyes.changes()  # told, and not heard
    eyes.lost = True
    yard.step()
    yard.step(2.1)
    assert yard.bodies() == ["a"]


def test_network_folders_are_looked_through(yard: Yard) -> None:
    yard.watch(poll=True)
    yard.bring("a")
    yard.step(1)
    yard.step(2.1)
    assert yard.bodies() == ["a"]


def test_one_watcher_a_folder_and_queue(yard: Yard) -> None:
    yard.watch()
    with pytest.raises(ConfigError, match="another"):
        Record(str(yard.place / "state" / "record.db"))


def test_nothing_to_watch(yard: Yard) -> None:
    with pytest.raises(BadValue, match="no such folder"):
        Watcher(yard.link, None, str(yard.place / "nowhere"), None)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="the watched folder itself"):
        Watcher(yard.link, None, str(yard.folder), None, move_to=str(yard.folder))  # type: ignore[arg-type]


def test_the_record_is_for_its_owner_only(yard: Yard) -> None:
    yard.watch()
    file = yard.place / "state" / "record.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.timeout(400)
def test_a_hundred_thousand_files(tmp_path: Path) -> None:
    yard = Yard(tmp_path, "memory:")
    count = 100_000
    for number in range(count):
        os.close(os.open(f"{yard.folder}/{number:06}", os.O_WRONLY | os.O_CREAT))
    yard.watch(existing=True)
    yard.step(2.1)
    counts = yard.link.store.counts((QUEUE,))[QUEUE]
    assert (counts.ready, counts.delayed) == (count, 0)
    yard.bring("new")
    yard.step()
    assert yard.link.store.counts((QUEUE,))[QUEUE].ready == count + 1
    yard.watch()
    yard.step(60)
    assert yard.link.store.counts((QUEUE,))[QUEUE].ready == count + 1
    yard.leave()
