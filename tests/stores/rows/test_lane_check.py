"""`check` on a directory tells what those who died between two steps have left in lanes and under a limit, and what mends it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.job import Job
from ropeway.link import Link
from ropeway.store import Ack, Limits


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    made = Link(f"dir:{tmp_path}/spool?durability=os&bell=off", name="test")
    yield made
    made.close()


def told(link: Link, word: str) -> list[str]:
    """What `check` says with this word in it."""
    return [finding.text for finding in link.store.check() if finding.text.startswith("queue q") and word in finding.text]


def put(link: Link, **fields: str) -> str:
    job = Job(link.new_id(), "q", b"x", **fields)  # type: ignore[arg-type]
    link.store.put([job])
    return job.id


def test_places_of_jobs_that_have_gone(link: Link, tmp_path: Path) -> None:
    one, two = put(link, lane="a"), put(link, lane="a")
    (lent,) = link.store.claim(["q"], 2, 60.0, link.holder())
    assert lent.job.id == one
    assert not told(link, "lane"), "a lane that works is nothing to tell of"
    (place,) = (tmp_path / "spool" / "q" / "places").iterdir()
    lone = place.with_name(f"{place.name.partition('.')[0][:-1]}0.0")  # another lane, whose only job was removed by a crash
    assert lone != place
    lone.write_bytes(b"")
    (text,) = told(link, "places in lanes")
    assert "queue q: 1 places" in text
    lone.unlink()
    link.store.ack([Ack(lent.receipt)])
    (lent,) = link.store.claim(["q"], 2, 60.0, link.holder())
    assert lent.job.id == two
    assert not told(link, "lane")


def test_what_is_parked_and_held_up_by_nobody(link: Link, tmp_path: Path) -> None:
    put(link, lane="a")
    put(link, lane="a")
    assert len(link.store.claim(["q"], 2, 60.0, link.holder())) == 1
    (place,) = (tmp_path / "spool" / "q" / "places").iterdir()
    place.unlink()  # its job has ended, and whoever ended it died before the place was handed on
    (text,) = told(link, "parked")
    assert "in 1 lanes" in text


def test_places_under_a_limit_that_are_nobodys(link: Link, tmp_path: Path) -> None:
    link.store.limit(["q"], Limits(running=3))
    put(link)
    (lent,) = link.store.claim(["q"], 1, 60.0, link.holder())
    assert not told(link, "limit")
    seat = tmp_path / "spool" / "q" / "seats" / "2"
    seat.write_bytes(b"")
    assert not told(link, "limit"), "a claim may be under way"
    os.utime(seat, (time.time() - 60, time.time() - 60))
    (text,) = told(link, "under its limit")
    assert "queue q: 1 places" in text
    assert seat.exists(), "looking changes nothing"
    assert link.store.ack([Ack(lent.receipt)]) == [True]
