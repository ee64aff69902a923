"""Random kill -9 and stops, for long: the run of `ropeway.testing.kill`, as a part of the proof."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from .. import kill
from .report import Outcome

EACH = 200  # jobs for one kill
SEED = 11


def run(amount: int) -> Outcome:
    """`amount` is how many kills; two hundred jobs are put for each."""
    with TemporaryDirectory(prefix="ropeway-kills-") as folder:
        ledger = Path(folder) / "ledger"
        ledger.mkdir()
        plan = kill.Plan(f"dir:{folder}/spool", 20 if amount > 100 else 10, amount * EACH, amount, amount // 20, SEED)
        report = kill.run(plan, ledger)
        figures = report.verdict.figures
        wrong = [f"{one.kind}: {one.job_id} {one.text}" for one in report.verdict.violations] + report.faults
        if figures.get("kill", 0) < amount:
            wrong.append(f"only {figures.get('kill', 0)} of {amount} kills were done")
        done = f"{figures.get('kill', 0)} kills, {figures.get('stop', 0)} stops, {figures.get('put.ok', 0):,} answered puts"
    return Outcome("kills", f"{done}, {figures.get('redelivered', 0)} redelivered", wrong)
