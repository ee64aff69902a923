"""What a part of the proof says at its end: how much was done, what was violated, how long it took."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

SHOWN = 12


class LeftOut(Exception):
    """What this part needs is not on this machine. At home it is left out, loudly; in CI that is a failure."""


class Outcome(Struct):
    """One line of the table. `amount` says what was done, in words; `violations` are sentences; `left_out` says why nothing was done."""

    part: str
    amount: str = ""
    violations: list[str] = []
    seconds: float = 0.0
    left_out: str = ""

    def good(self) -> bool:
        return not self.violations and not (self.left_out and in_ci())


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def need(*tools: str, root: bool = False) -> None:
    """Raise LeftOut when a tool is missing, or when root is needed and we are not."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise LeftOut(f"needs {', '.join(missing)}: install it")
    if root and os.geteuid() != 0:
        raise LeftOut("needs root, for mounts")


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def measured(part: str, run: Callable[[int], Outcome], amount: int) -> Outcome:
    """Run one part; a missing tool is told as left out, an error of the proof itself is a violation too."""
    began = time.monotonic()
    try:
        outcome = run(amount)
    except LeftOut as why:
        outcome = Outcome(part, left_out=str(why))
    outcome.part, outcome.seconds = part, time.monotonic() - began
    return outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """The table at the end, and the first violations of each part in words."""
    rows = [("part", "amount", "violations", "seconds")]
    for one in outcomes:
        amount = f"LEFT OUT: {one.left_out}" if one.left_out else one.amount
        rows.append((one.part, amount, "-" if one.left_out else str(len(one.violations)), f"{one.seconds:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in (*rows[:1], tuple("-" * w for w in widths), *rows[1:])
    ]
    for one in outcomes:
        if one.violations:
            lines += ["", f"{one.part}:", *(f"  {text}" for text in one.violations[:SHOWN])]
            if len(one.violations) > SHOWN:
                lines.append(f"  and {len(one.violations) - SHOWN} more")
    return "\n".join(lines)
