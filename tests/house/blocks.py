"""The fenced blocks of a Markdown page, in order, so that a test can do what the page tells its reader to do."""

from __future__ import annotations

import re
from typing import NamedTuple

FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block: the word after the fence, and its text."""

    kind: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [Block(found[1], found[2], page.count("\n", 0, found.start()) + 1) for found in FENCE.finditer(page)]


def agrees(shown: str, real: str) -> bool:
    """Whether what is shown is what was printed; `...` stands for anything, and spaces at the ends of lines do not count."""
    pattern = ".*?".join(re.escape(part) for part in _plain(shown).split("..."))
    return re.fullmatch(pattern, _plain(real), re.DOTALL) is not None


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
