"""What one run of the command line shares: where the jobs are, how to print, when to stop. Opens nothing until asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..clock import SYSTEM
from .output import Output, is_terminal, say
from .verdict import USAGE, Failure

if TYPE_CHECKING:
    from ..config import Config
    from ..link import Link
    from ..store import Store


class Session:
    """The global options, and what they lead to."""

    clock = SYSTEM

    def __init__(self) -> None:
        self.url = ""
        self.output = "auto"
        self.quiet = False
        self.verbose = 0
        self.yes = False
        self._link: Link | None = None
        self._out: Output | None = None
        self._config: Config | None = None

    @property
    def link(self) -> Link:
        """The connection, made when first asked for."""
        if self._link is None:
            from ..link import Link

            url, why = self.where()
            if self.verbose:
                from ..url import hidden

                say(f"ropeway: {hidden(url)} ({why})")
            self._link = Link(url, self.clock, name="cli")
            self._link.settings_of = lambda queue: self.config.queue(queue)
            self._link.configured = lambda: self.config.configured()
            self._link.limits = lambda: self.config.limits()
        return self._link

    @property
    def config(self) -> Config:
        """The configuration as it is found from here; an empty one when there is none."""
        if self._config is None:
            from ..config import current

            self._config = current()
        return self._config

    def where(self) -> tuple[str, str]:
        """The URL of the store, and why it is that one, as a person would say it."""
        if self.url:
            return self.url, "-u says so"
        import os

        if url := os.environ.get("ROPEWAY_URL"):  # looked at here as well, to spare `put` the import
            return url, "$ROPEWAY_URL says so"
        from ..config import where

        return where()

    @property
    def store(self) -> Store:
        return self.link.store

    @property
    def out(self) -> Output:
        if self._out is None:
            self._out = Output(self.output, quiet=self.quiet)
        return self._out

    def flush(self) -> None:
        """Send off what was printed; BrokenPipeError when nobody reads it."""
        if self._out is not None:
            self._out.stream.flush()
        sys.stdout.flush()

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    def abandon(self) -> None:
        """Leave the connection as it is, since closing it would wait for an answer that may never come; the process ends anyway."""
        self._link = None

    def note(self, text: str) -> None:
        """Something for a person, see Output.note."""
        self.out.note(text)

    def can_ask(self) -> bool:
        """Whether there is somebody to ask."""
        return is_terminal(sys.stdin) and is_terminal(sys.stderr)

    def ask(self, question: str) -> str:
        """One line from the person at the terminal, without its end; Failure when there is nobody."""
        if not self.can_ask():
            raise Failure(USAGE, f"{question.rstrip('? ')}? There is no terminal to ask on, so nothing was done: add -y to say yes")
        from .clean import clean
        from .reading import stdin

        sys.stderr.write(clean(question) + " ")
        sys.stderr.flush()
        return stdin().readline().decode("utf-8", "surrogateescape").strip()
