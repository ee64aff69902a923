"""What this process takes of the machine: memory and processor time, from /proc where there is one."""

from __future__ import annotations

import os
import time

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def memory() -> int:
    """Bytes of memory that this process holds (resident); where that cannot be asked, the most it ever held."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        import resource
        import sys

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def cpu() -> float:
    """Seconds of processor time of this process, all threads."""
    return time.process_time()


def priority() -> int:
    """The nice value of this process: low goes first, 0 is usual."""
    return os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0
