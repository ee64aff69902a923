"""Every error number at every call: no false success, an error of ours or a definite refusal, and all well again once it is over.

The scenario goes on after an error, and puts again at its end what was refused. Then the books must balance as after any other run. A
sync that failed and a put that was answered all the same are found in the trace, whatever became of the job.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .report import Outcome, need
from .steps import Ground, in_parallel, points, scenario, verdict
from .trace import Call, calls_of, inject, record

ERRNOS = ("ENOSPC", "EIO", "EDQUOT", "EMFILE", "ESTALE", "EACCES")
# What a call cannot answer is not asked of it.
NEVER = {"fsync": {"EMFILE", "EACCES"}, "write": {"EMFILE", "EACCES"}, "unlinkat": {"ENOSPC", "EDQUOT", "EMFILE"}, "utimensat": {"EMFILE"}}


def cases(calls: Sequence[Call]) -> Iterator[tuple[Call, str, str]]:
    """(call, error, when): each once; and for a full disk also that call and all that follow."""
    for call in calls:
        if call.name == "writev" or "anon_inode" in call.text:  # the ledger writes by writev, and nobody else does
            continue
        for error in ERRNOS:
            if error not in NEVER.get(call.name, ()):
                yield call, error, str(call.number)


def one_error(above: Path, number: int, case: tuple[Call, str, str], bug: str = "") -> list[str]:
    """The scenario with this error, and what is wrong then."""
    call, error, when = case
    ground = Ground(above, f"error-{number}")
    try:
        ended = inject(scenario(ground, bug), ground.log, call.name, f"error={error}", when, also=f"{call.name},writev")
        where = f"{error} at {call.name} {call.number} ({call.text[:90]})"
        if ended.code:
            return [f"{where}: the process ended with {ended.code}: {ended.said[-500:]}"]
        wrong = [*_false_success(ground), *(t for t in verdict(ground) if not t.startswith("left over: line/key/"))]
        return [f"{where}: {text}" for text in wrong]
    finally:
        ground.clear()


def _false_success(ground: Ground) -> Iterator[str]:
    """A put that was answered with yes although one of its syncs had failed."""
    failed = ""
    for call in calls_of(ground.log):
        if call.name in ("fsync", "fdatasync") and call.error:
            failed = call.error
        elif call.name == "writev" and '\\"what\\":\\"' in call.text:
            what = call.text.split('\\"what\\":\\"')[1].partition("\\")[0]
            if what == "put.ok" and failed:
                yield f"a put was answered with yes after its sync had failed with {failed}"
            if what.startswith("put."):
                failed = ""


def sweep(above: Path, amount: int, bug: str = "", only: Sequence[str] = ERRNOS, names: Sequence[str] = ()) -> tuple[int, list[str]]:
    """At most `amount` cases (0: all), evenly spread; how many there were, and what was violated."""
    ground = Ground(above, "record")
    calls = [c for c in points(record(scenario(ground, bug), ground.log)) if not names or c.name in names]
    ground.clear()
    chosen = [case for case in cases(calls) if case[1] in only]
    step = max(1, len(chosen) // amount) if amount else 1
    if step > 1 and step % len(only) == 0:
        step += 1  # or the same error would be taken each time
    chosen = chosen[::step]
    return len(chosen), in_parallel([lambda n=n, c=c: one_error(above, n, c, bug) for n, c in enumerate(chosen)])  # type: ignore[misc]


def run(amount: int) -> Outcome:
    """`amount` is how many errors are planted, 0 for every one at every call."""
    need("strace")
    with tempfile.TemporaryDirectory(prefix="ropeway-errnos-") as folder:
        count, wrong = sweep(Path(folder), amount)
    return Outcome("errnos", f"{count} errors, one each", wrong)
