"""Lines of syslog, as devices send them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.bridges.syslog import FACILITIES, SEVERITIES, Frames, read


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (  # RFC 5424, 6.5, example 1
            b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8",
            {
                "facility": "auth",
                "severity": "crit",
                "time": "2003-10-11T22:14:15.003Z",
                "host": "mymachine.example.com",
                "app": "su",
                "id": "ID47",
                "message": "'su root' failed for lonvick on /dev/pts/8",
            },
        ),
        (  # example 3, with what has to be escaped
            b'<165>1 2003-10-11T22:14:15.003Z host evntslog 77 ID47 [a@32473 iut="3" say="a \\"b\\" \\]"][b x="1"] An event',
            {
                "facility": "local4",
                "severity": "notice",
                "time": "2003-10-11T22:14:15.003Z",
                "host": "host",
                "app": "evntslog",
                "pid": "77",
                "id": "ID47",
                "data": {"a@32473": {"iut": "3", "say": 'a "b" ]'}, "b": {"x": "1"}},
                "message": "An event",
            },
        ),
        (  # RFC 3164, 5.4
            b"<34>Oct 11 22:14:15 mymachine su[230]: 'su root' failed\n",
            {
                "facility": "auth",
                "severity": "crit",
                "time": "Oct 11 22:14:15",
                "host": "mymachine",
                "app": "su",
                "pid": "230",
                "message": "'su root' failed",
            },
        ),
        (  # what rsyslog forwards, with a time that says its zone
            b"<30>2026-11-22T04:00:00.123456+01:00 web-1 systemd[1]: Started.",
            {
                "facility": "daemon",
                "severity": "info",
                "time": "2026-11-22T04:00:00.123456+01:00",
                "host": "web-1",
                "app": "systemd",
                "pid": "1",
                "message": "Started.",
            },
        ),
        (b"Use the BFG!", {"facility": "user", "severity": "notice", "message": "Use the BFG!"}),
        (b"<999>x", {"facility": "user", "severity": "notice", "message": "x"}),
        (b"<0>", {"facility": "kern", "severity": "emerg", "message": ""}),
        (b"<191>\xff\xfe", {"facility": "local7", "severity": "debug", "message": "\ufffd\ufffd"}),
    ],
)
def test_lines(line: bytes, told: dict[str, Any]) -> None:
    assert read(line) == told


@given(st.binary(max_size=300))
def test_nothing_is_refused(line: bytes) -> None:
    told = read(line)
    assert told["facility"] in FACILITIES
    assert told["severity"] in SEVERITIES
    assert isinstance(told["message"], str)


def test_hostile_structured_data_costs_little() -> None:
    read(b"<1>1 - h a p i " + b'[x a="' + b'\\"' * 30_000)
    read(b"<1>1 - h a p i " + b'[x a="1"' * 8_000)


@given(
    st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b"<13>" + b.replace(b"\n", b".").replace(b"\r", b".").replace(b"\0", b"."))),
    st.lists(st.integers(1, 9)),
)
def test_a_stream_however_it_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(b"%d %s" % (len(line), line) if number % 2 else line + b"\n" for number, line in enumerate(lines))
    frames, out = Frames(), []
    for cut in cuts:
        out += frames.feed(data[:cut])
        data = data[cut:]
    out += frames.feed(data)
    assert out + frames.end() == lines


def test_a_stream_without_an_end_does_not_grow() -> None:
    frames = Frames()
    out = []
    for _ in range(100):
        out += frames.feed(b"x" * 10_000)
    assert sum(map(len, out)) >= 900_000
    assert max(map(len, out)) <= Frames.LONGEST
