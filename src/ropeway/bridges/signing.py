"""Signatures by which a receiver knows who has sent: HMAC-SHA256 as the Standard Webhooks say it, with secrets that are never shown.

A secret is a line `whsec_` and base64 of 24 to 64 bytes. Several lines are several secrets, and each signs: so a receiver can go over from
the old one to the new one while messages come.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import stat
from collections.abc import Iterable, Mapping

from ..errors import ConfigError

log = logging.getLogger("ropeway.webhook")

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a secret
MOST = 10  # secrets at once
LARGEST = 16 * 1024  # bytes of the file
MAKE = 'make one: (umask 077; printf "whsec_%s\\n" "$(head -c 32 /dev/urandom | base64)" > FILE)'


class Secrets:
    """The secrets of one sender, out of a file or of a variable of the environment. A file is read again when it has changed, so they are
    exchanged without a restart; one that cannot be understood any more leaves them as they were. Raises ConfigError at the start."""

    def __init__(self, *, file: str = "", variable: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._file = file
        self._stamp = _stamp(file)
        self._keys = _of_file(file) if file else _of_variable(variable, environ)

    def sign(self, message_id: str, moment: int, body: Iterable[bytes]) -> str:
        """What stands in the header `webhook-signature`: one signature a secret, over id, moment (seconds since 1970) and body."""
        digests = [hmac.new(key, f"{message_id}.{moment}.".encode(), hashlib.sha256) for key in self._known()]
        for chunk in body:
            for digest in digests:
                digest.update(chunk)
        return " ".join("v1," + base64.b64encode(digest.digest()).decode() for digest in digests)

    def _known(self) -> list[bytes]:
        if self._file and (stamp := _stamp(self._file)) != self._stamp:
            self._stamp = stamp
            try:
                self._keys = _of_file(self._file)
            except ConfigError as error:
                log.warning("the secrets stay as they were: %s", error)
        return self._keys


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _of_file(path: str) -> list[bytes]:
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(
                    f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); nothing is signed. Type: chmod 600 {path}"
                )
            text = file.read(LARGEST)
    except UnicodeDecodeError:
        raise ConfigError(f"the secret file {path} holds no text; nothing is signed. In it stands a secret a line; {MAKE}") from None
    except OSError as error:
        raise ConfigError(f"the secret file {path} cannot be read: {error.strerror}; nothing is signed") from None
    return _keys(text, path)


def _of_variable(name: str, environ: Mapping[str, str]) -> list[bytes]:
    if not (text := environ.get(name, "")):
        raise ConfigError(f"there is no variable {ascii(name)[:80]} in the environment; nothing is signed. Set it, or take a file")
    return _keys(text, f"${name}")


def _keys(text: str, where: str) -> list[bytes]:
    """The secrets; what is wrong is told by its line and never by itself."""
    keys = []
    for number, line in enumerate(text.split(), 1):
        try:
            if not line.startswith(PREFIX):
                raise ValueError
            key = base64.b64decode(line[len(PREFIX) :], validate=True)
            if not SHORTEST <= len(key) <= LONGEST:
                raise ValueError
        except (ValueError, binascii.Error):
            what = f"secret {number} of {where} is none: it is {PREFIX} and the base64 of {SHORTEST} to {LONGEST} bytes"
            raise ConfigError(f"{what}; nothing is signed. To {MAKE}") from None
        keys.append(key)
    if not 0 < len(keys) <= MOST:
        raise ConfigError(f"{where} holds {len(keys)} secrets, and 1 to {MOST} can sign; nothing is signed. To {MAKE}")
    return keys
