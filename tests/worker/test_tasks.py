"""Tasks: a function stays a function, its arguments are checked on both sides, and its options become the job's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ropeway.errors import BadBody, BadName, BadValue, Conflict
from ropeway.job import State
from ropeway.link import Link
from ropeway.retry import Retry
from ropeway.tasks import Tasks, current_claim
from ropeway.tasks.arguments import Arguments

if TYPE_CHECKING:
    from nowhere import Missing


@pytest.fixture
def tasks(memory: Link) -> Tasks:
    return Tasks(memory)


def put_job(memory: Link, queue: str = "default") -> Any:
    lents = memory.store.claim((queue,), 10, 30.0, memory.holder())
    assert len(lents) == 1
    return lents[0].job


def test_a_task_is_still_its_function(tasks: Tasks) -> None:
    @tasks.task
    def add(a: int, b: int = 2) -> int:
        """Adds."""
        return a + b

    assert add(1) == 3
    assert add(1, b=5) == 6
    assert add.__doc__ == "Adds."
    assert add.__name__ == add.name == "add"
    assert current_claim() is None


def test_a_put_makes_a_job_that_names_the_task(memory: Link, tasks: Tasks) -> None:
    @tasks.task
    def welcome(user_id: int, *, lang: str = "en") -> bool:
        return True

    handle = welcome.put(42, lang="de")
    job = put_job(memory)
    assert (job.id, job.task, job.content_type) == (handle.id, "welcome", "application/json")
    assert msgspec.json.decode(job.body) == {"user_id": 42, "lang": "de"}


def test_options_of_task_and_put(memory: Link, tasks: Tasks) -> None:
    @tasks.task(name="mail.welcome", queue="mails", priority=7, keep="1h", ttl="1d", unique="user:{user_id}", lane="lane-{user_id}")
    def welcome(user_id: int, lang: str = "en") -> None: ...

    welcome.put(42)
    job = put_job(memory, "mails")
    assert (job.task, job.priority, job.keep, job.ttl, job.key, job.lane) == ("mail.welcome", 7, 3600.0, 86400.0, "user:42", "lane-42")
    welcome.options(priority=1, key="other", keep=0, ttl=5, headers={"tenant": "7"}, lane="l").put(42)
    job = put_job(memory, "mails")
    assert (job.priority, job.keep, job.ttl, job.key, job.headers, job.lane) == (1, 0.0, 5.0, "other", {"tenant": "7"}, "l")
    welcome.options(queue="later", delay="1h").put(43)
    assert memory.store.counts()["later"].delayed == 1
    welcome.options(queue="at", at=datetime.now(UTC) + timedelta(hours=1)).put(44)
    assert memory.store.counts()["at"].delayed == 1


def test_unique_tasks_conflict(tasks: Tasks) -> None:
    @tasks.task(unique="user:{user_id}")
    def welcome(user_id: int) -> None: ...

    first = welcome.put(1)
    with pytest.raises(Conflict):
        welcome.put(1)
    again = welcome.options(on_conflict="keep").put(1)
    assert again.id == first.id
    assert not again.created
    assert welcome.put(2).created


def test_a_wrong_call_is_refused_at_the_put_and_stores_nothing(memory: Link, tasks: Tasks) -> None:
    @tasks.task
    def f(a: int, *, b: str = "") -> None: ...

    wrong: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception]]] = [
        ((), {}, TypeError),
        ((1, 2), {}, TypeError),
        ((1,), {"a": 1}, TypeError),
        ((1,), {"c": 1}, TypeError),
        (("x",), {}, BadBody),
        ((1,), {"b": 3}, BadBody),
        ((object(),), {}, BadBody),
        ((2.5,), {}, BadBody),
    ]
    for args, kwargs, error in wrong:
        with pytest.raises(error, match="task f"):
            f.put(*args, **kwargs)
    assert memory.store.queues() == [] or memory.store.counts()["default"].ready == 0


@dataclass
class Mail:
    to: str
    cc: list[str]


def test_rich_arguments_come_back_as_their_types() -> None:
    def f(mail: Mail, when: datetime, data: bytes, flags: frozenset[int], extra: Any = None) -> None: ...

    arguments = Arguments("f", f)
    given = (Mail("a", ["b"]), datetime(2030, 1, 2, tzinfo=UTC), b"\x00\xff", frozenset({1, 2}))
    body, _ = arguments.encode(given, {"extra": {"k": [1]}})
    seen: list[Any] = []
    arguments.call(lambda *args, **kwargs: seen.append((args, kwargs)), arguments.decode(body))
    assert seen == [((*given, {"k": [1]}), {})]


FOREIGN = [
    (b'{"a": 1}', (1, 2, "x")),
    (b"[1]", (1, 2, "x")),
    (b"[1, 5]", (1, 5, "x")),
    (b'{"a": 1, "c": "y"}', (1, 2, "y")),
    (b'{"args": [1], "kwargs": {"c": "z"}}', (1, 2, "z")),
    (b'{"kwargs": {"a": 3}}', (3, 2, "x")),
]


@pytest.mark.parametrize(("body", "called"), FOREIGN)
def test_bodies_from_other_languages(body: bytes, called: tuple[Any, ...]) -> None:
    def f(a: int, b: int = 2, *, c: str = "x") -> tuple[int, int, str]:
        return a, b, c

    arguments = Arguments("f", f)
    assert arguments.call(f, arguments.decode(body)) == called


HOSTILE = [
    b"",
    b"[]",
    b"[1,2,3]",
    b"{}",
    b'{"a":"1"}',
    b'{"a":1,"z":2}',
    b"nonsense",
    b"\xff\xfe",
    b"3",
    b"null",
    b"[" * 100_000,
    b'{"args":1}',
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_bodies_are_one_error(body: bytes) -> None:
    def f(a: int, b: int = 2) -> None: ...

    with pytest.raises(BadBody, match="task f"):
        Arguments("f", f).decode(body)


def test_no_arguments_need_no_body() -> None:
    def f() -> str:
        return "called"

    arguments = Arguments("f", f)
    for body in (b"", b"[]", b"{}"):
        assert arguments.call(f, arguments.decode(body)) == "called"


def test_stars_and_places_only() -> None:
    def f(a: int, /, *rest: int, **named: str) -> Any:
        return a, rest, named

    arguments = Arguments("f", f)
    body, _ = arguments.encode((1, 2, 3), {"x": "y"})
    assert arguments.call(f, arguments.decode(body)) == (1, (2, 3), {"x": "y"})
    for bad in (b'{"args": [1, "x"]}', b'{"args": [1], "kwargs": {"q": 1}}', b'{"args": []}'):
        with pytest.raises(BadBody):
            arguments.decode(bad)


def test_parameters_called_args_and_kwargs_are_just_names() -> None:
    def f(args: int, kwargs: int = 0) -> tuple[int, int]:
        return args, kwargs

    arguments = Arguments("f", f)
    body, _ = arguments.encode((1,), {"kwargs": 2})
    assert arguments.call(f, arguments.decode(body)) == (1, 2)


def test_a_function_keeps_its_own_defaults() -> None:
    sentinel: Any = object()

    def f(a: int = 1, b: list[int] = [7], c: Any = sentinel, *, d: int) -> Any:  # noqa: B006
        return a, b, c, d

    arguments = Arguments("f", f)
    body, _ = arguments.encode((), {"d": 4})
    assert body == b'{"d":4}'
    assert arguments.call(f, arguments.decode(body))[2] is sentinel
    assert arguments.call(f, arguments.decode(b'{"d":4,"b":[9]}')) == (1, [9], sentinel, 4)


def test_hints_that_cannot_be_resolved_are_anything() -> None:
    def f(a: int, b: Missing) -> None: ...

    arguments = Arguments("f", f)
    assert arguments.encode((1, {"any": "thing"}), {})[0] == b'{"a":1,"b":{"any":"thing"}}'
    with pytest.raises(BadBody):
        arguments.encode(("x", 1), {})


def test_templates_name_arguments_only(tasks: Tasks) -> None:
    @tasks.task(unique="user:{uid}")
    def f(user_id: int) -> None: ...

    with pytest.raises(BadValue, match="uid"):
        f.put(1)


def test_templates_use_the_defaults(memory: Link, tasks: Tasks) -> None:
    @tasks.task(unique="{a}-{b}-{rest}")
    def f(a: int, b: str = "x", *rest: int) -> None: ...

    f.put(1)
    assert put_job(memory).key == "1-x-()"


def test_names_and_options_are_checked(tasks: Tasks) -> None:
    @tasks.task
    def f() -> None: ...

    def other() -> None: ...

    with pytest.raises(BadValue, match="there is a task f"):
        tasks.task(name="f")(other)
    with pytest.raises(BadName):
        tasks.task(lambda: None)
    with pytest.raises(TypeError, match="no option"):
        tasks.task(retries=3)(other)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no put option"):
        f.options(retry=3)  # type: ignore[call-arg]
    with pytest.raises(BadValue, match="timeout"):
        tasks.task(timeout=0)(other)
    with pytest.raises(BadValue):
        tasks.task(retry=0)(other)
    with pytest.raises(TypeError):
        tasks.task("f")  # type: ignore[call-overload]
    assert [task.name for task in tasks] == ["f"]


def test_the_same_function_may_be_registered_again(tasks: Tasks) -> None:
    def f() -> None: ...

    first, second = tasks.task(f), tasks.task(f)
    assert tasks.get("f") is second is not first


def test_map_puts_all_in_one_commit(memory: Link, tasks: Tasks) -> None:
    @tasks.task
    def add(a: int, b: int = 0) -> int:
        return a + b

    assert len(add.map(range(5))) == 5
    assert len(add.options(priority=3).map([1, 2], [3, 4])) == 2
    jobs = [lent.job for lent in memory.store.claim(("default",), 10, 30.0, memory.holder())]
    assert [msgspec.json.decode(job.body) for job in jobs[:2]] == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert add.map([]) == []
    with pytest.raises(BadValue, match="share one key"):
        add.options(key="k").map([1, 2])
    with pytest.raises(BadBody):
        add.map([1, "x"])
    with pytest.raises(TypeError):
        add.map()


def test_awaitable_twins(memory: Link, tasks: Tasks) -> None:
    @tasks.task
    async def add(a: int, b: int = 0) -> int:
        return a + b

    async def main() -> None:
        assert await add(1, 2) == 3
        one = await add.aput(1)
        two = await add.options(priority=1).aput(2)
        many = await add.amap(range(3))
        assert len({one.id, two.id, *(h.id for h in many)}) == 5
        assert await one.astate() is State.READY

    asyncio.run(main())
    assert memory.store.counts()["default"].ready == 5


def test_retry_may_be_a_number(tasks: Tasks) -> None:
    @tasks.task(retry=3)
    def f() -> None: ...

    @tasks.task(retry=Retry(2, base="5s"))
    def g() -> None: ...

    assert f.retry is not None
    assert f.retry.attempts == 3
    assert g.retry is not None
    assert g.retry.base == 5.0


def test_types() -> None:
    """A wrong argument is an error of the type checker, and handles know what a run returns."""
    pytest.importorskip("mypy", reason="mypy is a tool of development")
    sample = Path(__file__).with_name("typed_tasks.py")
    assert sample.read_text().count("# type: ignore[") >= 12
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=sample.parents[2])
    assert done.returncode == 0, done.stdout + done.stderr


def test_defining_a_task_loads_nothing_heavy() -> None:
    """What looks at signatures comes with the first put; asyncio, logging and subprocess not at all."""
    script = (
        "import sys\n"
        "from ropeway.link import Link\n"
        "from ropeway.tasks import Tasks\n"
        "tasks = Tasks(Link('memory:'))\n"
        "@tasks.task\n"
        "def f(a: int) -> None: ...\n"
        "@tasks.task\n"
        "async def g(a: int) -> None: ...\n"
        "print(*sorted({'ropeway.tasks.arguments', 'asyncio', 'logging', 'subprocess'} & set(sys.modules)))\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.split() == []
