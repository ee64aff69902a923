"""A line of syslog as data: RFC 5424, RFC 3164, or whatever a device sends instead. Nothing is refused: what cannot be read is text."""

from __future__ import annotations

import re
from typing import Any

FACILITIES = (
    *(
        "kern",
        "user",
        "mail",
        "daemon",
        "auth",
        "syslog",
        "lpr",
        "news",
        "uucp",
        "cron",
        "authpriv",
        "ftp",
        "ntp",
        "audit",
        "alert",
        "clock",
    ),
    *(f"local{number}" for number in range(8)),
)
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
UNSAID = 13  # user.notice: what a line without a priority is (RFC 3164, 4.3.3)

_PRIORITY = re.compile(r"<(\d{1,3})>")
_NEW = re.compile(r"1 (\S{1,64}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) (?=-|\[)", re.ASCII)
_OLD = re.compile(  # or with a whole time, as rsyslog forwards them
    r"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) "
    r"(?:([A-Za-z0-9._:-]{1,255}) )?(?:([^\s:\[\]]{1,64})(?:\[([^\]]{1,32})\])?: ?)?",
    re.ASCII,
)
_ELEMENT = re.compile(r"\[([^\s=\]\"]{1,128})((?: [^\s=\]\"]{1,128}=\"(?:[^\"\\\]]|\\.)*\")*)\]", re.DOTALL)
_PARAMETER = re.compile(r" ([^\s=\]\"]{1,128})=\"((?:[^\"\\\]]|\\.)*)\"", re.DOTALL)


def read(line: bytes) -> dict[str, Any]:
    """What the line says: facility, severity, time, host, app, pid, id, data and message, as far as it says them; never fails."""
    text = line.decode("utf-8", "replace").rstrip("\r\n\0")
    found = _PRIORITY.match(text)
    number = int(found[1]) if found and int(found[1]) < 8 * len(FACILITIES) else UNSAID
    rest = text[found.end() :] if found else text
    told: dict[str, Any] = {"facility": FACILITIES[number >> 3], "severity": SEVERITIES[number & 7]}
    if new := _NEW.match(rest):
        told |= _said(zip(("time", "host", "app", "pid", "id"), new.groups(), strict=True))
        data, rest = _structured(rest[new.end() :])
        if data:
            told["data"] = data
    elif old := _OLD.match(rest):
        told |= _said(zip(("time", "host", "app", "pid"), old.groups(), strict=True))
        rest = rest[old.end() :]
    return {**told, "message": rest.removeprefix("\ufeff")}


def _said(pairs: Any) -> dict[str, str]:
    return {name: value for name, value in pairs if value and value != "-"}


def _structured(rest: str) -> tuple[dict[str, dict[str, str]], str]:
    """The structured data (RFC 5424, 6.3), and the message behind it."""
    data: dict[str, dict[str, str]] = {}
    if rest.startswith("-"):
        return data, rest[1:].removeprefix(" ")
    while element := _ELEMENT.match(rest):
        parameters = _PARAMETER.findall(element[2])
        data[element[1]] = {name: re.sub(r"\\([\"\\\]])", r"\1", value) for name, value in parameters}
        rest = rest[element.end() :]
    return data, rest.removeprefix(" ")


class Frames:
    """A TCP stream cut into lines: behind a count of bytes, or up to a line's end (RFC 6587, 3.4), each as the sender likes."""

    LONGEST = 64 * 1024

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole. One that is too long comes in pieces."""
        self._rest += data
        lines = []
        while self._rest:
            counted = re.match(rb"([1-9]\d{0,4}) (?=<)", self._rest)
            if counted and int(counted[1]) <= self.LONGEST:
                begin, end = counted.end(), counted.end() + int(counted[1])
                if len(self._rest) < end:
                    break
                lines.append(self._rest[begin:end])
                self._rest = self._rest[end:]
                continue
            end = self._rest.find(b"\n")
            if end < 0:
                if len(self._rest) <= self.LONGEST:
                    break
                end = self.LONGEST
            lines.append(self._rest[:end])
            self._rest = self._rest[end:].removeprefix(b"\n")
        return [line for line in lines if line.strip(b"\r\n\0 ")]

    def end(self) -> list[bytes]:
        """What has come without an end, when nothing more can come."""
        rest, self._rest = self._rest, b""
        return [rest] if rest.strip(b"\r\n\0 ") else []
