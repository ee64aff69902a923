"""Bytes from a client, cut into lines: however the network has split or joined them, ended by LF or CRLF, and harmless."""

from __future__ import annotations

import re

LONGEST = 64 * 1024  # bytes of a line; the rest of a longer one is passed over

_HARMLESS = bytes(b if (b >= 0x20 and b != 0x7F) or b == 0x09 else 0x3F for b in range(256))  # what steers a terminal becomes "?"

_C1 = re.compile(rb"\xc2[\x80-\x9f]")  # the same commands in UTF-8: no terminal that reads UTF-8 heeds the bare bytes


class Splitter:
    """Feed it what comes, and take the lines that are whole."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._part = b""
        self._skipping = False
        self.dropped = 0  # lines that were too long, since this was asked last

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in this, without their ends."""
        *ended, rest = data.split(b"\n")
        lines = []
        for piece in ended:
            line, self._part = (self._part + piece).removesuffix(b"\r"), b""
            if self._skipping or len(line) > self._longest:
                self.dropped += not self._skipping
                self._skipping = False
            else:
                lines.append(line)
        if not self._skipping:
            self._part += rest
            if len(self._part) > self._longest + 1:
                self._part, self._skipping = b"", True
                self.dropped += 1
        return lines

    def rest(self) -> bytes:
        """What has come without an end: whoever says it is gone, so it is a line."""
        part, self._part = self._part, b""
        return part

    @property
    def waiting(self) -> bytes:
        """The same, for looking."""
        return self._part


def harmless(line: bytes) -> bytes:
    """The line as it may go to anybody's terminal."""
    return _C1.sub(b"?", line.translate(_HARMLESS))
