"""What is shown of a process holds no secrets. They are known by the name that they stand behind, and by their shape.

By name: a variable, key or option whose name has one of the words below shows *** in place of its value; so does `--token X` and what
stands behind `token=` in a line. By shape: the password in a URL, what follows Bearer or Basic, keys as the large services write them,
private keys, signed tokens (JWT), and in the environment and the command line any long value without a space or slash that mixes letters
and digits as chance does. It errs on the side of hiding. What a program prints in words of its own cannot be known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from ..url import hidden

GONE = "***"
_WORDS = (
    r"passwor[dt]|passwd|passphrase|pwd|secret|token|credential|authorization|auth[_-]?key|cookie|session|private|signature|salt|dsn|"
    r"api[_-]?key|access[_-]?key|encryption[_-]?key|signing[_-]?key|master[_-]?key|conn(?:ection)?[_-]?str"
)
_NAME = re.compile(rf"(?i){_WORDS}|(?:^|[_-])(?:key|pass|pw|pin|auth)(?:$|[_-])")
_HARMLESS = frozenset({"PWD", "OLDPWD", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS", "XDG_SESSION_ID", "DESKTOP_SESSION", "GPG_KEY"})
_SAID = re.compile(r"(?<![\w-])([\w-]++)[\"']?\s*[=:]\s*[\"']?")  # possessive: a name is looked at once, however long it is
_SECRET_WORD = re.compile(rf"(?i){_WORDS}")
_VALUE = re.compile(r"[^\s\"'&,;})]+")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_SHAPES = re.compile(
    r"\bAKIA[0-9A-Z]{12,}|\bASIA[0-9A-Z]{12,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abeoprs]-[\w-]{10,}"
    r"|\bsk[-_](?:[a-z]+[-_])?[A-Za-z0-9_-]{16,}|\brk_live_\w{16,}|\bAIza[\w-]{30,}|\bya29\.[\w-]{20,}|\bnpm_\w{30,}|\bpypi-[\w-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_LONGEST_LOOKED_AT = 20_000
_OPTION = re.compile(r"(-{1,2}[\w-]+)=(.*)", re.DOTALL)


def is_secret(name: str) -> bool:
    """Whether what stands behind this name is not to be shown."""
    return name not in _HARMLESS and _NAME.search(name) is not None


def censored(text: str) -> str:
    """Free text without the secrets that can be told in it."""
    if len(text) > _LONGEST_LOOKED_AT:
        text = text[:_LONGEST_LOOKED_AT] + "..."
    if "://" in text:
        text = _URL.sub(lambda found: hidden(found[0]), text)
    return _SHAPES.sub(GONE, _BEARER.sub(rf"\1{GONE}", _unsaid(text)))


def _unsaid(text: str) -> str:
    """Without the values that stand behind the names of secrets."""
    out, done = [], 0
    for found in _SAID.finditer(text):
        if found.start() >= done and _SECRET_WORD.search(found[1]) and (value := _VALUE.match(text, found.end())):
            out += [text[done : found.end()], GONE]
            done = value.end()
    return "".join([*out, text[done:]])


def shown_value(name: str, value: str) -> str:
    """A value of the environment, as it may be shown."""
    if is_secret(name) and value:
        return GONE
    return GONE if _by_chance(value) and name not in _HARMLESS else censored(value)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment, by name, as it may be shown."""
    return {name: shown_value(name, value) for name, value in sorted(given.items())}


def command_line(words: Sequence[str]) -> list[str]:
    """The command line as it may be shown."""
    out: list[str] = []
    hide = False
    for word in words:
        option = _OPTION.match(word)
        if hide and not word.startswith("-"):
            out.append(GONE)
        elif (option and is_secret(option[1].lstrip("-"))) or (option and _by_chance(option[2])):
            out.append(f"{option[1]}={GONE}")
        else:
            out.append(GONE if _by_chance(word) else censored(word))
        hide = word.startswith("-") and not option and is_secret(word.lstrip("-"))
    return out


def _by_chance(value: str) -> bool:
    """Whether the value looks drawn by chance: long, of one piece, letters and digits well mixed."""
    if not 20 <= len(value) <= 512 or not re.fullmatch(r"[A-Za-z0-9_+=.~-]+|[A-Za-z0-9+/]{24,}={1,2}", value):
        return False
    if not re.search(r"[0-9]", value) or not re.search(r"[A-Za-z]", value):
        return False
    if max(map(len, re.split(r"[-_.]", value))) < 16:  # words and numbers, as in a host's name
        return False
    counts = [value.count(letter) for letter in set(value)]
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts) > 3.0
