"""Statements by name, out of files of SQL: each has a name and says what it is for.

    -- name: what it is for
    select ...;

`{word}` in a statement is a word that each dialect has its own for; `:word` is a bound value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.resources import files

_NAMED = re.compile(r"^-- ([a-z][a-z_0-9]*): (.+)$", re.MULTILINE)
_VALUE = re.compile(r"(?<![:\w]):([a-z_]+)\b")


class Statements(Mapping[str, str]):
    """The statements of some files, in the words of one dialect. `purpose` says what each is for."""

    def __init__(self, *paths: str, words: Mapping[str, str], bind: Callable[[str], str]) -> None:
        self._texts: dict[str, str] = {}
        self.purpose: dict[str, str] = {}
        for path in paths:
            for name, purpose, text in read(path):
                for word, meaning in words.items():
                    text = text.replace(f"{{{word}}}", meaning)
                self._texts[name] = _VALUE.sub(lambda found: bind(found[1]), text)
                self.purpose[name] = purpose

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def read(path: str) -> list[tuple[str, str, str]]:
    """(name, purpose, text) of the statements in a file of this package; more lines of comment belong to the purpose."""
    text = files(__package__).joinpath(path).read_text(encoding="utf-8")
    found = list(_NAMED.finditer(text))
    out = []
    for here, following in zip(found, [*found[1:], None], strict=True):
        lines = text[here.end() : following.start() if following else len(text)].strip().splitlines()
        body = [line for line in lines if not line.startswith("--")]
        comment = [line[2:].strip() for line in lines if line.startswith("--")]
        out.append((here[1], " ".join([here[2], *comment]), "\n".join(body).strip().removesuffix(";")))
    return out
