"""The terminal: taken for a whole screen, drawn line by line where something changed, and always given back as it was."""

from __future__ import annotations

import io
import os
import signal
import termios
import tty
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ..cli.clean import clean

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[0m\x1b[2J"  # the other screen; no cursor; no wrapping at the edge
_HELD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP}
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"


class Screen:
    """Between `enter` and `leave` the terminal shows what is drawn; after `leave` it is as it was."""

    def __init__(self, keyboard: int, display: int) -> None:
        self._keyboard = keyboard
        self._display = display
        self._before: list[int | list[bytes | int]] | None = None
        self._shown: list[str] = []
        self._size = (0, 0)
        self._console = Console(
            file=io.StringIO(), force_terminal=True, width=1000, highlight=False, markup=False, emoji=False, legacy_windows=False
        )

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            found = os.get_terminal_size(self._display)
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def enter(self) -> None:
        """Take the terminal: keys come one by one and unseen, signals as ever."""
        if self._before is None:
            self._before = termios.tcgetattr(self._keyboard)
        tty.setcbreak(self._keyboard, termios.TCSADRAIN)
        self._write(_ENTER)
        self.forget()

    def leave(self) -> None:
        """Give it back. May be called twice."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)  # a second Ctrl-C must not leave it half given back
        try:
            before, self._before = self._before, None
            if before is not None:
                self._write(_LEAVE)
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, before)
        except (OSError, termios.error):
            pass  # the terminal is gone
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def forget(self) -> None:
        """What stands on the screen is not known: all of it is drawn next."""
        self._shown = []

    def draw(self, lines: Sequence[Text]) -> int:
        """Show these lines; how many of them were written, since they differ from what stands there."""
        size = self.size()
        out = []
        if size != self._size or not self._shown:
            self._size, self._shown = size, []
            out.append("\x1b[0m\x1b[2J")
        made = [self._made(line, size[0]) for line in lines[: size[1]]]
        for number, line in enumerate(made):
            if number >= len(self._shown) or self._shown[number] != line:
                out.append(f"\x1b[{number + 1};1H{line}")
        self._shown = made
        if out:
            self._write("".join(out))
        return len(out)

    def _made(self, line: Text, width: int) -> str:
        """The line as the terminal takes it, filled up to the edge so that nothing of an older one is left."""
        line = line.copy() if line.plain.isprintable() else Text(clean(line.plain))  # a second guard, should one that draws forget
        line.truncate(width, pad=True)
        with self._console.capture() as got:
            self._console.print(line, end="", no_wrap=True, overflow="ignore", crop=False)
        return got.get() + "\x1b[0m"

    def _write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "replace"))
        while data:
            try:
                data = data[os.write(self._display, data) :]
            except BlockingIOError:
                continue
            except OSError:
                return  # the terminal is gone: whoever reads keys hears of that
