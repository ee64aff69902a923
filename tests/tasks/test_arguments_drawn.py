"""Signatures drawn by chance, and calls of them: what goes in at the put comes out at the run, by every codec."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ropeway.codecs import codec
from ropeway.tasks.arguments import Arguments

from .kinds import Cat, Color, Dog, Level, Mail, Options, Point, Size, Word

CODECS = ("json", "msgpack", "yaml", "pickle")

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
whole = st.integers(-(2**63), 2**63 - 1)
real = st.floats(allow_nan=False, allow_infinity=False)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=zones)

# type: what values of it there are
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    int: whole,
    float: real,
    bool: st.booleans(),
    str: words,
    bytes: st.binary(max_size=8),
    None: st.none(),
    int | None: whole | st.none(),
    list[int]: st.lists(whole, max_size=3),
    dict[str, float]: st.dictionaries(words, real, max_size=3),
    dict[int, str]: st.dictionaries(whole, words, max_size=3),
    set[str]: st.sets(words, max_size=3),
    frozenset[int]: st.frozensets(whole, max_size=3),
    tuple[int, str]: st.tuples(whole, words),
    tuple[float, ...]: st.lists(real, max_size=3).map(tuple),
    datetime: moments,
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(timedelta(days=-1000), timedelta(days=1000)),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=3),
    Color: st.sampled_from(Color),
    Level: st.sampled_from(Level),
    Word: st.sampled_from(Word),
    Literal["a", 1]: st.sampled_from(["a", 1]),
    Size: st.builds(Size, whole, whole, st.lists(words, max_size=2)),
    Mail: st.builds(Mail, words, st.none() | moments, st.binary(max_size=4)),
    Cat | Dog: st.builds(Cat, whole) | st.builds(Dog, words),
    Point: st.builds(Point, whole, real),
    Options: st.fixed_dictionaries({}, optional={"color": st.sampled_from(Color), "deep": st.booleans()}),
    list[Size | None]: st.lists(st.none() | st.builds(Size, whole), max_size=2),
    Annotated[int, msgspec.Meta(ge=0)]: st.integers(0, 2**60),
}
NAMES = ["a", "b", "args", "kwargs", "self", "cls", "name", "_x", "__y", "fields", "type", "default", "ä"]


@st.composite
def calls(draw: st.DrawFn) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """A function that answers what it was given, and a call of it."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    places = draw(st.integers(0, len(names)))
    only = draw(st.integers(0, places)) if draw(st.booleans()) else 0
    hints = {name: draw(st.sampled_from(list(TYPES))) for name in names}
    parts, space, optional = [], {"hints": hints, "defaults": {}}, False
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    star, double = draw(st.booleans()), draw(st.booleans())
    in_places = True
    for number, name in enumerate(names):
        value = TYPES[hints[name]]
        if number == places and not star:
            parts.append("*")
        elif number == places:
            parts.append("*rest: hints['*']")
        if number >= places:
            optional = False
        optional = optional or draw(st.booleans())
        if optional:
            space["defaults"][name] = draw(value)
        parts.append(f"{name}: hints[{name!r}]" + (f" = defaults[{name!r}]" if optional else ""))
        if number == only - 1:
            parts.append("/")
        given = not optional or draw(st.booleans())
        if number < only and not given:
            in_places = False
        if not given or (number < only and not in_places):
            in_places = False
            continue
        if number < places and in_places and (number < only or draw(st.booleans())):
            args.append(draw(value))
        else:
            in_places = False
            kwargs[name] = draw(value)
    if star and places >= len(names):
        parts.append("*rest: hints['*']")
    hints["*"], hints["**"] = draw(st.sampled_from(list(TYPES))), draw(st.sampled_from(list(TYPES)))
    if star and in_places and len(args) == places:
        args += draw(st.lists(TYPES[hints["*"]], max_size=3))
    if double:
        parts.append("**more: hints['**']")
        kwargs |= draw(st.dictionaries(st.sampled_from(["extra", "more_", "z"]), TYPES[hints["**"]], max_size=2))
    source = f"def f({', '.join(parts)}):\n    return dict(locals())"
    exec(source, space)
    function = space["f"]
    function.__annotations__ = {
        name: eval(text, space) if isinstance(text, str) else text for name, text in function.__annotations__.items()
    }
    return function, tuple(args), kwargs


@settings(deadline=None)  # the machine may be busy
@given(calls(), st.sampled_from(CODECS))
def test_what_goes_in_comes_out(call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]], name: str) -> None:
    function, args, kwargs = call
    expected = function(*args, **kwargs)
    arguments, by = Arguments("f", function), codec(name)
    body, seen = arguments.encode(args, kwargs, by)
    for values in (seen, arguments.decode(body, by)):
        got = arguments.call(function, values)
        assert got == expected
        assert [type(value) for value in got.values()] == [type(value) for value in expected.values()]
    named = arguments.named(arguments.decode(body, by))
    assert {key: named[key] for key in named} == expected
