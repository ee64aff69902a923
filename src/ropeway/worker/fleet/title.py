"""The title of this process, as `ps` and `top` show it: by setproctitle where that is installed, else as far as the kernel lets us."""

from __future__ import annotations

import re


def show(text: str) -> bool:
    """Show this as the title. Without setproctitle only the first 15 characters, as the name (`ps -o comm`, `top`). False when
    neither can be done."""
    text = re.sub(r"[^ -~]", "?", text)
    try:
        import setproctitle
    except ImportError:
        return _name(text)
    setproctitle.setproctitle(text)
    return True


def _name(text: str) -> bool:
    try:
        with open("/proc/self/comm", "wb") as file:  # of the first thread, whichever this is, as prctl would not do
            file.write(text.encode()[:15])
    except OSError:
        return False
    return True
