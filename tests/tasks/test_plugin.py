"""The pytest plugin, as a project that uses ropeway has it: fixtures, the clock, and what `drain` runs."""

from __future__ import annotations

import tomllib
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import ropeway
from house.blocks import agrees, blocks
from ropeway import BadValue, Broker, Retry, RetryLater, Tasks
from ropeway.testing.clock import FakeClock
from ropeway.testing.draining import drain

pytest_plugins = ["pytester"]


def test_pytest_finds_it_by_its_entry_point() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    plugin = import_module(project["entry-points"]["pytest11"]["ropeway"])
    assert {"broker", "clock", "drain"} <= set(vars(plugin))


def test_a_project_that_uses_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="""
        import ropeway

        tasks = ropeway.Tasks(queue="mails")
        sent = []

        @tasks.task(retry=ropeway.Retry(2, base="1m", jitter=0))
        def welcome(user_id: int) -> None:
            if user_id < 0:
                raise ValueError("nobody")
            sent.append(user_id)

        def sign_up(user_id):
            welcome.put(user_id)
            welcome.options(delay="1d").put(user_id + 100)
        """,
        test_shop="""
        import pytest
        import shop

        @pytest.fixture(autouse=True)
        def tasks_here(broker):
            broker.include(shop.tasks)
            shop.sent.clear()

        def test_now(drain):
            shop.sign_up(1)
            ran = drain()
            assert shop.sent == [1]
            assert [one.job.task for one in ran] == ["welcome"]
            assert drain().runs == []

        def test_a_day_later(drain, clock):
            before = clock.now()
            shop.sign_up(1)
            drain(until="2d")
            assert shop.sent == [1, 101]
            assert clock.now() - before == pytest.approx(2 * 86400)

        def test_failures_are_told(drain):
            shop.welcome.put(-1)
            ran = drain()
            assert [(one.error, one.delay) for one in ran.retried] == [("ValueError: nobody", 60.0)]
            ran = drain(until="1h")
            assert [one.outcome for one in ran] == ["dead"]
            with pytest.raises(ValueError, match="nobody"):
                ran.check()

        def test_inline(broker):
            with broker.inline():
                shop.sign_up(7)
                with pytest.raises(ValueError):
                    shop.welcome.put(-1)
            assert shop.sent == [7]

        def test_apart(broker):
            assert broker.queues() == []
        """,
    )
    done = pytester.runpytest_inprocess("-p", "no:ropeway", "-p", "ropeway.testing.plugin", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=5)


def test_own_fixtures_of_these_names_go_first(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broker():
            return "mine"

        def test_it(broker):
            assert broker == "mine"
        """
    )
    pytester.runpytest_inprocess("-p", "no:ropeway", "-p", "ropeway.testing.plugin").assert_outcomes(passed=1)


def test_the_plugin_costs_nothing_until_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            loaded = {"ropeway.worker", "ropeway.tasks", "ropeway.testing.draining"} & set(sys.modules)
            assert not loaded
        """
    )
    done = pytester.runpytest_subprocess("-p", "no:ropeway", "-p", "ropeway.testing.plugin")
    done.assert_outcomes(passed=1)


# -- drain


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return ropeway.connect("memory:", clock=clock, config=False)


def test_what_jobs_put_runs_too_in_a_workers_order(broker: Broker) -> None:
    ran: list[str] = []

    @broker.task
    def step(name: str) -> None:
        ran.append(name)
        if name == "a":
            step.options(priority=1).put("first")
            step.put("later")

    step.put("a")
    step.put("b")
    assert len(drain(broker).done) == 4
    assert ran == ["a", "first", "b", "later"]


def test_until_runs_each_at_its_moment(broker: Broker, clock: FakeClock) -> None:
    seen: list[tuple[str, float]] = []
    start = clock.now()

    @broker.task(retry=Retry(3, base="10s", cap="10s", jitter=0))
    def fails(name: str) -> None:
        seen.append((name, round(clock.now() - start, 3)))
        raise OSError

    @broker.task
    def snoozes(name: str) -> None:
        seen.append((name, round(clock.now() - start, 3)))
        if clock.now() - start < 20:
            raise RetryLater("25s")

    fails.put("retry")
    snoozes.put("snooze")
    fails.options(delay="1h").put("too late")
    ran = drain(broker, until="1m")
    assert seen == [("retry", 0), ("snooze", 0), ("retry", 10), ("retry", 20), ("snooze", 25)]
    assert [one.outcome for one in ran] == ["retried", "snoozed", "retried", "dead", "done"]
    assert clock.now() - start == pytest.approx(60, abs=0.001)
    assert len(drain(broker, until="1h")) == 3


def test_ticks_of_schedules_come_with_the_clock(broker: Broker, clock: FakeClock) -> None:
    ticks: list[float] = []

    @broker.cron("every 10m")
    @broker.task
    def tick() -> None:
        ticks.append(clock.now())

    drain(broker, until="1h")
    assert 5 <= len(ticks) <= 7
    assert all(later - earlier == pytest.approx(600, abs=1) for earlier, later in pairwise(ticks))


def test_queues_can_be_named(broker: Broker) -> None:
    @broker.task
    def f() -> None: ...

    f.put()
    f.options(queue="other").put()
    assert [one.job.queue for one in drain(broker, "other")] == ["other"]
    assert [one.job.queue for one in drain(broker)] == ["default"]


def test_plain_jobs_are_left_for_the_test_to_look_at(broker: Broker) -> None:
    broker.queue("plain").put({"n": 1})
    assert len(drain(broker)) == 0
    claim = broker.queue("plain").claim()
    assert claim is not None
    assert claim.data == {"n": 1}


def test_stopped_queues_are_passed_over(broker: Broker) -> None:
    @broker.task
    def f() -> None: ...

    f.put()
    f.options(queue="other").put()
    broker.queue("default").pause(claim=True)
    assert [one.job.queue for one in drain(broker)] == ["other"]
    broker.queue("default").resume()
    assert len(drain(broker)) == 1


def test_jobs_without_an_end_are_noticed(broker: Broker) -> None:
    @broker.task
    def again() -> None:
        again.put()

    again.put()
    with pytest.raises(BadValue, match="always one more that is due now"):
        drain(broker)


def test_a_real_clock_is_not_moved() -> None:
    with ropeway.connect("memory:", config=False) as real:
        tasks = Tasks()
        real.include(tasks)

        @tasks.task
        def f() -> None: ...

        f.put()
        assert len(drain(real)) == 1
        with pytest.raises(BadValue, match="FakeClock"):
            drain(real, until="1h")


def test_check_answers_itself_when_all_went_well(broker: Broker) -> None:
    @broker.task
    def f(n: int) -> None: ...

    f.map([1, 2])
    assert len(drain(broker).check()) == 2
    broker.queue("default").put_encoded(b"{}", "application/json", task="unknown")
    with pytest.raises(ropeway.RemoteError, match="no task 'unknown' is registered"):
        drain(broker).check()


def test_what_the_guide_shows(pytester: pytest.Pytester) -> None:
    """Its files as they stand there, run as its reader would."""
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "testing.md").read_text()
    shown = blocks(guide)
    for block in shown:
        if block.kind == "python":
            (pytester.path / block.text.split("\n", 1)[0].removeprefix("# ")).write_text(block.text)
    pytester.runpytest_inprocess("-p", "no:ropeway", "-p", "ropeway.testing.plugin").assert_outcomes(passed=4)
    ran = pytester.runpython(pytester.path / "anywhere.py")
    assert ran.ret == 0
    assert agrees(next(block.text for block in shown if block.kind == "text"), ran.stdout.str())
