"""The end of what is printed: right, whatever the pieces, and in bounded memory."""

from __future__ import annotations

import random

from ropeway.sight.tail import BYTES, LINES, Tail


def test_it_agrees_with_a_plain_list_whatever_the_pieces() -> None:
    draw = random.Random(5)
    for _ in range(30):
        tail, whole = Tail(lines=50), b""
        for _ in range(draw.randrange(1, 200)):
            piece = b"".join(b"%d" % draw.randrange(100) + b"\n" * draw.randrange(3) for _ in range(draw.randrange(400)))
            tail.feed(piece)
            whole += piece
        first, data = tail.look()
        lines = whole.split(b"\n")
        assert data.split(b"\n") == lines[first:]
        assert len(lines) - first >= min(50, len(lines))
        for since in (0, first, first + 3, len(lines) - 1, len(lines) + 5):
            number, rest = tail.look(since)
            assert number <= max(since, first)
            assert rest.split(b"\n") == lines[number:]


def test_memory_is_bounded_by_lines_and_by_bytes() -> None:
    tail = Tail()
    for number in range(300_000):
        tail.feed(b"line %d\n" % number)
    first, data = tail.look()
    assert first <= 300_000 - LINES
    assert len(data) < 64 << 10
    for _ in range(300):
        tail.feed(b"x" * 100_000)
    assert len(tail.look()[1]) <= BYTES + (200 << 10)
    tail.feed(b"y" * (BYTES * 3) + b"\nend")
    first, data = tail.look()
    assert data.endswith(b"y\nend")
    assert len(data) <= BYTES + (200 << 10)


def test_many_tiny_pieces_cost_no_memory() -> None:
    tail = Tail()
    for _ in range(200_000):
        tail.feed(b".")
    assert len(tail._pieces) < 20
    assert len(tail.look()[1]) == 200_000
