"""What of a job's content is shown: to who may do everything on its queue all of it, to anybody else no value that stands behind the name
of a secret. Claims are not looking: a worker gets its bodies as they were put.

In JSON and MessagePack the names of fields decide, in other text what stands before `=` or `:`. What is neither is not shown at all, since
nobody can say what is in it. A job that was shown so carries the header `ropeway-redacted`, so that nobody takes it for the job itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Any

import msgspec
from msgspec.structs import replace

from ..broker import Broker
from ..carry import REDACTED
from ..cli.output import Row
from ..cli.rows import BODY_IN_ROW, job_row
from ..codecs import MSGPACK
from ..sight.secrets import GONE, censored
from ..store import Entry
from .grants import Grant, Role

DEEPEST = 60  # levels of a value that are looked at; what lies below is hidden
LARGEST = 1 << 20  # bytes of a body that is looked at; a larger one is not shown
_PARTED = re.compile(r"[-_. ]+")
_SAID = re.compile(r"(?<![\w-])([\w.-]{1,128}+)[\"']?\s{0,8}[=:]\s{0,8}[\"']?([^\s\"'&,;})]+)")
_MSGPACK = frozenset({MSGPACK, "application/x-msgpack"})

Change = Callable[[Any], Any]


class Veil:
    """`names`: patterns of the names of fields whose values are hidden, whatever their case and the - _ . in them; none: nothing is."""

    def __init__(self, names: Sequence[str]) -> None:
        self._match = re.compile("|".join(translate(_plain(name)) for name in names)).match if names else None

    @staticmethod
    def of(broker: Broker) -> Veil:
        """As the configuration of this broker says."""
        return Veil(broker.config.server.hidden())

    def lies(self, grant: Grant, queue: str) -> bool:
        """Whether something is hidden from this bearer on this queue."""
        return self._match is not None and not all(grant.may(role, queue) for role in Role)

    def hides(self, name: str) -> bool:
        """Whether the value behind this name is hidden."""
        return self._match is not None and self._match(_plain(name)) is not None

    def entry(self, grant: Grant, entry: Entry) -> Entry:
        """The job as this bearer may see it; a body that is kept beside it stays there."""
        if not self.lies(grant, entry.job.queue):
            return entry
        job, hidden = entry.job, False
        body = job.body if job.source is not None else self.content(job.body, job.content_type)
        result = None if entry.result is None else self.content(entry.result, entry.result_type)
        headers = {name: GONE if self.hides(name) else value for name, value in job.headers.items()}
        hidden = body != job.body or result != entry.result or headers != job.headers
        if not hidden:
            return entry
        if body != job.body:
            headers[REDACTED] = "body"
        size = job.size if job.size >= 0 else len(job.body)
        return replace(entry, job=replace(job, body=body, size=size, headers=headers), result=result)

    def entries(self, grant: Grant, entries: list[Entry], text: str) -> list[Entry]:
        """Jobs as a program on the engine http: may see them, found by `text`. Who may claim a job may read it as it is, and who may
        put one may read what came of it."""
        out = []
        for entry in entries:
            queue = entry.job.queue
            if grant.may(Role.CONSUME, queue) or not self.lies(grant, queue):
                out.append(entry)
            elif not text or self.found(entry, text):
                shown = self.entry(grant, entry)
                out.append(replace(shown, result=entry.result) if grant.may(Role.PRODUCE, queue) else shown)
        return out

    def row(self, grant: Grant, entry: Entry) -> Row:
        """The job as a row (cli/rows.py)."""
        if not self.lies(grant, entry.job.queue):
            return job_row(entry)
        if entry.job.source is None and len(entry.job.body) > BODY_IN_ROW:  # it would not stand in the row: then it is not looked at
            row = job_row(replace(entry, result=None))
        else:
            row = job_row(self.entry(grant, entry))
            if REDACTED in row["headers"] and row.get("body") == "":
                del row["body"]
        if "command" in row:
            row["command"] = self._said(row["command"])
        row["headers"] = {name: GONE if self.hides(name) else value for name, value in row["headers"].items()}
        return row

    def content(self, data: bytes, content_type: str) -> bytes:
        """A body or a result, without what is hidden; the very bytes where nothing is, nothing where it cannot be told."""
        if not data or self._match is None:
            return data
        if len(data) > LARGEST:
            return b""
        kind = content_type.partition(";")[0].strip().lower()
        try:
            if kind in _MSGPACK:
                return self._value(data, msgspec.msgpack.decode, msgspec.msgpack.encode)
            text = data.decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            return b""
        try:
            return self._value(data, msgspec.json.decode, msgspec.json.encode)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            said = self._said(text)
            return data if said == text else said.encode()

    def found(self, entry: Entry, text: str) -> bool:
        """Whether the text is in what may be seen of the job: a search must not find out, letter by letter, what is hidden."""
        job = entry.job
        body = b"" if job.source is not None else self.content(job.body, job.content_type)
        shown = [value for name, value in job.headers.items() if not self.hides(name)]
        return text.encode(errors="surrogatepass") in body or any(text in one for one in (job.key, *job.headers, *shown))

    def _value(self, data: bytes, decode: Change, encode: Change) -> bytes:
        value = decode(data)
        shown = self._shown(value, DEEPEST)
        return data if shown is value else encode(shown)

    def _shown(self, value: Any, deep: int) -> Any:
        """The value without what is hidden; the same object where nothing is."""
        if isinstance(value, dict):
            if not deep:
                return GONE
            new: dict[Any, Any] = {
                name: (GONE if one is not None and isinstance(name, str) and self.hides(name) else self._shown(one, deep - 1))
                for name, one in value.items()
            }
            return new if any(new[name] is not one for name, one in value.items()) else value
        if isinstance(value, list):
            if not deep:
                return GONE
            items = [self._shown(one, deep - 1) for one in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def _said(self, text: str) -> str:
        """Text without the values that stand behind such names, and without what looks like a secret by itself."""
        out, done = [], 0
        for found in _SAID.finditer(text):
            if self.hides(found[1].lstrip("-")):
                out += [text[done : found.start(2)], GONE]
                done = found.end(2)
        plain = "".join([*out, text[done:]])
        return plain if len(plain) > BODY_IN_ROW else censored(plain)


def _plain(name: str) -> str:
    """A name, or a pattern of one, without what people write differently: `API-Key`, `api_key` and `apikey` are one."""
    return _PARTED.sub("", name[:256].lower())
