"""A server that is restarted under a call: the caller waits on, the worker settles when it is back, and the answer comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.errors import StoreError
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import Worker
from stores.redis.servers import Server

from .conftest import LONG, until
from .functions import register
from .test_calling import task

Serve = Callable[..., Worker]
pytestmark = pytest.mark.service("redis")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "redis", appendonly="yes", appendfsync="always")
    yield made
    made.kill()


def test_the_server_is_restarted_before_a_worker_begins(server: Server, serve: Serve) -> None:
    link, answers = Link(server.url), []
    call = task(register(Tasks(link)), "add").begin(1, 2, timeout=2 * LONG)
    caller = threading.Thread(target=lambda: answers.append(call.result()))
    caller.start()
    until(lambda: call._mailroom.lead._leading)
    server.kill()
    until(lambda: call._mailroom._backoff > 0)  # it has noticed
    server.start()
    serve(server.url)
    caller.join(2 * LONG)
    assert answers == [3]
    link.close()


def test_the_server_is_restarted_while_the_task_runs(server: Server, serve: Serve) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(tasks: Tasks) -> Tasks:
        @tasks.task
        def wait(what: str) -> str:
            begun.set()
            assert go.wait(2 * LONG)
            return what

        return tasks

    link, answers = Link(server.url), []
    waiting = task(slow(Tasks(link)), "wait").options(timeout=3 * LONG)
    caller = threading.Thread(target=lambda: answers.append(waiting.call("well")))
    serve(server.url, slow, lease="1m")
    caller.start()
    assert begun.wait(LONG)
    server.stop()
    go.set()  # it ends while the store is away
    server.start()
    caller.join(3 * LONG)
    assert answers == ["well"]
    link.close()


def test_a_call_that_cannot_be_put_says_so(server: Server) -> None:
    link = Link(f"{server.url}?timeout=1")
    add = task(register(Tasks(link)), "add")
    server.kill()
    with pytest.raises(StoreError):
        add.call(1, timeout="2s")
    server.start()
    link.close()
