"""Logging for programs: one event a line, as text or as JSON, with nothing in it that could be a secret or move a terminal's cursor."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from typing import TextIO

from .errors import ConfigError
from .failure import clean
from .names import shown
from .url import hidden

LINE_LIMIT = 8192  # characters of one event; a traceback has as many of its own
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FORMATS = ("text", "json")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "about"}

_NAMED = re.compile(r"(?i)\b((?:[\w-]*(?:passwor[dt]|passwd|secret|token|api[_-]?key|credential))[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,;}]+)")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}")
_SECRET_NAME = re.compile(r"(?i)passwor[dt]|passwd|secret|token|api[_-]?key|credential|authorization|cookie")


def setup(mode: str | None = None, level: str | None = None, stream: TextIO | None = None) -> logging.Handler:
    """Send ropeway's own log to `stream` (stderr), in `mode` text or json, from `level` up.

    What is not given is taken from $ROPEWAY_LOG: a mode, a level, or both, as in "json,debug"; else text from info. Called again, it
    replaces what it did before. Raises ConfigError for a word that is neither.
    """
    given_mode, given_level = chosen(os.environ.get("ROPEWAY_LOG", ""))
    mode, level = mode or given_mode, level or given_level
    if mode not in _FORMATS or level not in _LEVELS:
        raise ConfigError(f"{shown(mode)}, {shown(level)}: a log is text or json, from debug, info, warning or error; nothing was opened")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if mode == "json" else TextLines())
    handler.set_name("ropeway")
    logger = logging.getLogger("ropeway")
    for old in [h for h in logger.handlers if h.get_name() == "ropeway"]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(_LEVELS[level])
    logger.propagate = False
    return handler


def chosen(text: str) -> tuple[str, str]:
    """Mode and level out of what $ROPEWAY_LOG says."""
    mode, level = "text", "info"
    for word in re.split(r"[,:\s]+", text.strip().lower()):
        if word in _FORMATS:
            mode = word
        elif word in _LEVELS:
            level = word
        elif word:
            raise ConfigError(f"$ROPEWAY_LOG: {shown(word)} is neither text, json, debug, info, warning nor error; nothing was opened")
    return mode, level


def censored(text: str) -> str:
    """The text without passwords in URLs, and without what follows a word such as token, secret or Bearer."""
    return _BEARER.sub(r"\1***", _NAMED.sub(r"\1***", hidden(text)))


class _Lines(logging.Formatter):
    """What both formats share: the moment in UTC, and the fields that were given as `extra`."""

    def moment(self, record: logging.LogRecord) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"

    def words(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a log call with wrong arguments must not stop the program
            text = f"{record.msg!r} with {record.args!r}"
        return clean(censored(text), LINE_LIMIT)

    def fields(self, record: logging.LogRecord, *, about: bool = False) -> dict[str, object]:
        """What was given as `extra`. `about`: also the dictionary of that name in it, which says in fields what the text says in words."""
        out: dict[str, object] = {}
        given = getattr(record, "about", None)
        more = given.items() if about and isinstance(given, dict) else ()
        for name, value in (*vars(record).items(), *more):
            if name in _OWN or name.startswith("_"):
                continue
            if _SECRET_NAME.search(name):
                out[name] = "***"
            else:
                out[name] = value if isinstance(value, bool | int | float) or value is None else clean(censored(str(value)), LINE_LIMIT)
        return out

    def trace(self, record: logging.LogRecord) -> str:
        text = record.exc_text or (self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else "")
        return "\n".join(clean(line, LINE_LIMIT) for line in censored(text)[-2 * LINE_LIMIT :].split("\n")) if text else ""


class TextLines(_Lines):
    """2026-01-31T12:00:00.000Z INFO ropeway.worker: it happened queue=mails"""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {clean(name)}={_quoted(value)}" for name, value in self.fields(record).items())
        line = f"{self.moment(record)} {record.levelname} {clean(record.name)}: {self.words(record)}{fields}"
        trace = self.trace(record)
        return f"{line}\n  | {trace.replace(chr(10), chr(10) + '  | ')}" if trace else line


class JsonLines(_Lines):
    """{"time": ..., "level": "info", "logger": ..., "text": ..., and the fields: of a job its id, queue, task, attempt, outcome}; a
    traceback stays inside its line."""

    def format(self, record: logging.LogRecord) -> str:
        out: dict[str, object] = {
            "time": self.moment(record),
            "level": record.levelname.lower(),
            "logger": clean(record.name),
            "text": self.words(record),
        }
        for name, value in self.fields(record, about=True).items():
            out.setdefault(clean(name), value)
        if trace := self.trace(record):
            out["traceback"] = trace
        return json.dumps(out, allow_nan=False, default=str) if _finite(out) else json.dumps({k: str(v) for k, v in out.items()})


def _finite(out: dict[str, object]) -> bool:
    return all(not isinstance(v, float) or v - v == 0 for v in out.values())


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c in ' "=' for c in text) else text
