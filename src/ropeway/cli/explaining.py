"""What `why` prints: the causes of each job, or of a queue, for a person or for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import StoreError
from ..why import Why, why, why_queue
from ..why.facts import View
from .clean import clean
from .output import Row
from .params import named
from .session import Session
from .table import terminal_width
from .verdict import DONE, NOTHING, UNREACHABLE, USAGE, Failure

NARROW = 40  # columns below which text is not broken into lines


def explain(session: Session, words: Sequence[str], queue: str | None) -> int:
    """Print the causes; Failure when there is nothing to explain."""
    if not words and queue is None:
        raise Failure(USAGE, "which job? Give its id, as put printed it, or a queue: --queue QUEUE. See: ropeway why --help")
    code = DONE
    try:
        with session.out.listing(why_text) as emit:
            for found in _all(session, words, queue):
                emit(why_row(found))
                if found.causes[0].code in ("gone", "unknown", "no-queue"):
                    code = NOTHING
    except StoreError as error:
        text = str(error)
        more = "" if "ropeway check" in text else ". See what is wrong: ropeway check"
        raise Failure(UNREACHABLE, f"nothing can be said while the store does not answer: {text}{more}") from error
    return code


def _all(session: Session, words: Sequence[str], queue: str | None) -> Iterator[Why]:
    view = View()
    if not words and queue is not None:
        yield why_queue(session.link, queue, view)
    for word in named(words, "id"):
        yield why(session.link, word, queue, view)


def why_row(found: Why) -> Row:
    """The causes as programs read them; the same over HTTP."""
    row: Row = {"id": found.id, "queue": found.queue, "state": None if found.state is None else str(found.state)}
    return row | {"causes": [{"code": one.code, "text": one.text, "unblock": one.unblock} for one in found.causes]}


def why_text(row: dict[str, Any]) -> Iterator[str]:
    """The causes for a person: what decides is first, and numbered when there are several."""
    head = [row["id"], row["queue"], row["state"] or ("" if not row["id"] else "not here")]
    yield clean("  ".join(part for part in head if part))
    width = terminal_width()
    for number, one in enumerate(row["causes"], 1):
        mark = f"{number}. " if len(row["causes"]) > 1 else ""
        yield from broken(f"  {mark}{one['code']}: ", one["text"], width)
        if one["unblock"]:
            yield from broken("     -> ", one["unblock"], width)


def broken(begin: str, text: str, width: int) -> Iterator[str]:
    """Text behind `begin`, on lines that fit the terminal; words are never cut, so that a command can be copied."""
    line, indent = begin + "", " " * 8
    empty = True
    for word in clean(text).split(" "):
        if not empty and width >= NARROW and len(line) + 1 + len(word) > width:
            yield line
            line, empty = indent, True
        line += word if empty else f" {word}"
        empty = False
    yield line
