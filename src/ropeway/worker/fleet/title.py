"""The title of this process, as `ps` and `top` show it: by setproctitle where that is installed, else as far as the kernel lets us."""

from __future__ import annotations

import re
import sys

_PR_SET_NAME = 15


def show(text: str) -> bool:
    """Show this as the title. Without setproctitle only the first 15 characters, as the thread's name (`ps -o comm`, `top`). False when
    neither can be done."""
    text = re.sub(r"[^ -~]", "?", text)
    try:
        import setproctitle
    except ImportError:
        return _name(text)
    setproctitle.setproctitle(text)
    return True


def _name(text: str) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_NAME, text.encode()[:15], 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
