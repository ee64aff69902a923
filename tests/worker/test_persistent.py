"""Persistent commands: started once, spoken to in JSON lines, and a fault charged to the job it was in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.worker import CommandRunner, Worker

from .conftest import Running

COMPANION = str(Path(__file__).with_name("companion.py"))


class Talk:
    """A queue, and a persistent command for it."""

    def __init__(self, link: Link, path: Path) -> None:
        self.link = link
        self.path = path / "starts"
        self.queue: Queue[Any] = Queue(link, "q")

    def work(self, timeout: float | None = 20, **options: Any) -> Worker:
        runner = CommandRunner([sys.executable, COMPANION, str(self.path)], persistent=True, timeout=timeout)
        worker = Worker(self.link, None, ("q",), pool=runner, **{"drain": True, "retry": Retry(1), "concurrency": 1, **options})
        worker.run()
        return worker

    @property
    def starts(self) -> int:
        return len(self.path.read_text().splitlines())


@pytest.fixture
def talk(memory: Link, tmp_path: Path) -> Talk:
    return Talk(memory, tmp_path)


def test_it_is_started_once_for_a_hundred_jobs(talk: Talk) -> None:
    talk.queue.put_many([f"n{n}" for n in range(100)])
    assert talk.work().counters.done == 100
    assert talk.starts == 1
    assert Path(f"{talk.path}.left").read_text() == "well", "its input was closed, and it left by itself"


def test_one_process_a_slot(talk: Talk) -> None:
    talk.queue.put_many(["x"] * 200)
    assert talk.work(concurrency=3).counters.done == 200
    assert 1 <= talk.starts <= 3


def test_what_it_is_told_and_what_it_answers(talk: Talk) -> None:
    handle = talk.queue.put("show", key="k", headers={"a": "b"}, keep="1h")
    binary = talk.queue.put(b"\xff\x00", keep="1h")
    assert talk.work(timeout=50).counters.done == 2
    told = handle.result(5)
    assert told["body"] == "show"
    assert (told["id"], told["queue"], told["attempt"], told["key"], told["headers"]) == (handle.id, "q", 1, "k", {"a": "b"})
    assert told["content_type"].startswith("text/plain")
    assert 20 < told["deadline"] - time.time() < 51
    assert binary.result(5) is None


def test_bodies_that_are_not_text_come_in_base64(talk: Talk, tmp_path: Path) -> None:
    script = "import sys, json\nfor line in sys.stdin: print(json.dumps({'result': json.loads(line)}), flush=True)"
    handle = talk.queue.put(b"\xff\x00", keep="1h")
    worker = Worker(talk.link, None, ("q",), pool=CommandRunner([sys.executable, "-c", script], persistent=True), drain=True)
    assert worker.run() == 0
    told = handle.result(5)
    assert (told["body_base64"], "body" in told, told["deadline"]) == ("/wA=", False, None)


ANSWERS = [
    ("error", State.DEAD, "smtp busy", "failed"),
    ("bury", State.DEAD, "no such user", "discarded"),
    ("bad", State.DEAD, "the command's answer is none: JSON is malformed: object keys must be strings (byte 1)", "failed"),
    ("unknown", State.DEAD, "the command's answer is none: Object contains unknown field `verdict`", "failed"),
    ("verb", State.DEAD, "the command's answer has the verb burn: use ack, nack or bury", "failed"),
    ("other", State.DEAD, "the command answered for another job: another", "failed"),
    ("die", State.DEAD, "the command ended without an answer: exit 3", "failed"),
]


@pytest.mark.parametrize(("body", "state", "error", "outcome"), ANSWERS)
def test_answers(talk: Talk, body: str, state: State, error: str, outcome: str) -> None:
    """What is wrong counts against that job, and the next one is served as if nothing were."""
    talk.queue.put(body)
    talk.queue.put("next")
    assert talk.work().counters.done == 1
    (entry,) = talk.queue.browse()
    assert (entry.state, entry.error, entry.history[-1].outcome) == (state, error, outcome)


def test_a_snooze_is_not_counted(talk: Talk) -> None:
    talk.queue.put("snooze")
    talk.work()
    (entry,) = talk.queue.browse()
    assert (entry.state, entry.attempts) == (State.DELAYED, 0)


def test_errors_are_retried_by_the_policy(talk: Talk) -> None:
    talk.queue.put("error")
    talk.work(retry=Retry(3, base=0.01))
    (entry,) = talk.queue.browse()
    assert (entry.state, entry.attempts) == (State.DEAD, 3)
    assert talk.starts == 1, "an error is an answer"


def test_a_death_is_charged_once_and_a_new_one_started(talk: Talk) -> None:
    for body in ("a", "die", "b", "die", "c"):
        talk.queue.put(body)
    worker = talk.work()
    assert (worker.counters.done, worker.counters.buried) == (3, 2)
    assert talk.starts == 3


def test_a_timeout_kills_it_and_only_that_job_pays(talk: Talk) -> None:
    for body in ("a", "hang", "b"):
        talk.queue.put(body)
    began = time.monotonic()
    worker = talk.work(timeout=4)  # the start of the program counts, and takes its time on a busy machine
    assert time.monotonic() - began < 60
    assert (worker.counters.done, worker.counters.buried) == (2, 1)
    (entry,) = talk.queue.browse()
    assert (entry.error, entry.history[-1].outcome) == ("timed out after 4s", "timeout")
    assert talk.starts == 2


def test_a_second_answer_is_not_taken_for_the_next_jobs(talk: Talk) -> None:
    talk.queue.put("twice")
    handle = talk.queue.put("show", keep="1h")
    assert talk.work().counters.done == 2
    assert handle.result(5)["body"] == "show"


def test_other_lines_are_passed_on(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    talk.queue.put("chat")
    talk.work()
    assert capfd.readouterr().out == "ready, and this is no answer\nsome words\nmore words\n"


def test_large_answers_and_bodies(talk: Talk) -> None:
    handle = talk.queue.put("huge", keep="1h")
    talk.queue.put("y" * 900_000)
    assert talk.work().counters.done == 2
    assert len(handle.result(5)) == 200_000


def test_a_program_that_ends_at_once_is_charged_like_any_other(talk: Talk) -> None:
    talk.queue.put("x")
    worker = Worker(talk.link, None, ("q",), pool=CommandRunner(["true"], persistent=True), drain=True, retry=Retry(2, base=0.01))
    assert worker.run() == 10
    (entry,) = talk.queue.browse()
    assert (entry.state, entry.attempts, entry.error) == (State.DEAD, 2, "the command ended without an answer: exit 0")


def test_a_stop_ends_a_hanging_one(talk: Talk, start: Callable[..., Running]) -> None:
    handle = talk.queue.put("hang")
    runner = CommandRunner([sys.executable, COMPANION, str(talk.path)], persistent=True)
    running = start(talk.link, None, ("q",), pool=runner, grace=0.1, concurrency=1)
    while handle.state() is not State.RUNNING or not talk.path.exists():
        time.sleep(0.01)
    running.worker.stop()
    assert running.end(10) == 0
    entry = handle.entry()
    assert entry is not None
    assert (entry.state, entry.attempts) == (State.READY, 0)
    assert entry.error == ""
