"""Which topics a pattern means: words between dots, `*` for one word, `#` for any number of them, none included."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import BadValue
from .names import NAME_LIMIT, check_name, shown

MOST = 100  # patterns of one listener


def check_topic(name: object) -> str:
    """The name itself, if it is one of a topic: see names.check_name; else BadName."""
    return check_name(name, "topic")


def check_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns themselves, each a topic's name in which whole words may be `*` or `#`; else BadValue."""
    if isinstance(patterns, str) or not 1 <= len(patterns) <= MOST:
        raise BadValue(f"give 1 to {MOST} topic patterns, as a list; nothing was done")
    for pattern in patterns:
        if not (isinstance(pattern, str) and _is_pattern(pattern)):
            raise BadValue(
                f"{shown(pattern)} is no topic pattern: use a topic's name, with * for one of the words between dots and # for any number "
                "of them; nothing was done"
            )
    return tuple(patterns)


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A function that tells whether a topic is meant by one of the patterns."""
    exact = frozenset(pattern for pattern in patterns if not _is_wild(pattern))
    wild = [_words(pattern) for pattern in patterns if _is_wild(pattern)]
    if ["#"] in wild:
        return _any
    if not wild:
        return exact.__contains__
    return lambda topic: topic in exact or any(_matches(words, topic.split(".")) for words in wild)


def matches(pattern: str, topic: str) -> bool:
    """Whether the pattern means the topic."""
    return matcher((pattern,))(topic)


def _any(_: str) -> bool:
    return True


def _is_pattern(pattern: str) -> bool:
    if not 1 <= len(pattern) <= NAME_LIMIT or not pattern.isascii():
        return False
    plain = ".".join("x" if word in ("*", "#") else word for word in pattern.split("."))
    try:
        return bool(check_name(plain))
    except ValueError:
        return False


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "#" in pattern


def _words(pattern: str) -> list[str]:
    """Without repeated #: one means as much."""
    words: list[str] = []
    for word in pattern.split("."):
        if word != "#" or words[-1:] != ["#"]:
            words.append(word)
    return words


def _matches(pattern: list[str], topic: list[str]) -> bool:
    """Only the last # is ever tried again, so a hostile pattern costs at most the product of the two lengths."""
    at = word = 0
    again, from_word = -1, 0
    while word < len(topic):
        if at < len(pattern) and pattern[at] == "#":
            again, from_word = at, word
            at += 1
        elif at < len(pattern) and pattern[at] in ("*", topic[word]):
            at, word = at + 1, word + 1
        elif again >= 0:
            from_word += 1
            at, word = again + 1, from_word
        else:
            return False
    return all(rest == "#" for rest in pattern[at:])
