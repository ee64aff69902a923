"""What open queues cost a process in descriptors, and its limit on them: a shell gives 1,024, and allows many times that."""

from __future__ import annotations

import errno

A_QUEUE = 24  # 6 for one that is put to, 16 with claims, keys and results, and some for each thread that uses them
OTHERS = 256  # of the program's own
SPENT = frozenset({errno.EMFILE, errno.ENFILE})
HINT = (
    "each queue that a process uses takes up to 16 of them, raise its limit (`ulimit -n`, LimitNOFILE=) or use fewer queues in one process"
)


def allow(queues: int) -> None:
    """Raise the limit of this process, as far as it may be raised, before so many open queues come near it. Only then: what lies above
    1,024 `select` cannot look at, but whoever needs as many would fail without."""
    need = OTHERS + A_QUEUE * queues
    if need <= 1024:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or need <= soft:
        return
    want = max(2 * soft, need)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want if hard == resource.RLIM_INFINITY else min(want, hard), hard))
    except (OSError, ValueError):
        pass  # then there is the error of the one too many, which says so
