"""Asking a page for a view, as the command line does: by its URL, or by its socket."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

LARGEST = 64 << 20  # bytes of an answer


class Silent(Exception):
    """It does not answer."""


class Asked(Exception):
    """It answered that it does not show this."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Source:
    """A page: http(s)://HOST:PORT/TOKEN, or unix:PATH. Raises ValueError for what is no such address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._path = url[5:] if url.startswith("unix:") else ""
        parts = urlsplit("" if self._path else url)
        self._host, self._port, self._secure = parts.hostname or "", parts.port or 0, parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        if not self._path and (parts.scheme not in ("http", "https") or not self._host):
            raise ValueError("write http://HOST:PORT/TOKEN or unix:PATH")

    def view(self, what: str, seconds: float) -> dict[str, Any]:
        """That view. Raises Silent, or Asked when it says no."""
        connection = self._connection(seconds)
        try:
            connection.request("GET", f"{self._base}/{what}.json")
            response = connection.getresponse()
            data = response.read(LARGEST)
        except (OSError, http.client.HTTPException) as error:
            raise Silent(f"the page at {self._path or f'{self._host}:{self._port}'} does not answer: {error}") from None
        finally:
            connection.close()
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if response.status != 200 or not isinstance(value, dict):
            text = value.get("detail") if isinstance(value, dict) else None
            raise Asked(response.status, str(text or f"what is there is no introspection page (it answered {response.status})"))
        return value

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._path:
            made = http.client.HTTPConnection("localhost", timeout=seconds)
            made.sock = socket.socket(socket.AF_UNIX)
            made.sock.settimeout(seconds)
            try:
                made.sock.connect(self._path)
            except OSError as error:
                raise Silent(f"the page at {self._path} does not answer: {error.strerror or error}") from None
            return made
        if self._secure:
            return http.client.HTTPSConnection(self._host, self._port or 443, timeout=seconds, context=ssl.create_default_context())
        return http.client.HTTPConnection(self._host, self._port or 80, timeout=seconds)
