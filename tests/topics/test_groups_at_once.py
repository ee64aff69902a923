"""Several at once: who adds, edits and deletes groups while others publish loses no message of a group that is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ropeway.broker import Broker
from ropeway.errors import Conflict

from .test_groups import data, taken

Connect = Callable[..., Broker]


def test_two_who_add_at_once_lose_no_message(url: str, connect: Connect) -> None:
    """Whoever has published after an `add` has answered finds its message in the group, whatever others add and delete meanwhile."""
    brokers = [connect(url) for _ in range(3)]
    for turn in range(8):
        won: list[Broker] = []
        start = threading.Barrier(3)

        def add(broker: Broker, turn: int = turn, won: list[Broker] = won, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                broker.groups.add(f"g{turn}", "#")
            except Conflict:
                return
            won.append(broker)
            broker.topic("a").publish(turn)

        threads = [threading.Thread(target=add, args=(broker,)) for broker in brokers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert turn in data(taken(brokers[0], f"g{turn}"))


def test_an_edit_under_publish_loses_nothing(url: str, connect: Connect) -> None:
    """The group means the topic before and after each edit, so every message is its, however the look falls."""
    broker, editor = connect(url), connect(url)
    broker.groups.add("one", ["a", "x.0"])
    over = threading.Event()
    edits = [0]

    def edit() -> None:
        while not over.is_set():
            edits[0] += 1
            editor.groups.edit("one", ["a", f"x.{edits[0]}"])

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        count = 0
        while count < 60 or edits[0] < 3:
            broker.topic("a").publish(count)
            count += 1
    finally:
        over.set()
        thread.join()
    assert data(taken(broker, "one")) == list(range(count))


def test_a_group_that_comes_and_goes_disturbs_no_publisher(url: str, connect: Connect) -> None:
    broker, publisher = connect(url), connect(url)
    broker.groups.add("steady", "#")
    over, sent, raised = threading.Event(), [0], list[BaseException]()

    def publish() -> None:
        try:
            while not over.is_set():
                publisher.topic("t").publish(sent[0])
                sent[0] += 1
        except BaseException as error:
            raised.append(error)
            raise

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(3):
            broker.groups.add("fickle", "#")
            target = sent[0] + 5
            while sent[0] < target and not raised:
                time.sleep(0.001)
            assert broker.groups.delete("fickle")
    finally:
        over.set()
        thread.join()
    assert raised == []
    assert data(taken(broker, "steady")) == list(range(sent[0]))
    broker.groups.add("fickle", "#")
    broker.topic("t").publish("new")
    assert data(taken(broker, "fickle")) == ["new"]
