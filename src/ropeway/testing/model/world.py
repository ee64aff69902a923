"""The small, dense world of the model test: two queues, three priorities, few keys, few moments, so that things meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import Struct

from ...job import State

QUEUES = ("B", "a")
KEYS = ("k1", "k2")
BIG = 70_000  # bytes: over what the directory engine keeps inline


def often(usual: Any, *others: Any) -> SearchStrategy[Any]:
    """The usual value in about two of three cases."""
    return st.sampled_from([usual] * (2 * len(others)) + list(others))


SELDOM = often(*(False, True))
MOSTLY = often(*(True, False))


class Wish(Struct, frozen=True):
    """What a job to be put shall be like."""

    queue: str
    priority: int = 50
    delay: float = 0.0
    key: str = ""
    ttl: float = 0.0
    keep: float = 0.0
    once: bool = False
    big: bool = False
    lane: str = ""


_QUEUE, _PRIORITY, _TTL = st.sampled_from(QUEUES), often(50, 10, 90), often(0.0, 20.0)
WISH: SearchStrategy[Wish] = st.builds(
    Wish,
    queue=_QUEUE,
    priority=_PRIORITY,
    delay=often(0.0, 3.0, 70.0),
    key=often("", *KEYS),
    ttl=_TTL,
    keep=often(0.0, 15.0, 60.0),
    once=SELDOM,
    big=st.sampled_from([False] * 11 + [True]),
    lane=often("", "x", "y"),
)
WISHES = st.lists(WISH, min_size=1, max_size=4)
BATCH = st.builds(  # of jobs that go into one part
    lambda wish, count: [wish] * count,
    st.builds(Wish, queue=_QUEUE, priority=_PRIORITY, delay=often(0.0, 3.0), ttl=_TTL, lane=often("", "", "x")),
    st.integers(2, 4),
)


class Past(Struct, frozen=True):
    """What a job that is brought has behind it: when it died or was due, so long ago; when it is due or forgotten, in so long."""

    state: State
    ago: float
    attempts: int
    deaths: int
    told: int


PASTS = st.lists(
    st.builds(
        Past,
        state=often(State.READY, State.DELAYED, State.DEAD, State.DONE, State.RUNNING),
        ago=st.sampled_from([0.5, 3.0, 20.0]),
        attempts=often(0, 1, 2),
        deaths=often(0, 1),
        told=often(0, 1, 2),
    ),
    min_size=1,
    max_size=3,
)

WHICH = st.integers(0, 31)  # the number of something in a list that is as long as it is
SEVERAL = st.lists(WHICH, min_size=1, max_size=4)
STORE = st.sampled_from([0, 0, 0, 1])
LEASE = st.sampled_from([5.0, 30.0, 300.0])
ASKED = st.sampled_from([("a",), ("B",), ("a", "B"), ("B", "a")])
PASSING = st.sampled_from([0.5, 0.5, 2.0, 2.0, 6.0, 6.0, 31.0, 75.0, 400.0])
DELAYS = st.lists(st.sampled_from([0.0, 0.0, 3.0, 70.0]), min_size=1, max_size=2)
SWITCH = st.sampled_from([None, None, False, False, False, True])
QUERIES = st.sampled_from(["all", "queue", "queue", "ids", "ids", "key", "text", "state", "error", "limit"])
NOTE = st.sampled_from(["w/1", "w/2", "S"])
