"""Arguments: all that can be called can be a task, its types are checked at both ends, and what cannot be carried is told."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, Unpack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ropeway import BadBody, BadValue, Broker, Tasks
from ropeway.codecs import codec
from ropeway.tasks.arguments import Arguments

from .kinds import Color, Mail, Options, Size, Word

CODECS = ("json", "msgpack", "yaml", "pickle")

# -- all that can be called


class Mailer:
    """Methods of all kinds."""

    def __init__(self, sender: str) -> None:
        self.sender = sender

    def send(self, to: str, *, copies: int = 1) -> str:
        return f"{self.sender} to {to} x{copies}"

    @classmethod
    def count(cls, words: list[str]) -> str:
        return f"{cls.__name__} {len(words)}"

    @staticmethod
    def shout(text: str) -> str:
        return text.upper()

    def __call__(self, to: str) -> str:
        return f"called by {self.sender} for {to}"


class Later:
    """An object whose call is awaited."""

    async def __call__(self, n: int) -> int:
        return n + 1


def add(a: int, b: int, *, c: int = 0) -> int:
    return a + b + c


P = ParamSpec("P")


def wrapped(function: Callable[P, Any]) -> Callable[P, Any]:
    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Any:
        return function(*args, **kwargs)

    return inner


def bare_wrapper(function: Callable[P, Any]) -> Callable[P, Any]:
    def inner(*args: P.args, **kwargs: P.kwargs) -> Any:
        return function(*args, **kwargs)

    return inner


CALLABLES: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = [
    ("bound method", Mailer("me").send, ("you",), {"copies": 2}, "me to you x2"),
    ("class method", Mailer.count, (["a", "b"],), {}, "Mailer 2"),
    ("static method", Mailer.shout, ("hey",), {}, "HEY"),
    ("object", Mailer("me"), ("you",), {}, "called by me for you"),
    ("awaited object", Later(), (1,), {}, 2),
    ("class", Size, (1,), {"height": 2}, Size(1, 2)),
    ("struct", Mail, ("you",), {}, Mail("you")),
    ("partial", functools.partial(add, 1), (2,), {}, 3),
    ("partial by name", functools.partial(add, 1, c=5), (2,), {"c": 6}, 9),
    ("partial of a coroutine function", functools.partial(Later().__call__), (1,), {}, 2),
    ("wrapped", wrapped(add), (1, 2), {"c": 3}, 6),
    ("wrapped without a word", bare_wrapper(add), (1, 2), {"c": 3}, 6),
    ("lambda", lambda a, b=2: a * b, (4,), {}, 8),
    ("builtin", pow, (2, 3), {"mod": 5}, 3),
]


@pytest.mark.parametrize("name", [row[0] for row in CALLABLES])
def test_whatever_can_be_called_can_be_a_task(broker: Broker, name: str) -> None:
    _, function, args, kwargs, expected = next(row for row in CALLABLES if row[0] == name)
    task: Any = broker.task(name="it", keep=60)(function)
    handle = task.put(*args, **kwargs)
    assert broker.worker("default", drain=True).run() == 0, handle.entry().error
    assert handle.result(0) == expected


TYPED = ["bound method", "class method", "static method", "object", "awaited object", "class", "struct", "partial", "wrapped"]


@pytest.mark.parametrize("name", TYPED)
def test_and_its_types_are_checked(broker: Broker, name: str) -> None:
    function = next(row[1] for row in CALLABLES if row[0] == name)
    task: Any = broker.task(name="it")(function)
    with pytest.raises(BadBody, match="task it"):
        task.put(*[1.5] * (2 if name == "wrapped" else 1))


@pytest.mark.parametrize("name", ["object", "partial", "partial of a coroutine function"])
def test_what_has_no_name_needs_one(broker: Broker, name: str) -> None:
    function = next(row[1] for row in CALLABLES if row[0] == name)
    with pytest.raises(BadValue, match=r"has no name of its own.*task\(name="):
        broker.task(function)


def test_a_method_of_no_object_is_refused_where_it_is_written() -> None:
    tasks = Tasks()
    with pytest.raises(BadValue, match=r"is a method.*register the bound one"):

        class Shop:
            @tasks.task
            def sell(self, n: int) -> None: ...

    with pytest.raises(TypeError):

        class Other:
            @tasks.task  # type: ignore[type-var]
            @classmethod
            def sell(cls, n: int) -> None: ...

    @tasks.task
    def fine(self: int) -> None: ...

    assert len(tasks) == 1


# -- values that others would change on the way


EQUALS = [(1, True), (1, 1.0), (0.0, -0.0), (0, False), (True, 1), ("", b""), (1.0, 1), (Word.YES, "yes")]


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(("default", "value"), EQUALS)
def test_what_equals_the_default_is_not_the_default(name: str, default: Any, value: Any) -> None:
    def f(a: Any = default) -> Any:
        return a

    arguments, by = Arguments("f", f), codec(name)
    body, _ = arguments.encode((value,), {}, by)
    got = arguments.call(f, arguments.decode(body, by))
    same = b"" if isinstance(value, bytes) and name == "json" else value  # JSON has no bytes: text in base64
    assert (got, type(got)) == (same, type(same)) or (name == "json" and value == b"" and got == "")
    if isinstance(value, float):
        assert math.copysign(1, got) == math.copysign(1, value)


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(CODECS), st.floats())
@example("json", math.nan)
@example("json", math.inf)
def test_numbers_that_are_none(name: str, value: float) -> None:
    """JSON has no NaN: it is refused where a number is expected, and never becomes another number."""

    def f(a: float) -> float:
        return a

    arguments, by = Arguments("f", f), codec(name)
    try:
        body, _ = arguments.encode((value,), {}, by)
    except BadBody:
        assert name == "json" and not math.isfinite(value)
        return
    got = arguments.call(f, arguments.decode(body, by))
    assert got == value or (math.isnan(got) and math.isnan(value))


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 10**30])
@pytest.mark.parametrize("name", CODECS)
def test_large_numbers_stay_whole_or_are_refused(name: str, value: int) -> None:
    def f(a: int) -> int:
        return a

    arguments, by = Arguments("f", f), codec(name)
    try:
        body, _ = arguments.encode((value,), {}, by)
    except BadBody:
        return
    assert arguments.call(f, arguments.decode(body, by)) == value


# -- types that check themselves, and signatures with names in bunches


@dataclass
class Fussy:
    n: int

    def __post_init__(self) -> None:
        if self.n == 1:
            raise KeyError("one")
        if self.n == 2:
            raise ValueError("two")


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("star", [False, True])
def test_a_type_that_refuses_its_value_is_told_at_both_ends(n: int, star: bool) -> None:
    def plain(it: Fussy) -> None: ...

    def stars(*it: Fussy) -> None: ...

    arguments = Arguments("f", stars if star else plain)
    fussy = Fussy(0)
    fussy.n = n
    with pytest.raises(BadBody, match=r"one|two"):
        arguments.encode((fussy,), {})
    body = b'{"args":[{"n":%d}],"kwargs":{}}' % n if star else b'{"it":{"n":%d}}' % n
    with pytest.raises(BadBody, match=r"one|two"):
        arguments.decode(body)


def test_unpacked_keywords_are_checked_by_their_own_types() -> None:
    def f(a: int, **options: Unpack[Options]) -> Any:
        return a, options

    arguments = Arguments("f", f)
    body, _ = arguments.encode((1,), {"color": Color.RED, "deep": True})
    assert arguments.call(f, arguments.decode(body)) == (1, {"color": Color.RED, "deep": True})
    for wrong in ({"color": "green"}, {"deep": "x"}):
        with pytest.raises(BadBody):
            arguments.encode((1,), wrong)


def test_a_hint_that_cannot_be_checked_is_told_at_once(broker: Broker) -> None:
    def several(a: dict[str, int] | Mail) -> None: ...

    def stars(*a: dict[str, int] | Mail) -> None: ...

    for function in (several, stars):
        with pytest.raises(BadValue, match="cannot be checked"):
            broker.task(function).put({})


# -- jobs of yesterday


@pytest.mark.parametrize("name", CODECS)
def test_an_old_job_runs_when_its_task_has_a_new_argument_with_a_default(name: str) -> None:
    def old(a: int, b: str = "x") -> Any: ...

    def new(a: int, b: str = "x", c: list[int] | None = None, *, d: Size = Size(1)) -> Any:  # noqa: B008
        return a, b, c, d

    by = codec(name)
    for args, kwargs in (((1,), {}), ((1, "y"), {}), ((), {"a": 1, "b": "z"})):
        body, _ = Arguments("f", old).encode(args, kwargs, by)
        arguments = Arguments("f", new)
        assert arguments.call(new, arguments.decode(body, by))[2:] == (None, Size(1))


@pytest.mark.parametrize("name", CODECS)
def test_an_old_job_is_refused_when_what_it_brings_is_not_taken_any_more(name: str) -> None:
    def old(a: int, b: str = "x") -> Any: ...

    def new(a: int) -> Any: ...

    def needs(a: int, c: int) -> Any: ...

    by = codec(name)
    body, _ = Arguments("f", old).encode((1,), {"b": "y"}, by)
    for function in (new, needs):
        with pytest.raises(BadBody, match="task f"):
            Arguments("f", function).decode(body, by)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=60), st.sampled_from(["json", "msgpack", "yaml"]))
def test_any_bytes_are_arguments_or_one_error(data: bytes, name: str) -> None:
    def plain(a: int = 1, b: str = "") -> None: ...

    def stars(a: int = 1, *rest: Size, **more: Any) -> None: ...

    for function in (plain, stars):
        arguments = Arguments("f", function)
        try:
            arguments.call(function, arguments.decode(data, codec(name)))
        except BadBody:
            pass
