"""The command that `put ... -- CMD` runs: its output is the input, its exit code decides whether anything is put."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from typing import Any

from .verdict import Failure

_CHUNK = 1 << 16


class Producer:
    """A running command whose standard output is read. Leaving the `with` block by an error ends the command."""

    def __init__(self, argv: list[str]) -> None:
        import subprocess

        from .reading import awaited

        self._shown = shlex.join(argv)
        try:
            self._process = subprocess.Popen(argv, stdout=subprocess.PIPE)  # noqa: S603 - the user's own command
        except OSError as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            raise Failure(code, f"{self._shown} cannot be run: {error.strerror}; nothing was put") from None
        assert self._process.stdout is not None
        self.stdout = awaited(self._process.stdout)

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(2)
            except Exception:  # noqa: BLE001 - it does not listen
                self._process.kill()
        self.stdout.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()

    def must_have_succeeded(self) -> None:
        """Wait for its end; Failure with its exit code unless that is 0."""
        code = self._process.wait()
        if code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            raise Failure(128 - code if code < 0 else code, f"{self._shown} {how}; nothing was put")

    def body(self) -> Iterator[bytes]:
        """All that it prints, as a body that is only whole if it succeeds."""
        while chunk := self.stdout.read(_CHUNK):
            yield chunk
        self.must_have_succeeded()
