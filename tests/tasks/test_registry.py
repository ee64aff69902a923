"""Tasks that are registered before there is a store: bound later, put there, run there, and refused until then in so many words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import ropeway
from ropeway import BadValue, Broker, ConfigError, Tasks


@pytest.fixture
def tasks() -> Tasks:
    """As a module makes them at its import."""
    made = Tasks(queue="mails")

    @made.task
    def welcome(user: int) -> str:
        return f"hello {user}"

    return made


def test_unbound_tasks_are_functions_and_say_how_to_bind_them(tasks: Tasks) -> None:
    welcome = tasks.get("welcome")
    assert welcome is not None
    assert welcome(3) == "hello 3"
    for put in (welcome.put, welcome.options(delay=1).put, lambda user: welcome.map([user])):
        with pytest.raises(ConfigError, match=r"no store yet.*broker\.include\(tasks\)"):
            put(1)
    with pytest.raises(ConfigError, match="include"):
        asyncio.run(welcome.aput(1))


def test_included_tasks_are_put_and_run_there(broker: Broker, tasks: Tasks) -> None:
    broker.include(tasks)
    welcome = tasks.get("welcome")
    assert welcome is not None
    handle = welcome.options(keep=60).put(3)
    assert handle.queue == "mails"
    assert "welcome" in broker.tasks
    assert broker.worker("mails", drain=True).run() == 0
    assert handle.result(0) == "hello 3"


def test_tasks_registered_after_the_include_are_found(broker: Broker, tasks: Tasks) -> None:
    broker.include(tasks)

    @tasks.task(queue="other")
    def late() -> None: ...

    assert late.put().queue == "other"
    assert broker.tasks.get("late") is late
    assert {task.name for task in broker.tasks} == {"welcome", "late"}
    assert len(broker.tasks) == 2


def test_registries_within_registries(broker: Broker, tasks: Tasks) -> None:
    outer = Tasks()
    outer.include(tasks)
    broker.include(outer)
    broker.include(outer)  # twice is once
    assert [task.name for task in broker.tasks] == ["welcome"]
    welcome = tasks.get("welcome")
    assert welcome is not None
    assert welcome.put(1).created


def test_settings_of_the_queue_are_those_of_the_broker(tasks: Tasks, tmp_path: Any) -> None:
    config = tmp_path / "ropeway.toml"
    config.write_text("[queues.mails]\npriority = 7\nkeep = '1h'\n")
    with ropeway.connect("memory:", config=str(config)) as broker:
        broker.include(tasks)
        welcome = tasks.get("welcome")
        assert welcome is not None
        entry = welcome.put(1).entry()
        assert entry is not None
        assert (entry.job.priority, entry.job.keep) == (7, 3600.0)


def test_one_place_at_a_time(tasks: Tasks) -> None:
    with ropeway.connect("memory:", config=False) as first:
        first.include(tasks)
        with ropeway.connect("memory:", config=False) as second, pytest.raises(BadValue, match="included elsewhere"):
            second.include(tasks)
    with ropeway.connect("memory:", config=False) as third:
        third.include(tasks)
        welcome = tasks.get("welcome")
        assert welcome is not None
        welcome.put(1)
        assert third.counts()["mails"].ready == 1


def test_a_broker_is_not_included_in_another(broker: Broker) -> None:
    with ropeway.connect("memory:", config=False) as other, pytest.raises(BadValue, match="store of its own"):
        broker.include(other.tasks)
    with pytest.raises(BadValue, match="store of its own"):
        broker.include(broker.tasks)


def test_two_tasks_of_one_name_are_refused_whenever_they_meet(broker: Broker, tasks: Tasks) -> None:
    def welcome() -> None: ...

    broker.task(welcome)
    with pytest.raises(BadValue, match="there is a task welcome already"):
        broker.include(tasks)
    assert len(broker.tasks) == 1
    other = Tasks()
    broker.include(other)
    with pytest.raises(BadValue, match="there is a task welcome already"):
        other.task(name="welcome")(lambda: None)


def test_a_module_that_is_loaded_again_may_be_included_again(broker: Broker) -> None:
    def made() -> tuple[Tasks, Callable[..., Any]]:
        tasks = Tasks()

        @tasks.task
        def f() -> None: ...

        return tasks, f

    first, _ = made()
    second, newest = made()
    broker.include(first)
    broker.include(second)
    assert broker.tasks.get("f") is newest
