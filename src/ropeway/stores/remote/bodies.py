"""Bodies that are kept beside their jobs, fetched from the server when they are asked for."""

from __future__ import annotations

import os
import tempfile
from urllib.parse import quote

from .wire import Wire
from .words import PATH

CHUNK = 1 << 18


class RemoteBlob:
    """The body of one job on the server. `path` saves it into a temporary file, once."""

    def __init__(self, wire: Wire, queue: str, job_id: str, size: int) -> None:
        self.size = size
        self._wire = wire
        self._where = f"{PATH}body?queue={quote(queue)}&id={job_id}"
        self._file = ""

    def read(self) -> bytes:
        return self._wire.read(self._wire.open("GET", self._where))

    def path(self) -> str:
        if not self._file:
            response = self._wire.open("GET", self._where)
            handle, name = tempfile.mkstemp(prefix="ropeway-", suffix=".body")
            with open(handle, "wb") as file:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
            self._wire.read(response)
            self._file = name
        return self._file

    def __del__(self) -> None:
        if self._file:
            try:
                os.unlink(self._file)
            except OSError:
                pass
