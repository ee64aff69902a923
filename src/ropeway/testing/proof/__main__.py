"""Runs the parts of the proof and prints what came of them; ends with 1 when anything was violated, or left out where that may not be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from . import __doc__ as about
from . import backlog, brings, clocks, cuts, damage, errnos, full, kills, nfs, poison, prove, receipts, replies, shared, steps, stops, syncs
from .report import Outcome, in_ci, measured, say, table

# part: (what runs it, amount in short, in full); what an amount counts is said by each `run`; 0 is all of them
PARTS: dict[str, tuple[Callable[[int], Outcome], int | None, int]] = {
    "steps": (steps.run, 80, 0),
    "brings": (brings.run, 40, 0),
    "receipts": (receipts.run, 12, 0),
    "errnos": (errnos.run, 80, 0),
    "syncs": (syncs.run, 0, 0),
    "replies": (replies.run, 25, 0),
    "shared": (shared.run, 4, 60),
    "nfs": (nfs.run, None, 6),
    "damage": (damage.run, 18, 54),
    "full": (full.run, 0, 0),
    "stops": (stops.run, 16, 200),
    "cuts": (cuts.run, 8, 1000),
    "clocks": (clocks.run, 100, 400),
    "kills": (kills.run, 20, 1000),
    "poison": (poison.run, 500, 20_000),
    "backlog": (backlog.run, None, 1_000_000),
    "planted": (prove.run, 0, 0),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ropeway.testing.proof", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="a few minutes; without the backlog")
    size.add_argument("--full", action="store_true", help="what a release must pass, about an hour (this is the default)")
    parser.add_argument("parts", nargs="*", metavar="part[=amount]", help=f"only these: {', '.join(PARTS)}")
    asked = parser.parse_args(arguments)
    chosen = dict(word.partition("=")[::2] for word in asked.parts)
    for name, amount in chosen.items():
        if name not in PARTS or not (amount == "" or amount.isdigit()):
            parser.error(f"{name}{'=' if amount else ''}{amount} is no part of the proof; there are {', '.join(PARTS)}")
    outcomes = []
    for name, (run, short, most) in PARTS.items():
        wanted = short if asked.short else most
        if chosen and name not in chosen:
            continue
        amount = int(chosen[name]) if chosen.get(name) else most if wanted is None and name in chosen else wanted
        if amount is None:
            continue
        say(f"{name} ...")
        outcomes.append(measured(name, run, amount))
        say(f"{name}: {outcomes[-1].amount or outcomes[-1].left_out}; {len(outcomes[-1].violations)} violations")
    print(table(outcomes))
    if any(one.left_out for one in outcomes):
        print(f"\nNOT EVERYTHING WAS RUN{' (in CI that is a failure)' if in_ci() else ''}")
    return 0 if all(one.good() for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
