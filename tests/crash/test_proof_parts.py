"""The proof in its shortest form: each part, small, as the command that people run; and the planted bugs that are cheap to find."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway.testing.proof.report import in_ci
from ropeway.testing.proof.steps import Ground, scenario
from ropeway.testing.proof.trace import record

HUNG = 500  # seconds: only what hangs takes as long, on a busy machine too
pytestmark = [pytest.mark.slow, pytest.mark.timeout(HUNG + 20)]
# part: amount. Together well under ninety seconds.
SMALL = {
    "steps": 24,
    "receipts": 4,
    "errnos": 16,
    "syncs": 0,
    "replies": 8,
    "shared": 1,
    "damage": 12,
    "full": 0,
    "stops": 8,
    "cuts": 3,
    "clocks": 30,
    "poison": 200,
}
CHEAP = {
    "answer-before-sync": "syncs",
    "no-folder-sync": "syncs",
    "no-fence": "stops",
    "rescue-without-look": "stops",
    "any-order": "order",
    "keys-in-memory": "order",
    "drop-damaged": "damage",
    "gone-is-not-mine": "replies",
}


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it with all that it starts in a session of their own, of which nothing is left when it hangs."""
    command = [sys.executable, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=HUNG)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def proof(*words: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "ropeway.testing.proof", *words)


@pytest.mark.parametrize("part", SMALL)
def test_nothing_is_lost_doubled_or_torn(part: str) -> None:
    """A part that cannot be run here skips at home and fails in CI."""
    done = proof(f"{part}={SMALL[part]}")
    if "LEFT OUT" in done.stdout and not in_ci():
        pytest.skip(done.stdout.splitlines()[2])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"\n{part} " in done.stdout


@pytest.mark.skipif(shutil.which("strace") is None and not in_ci(), reason="needs strace")
def test_faults_are_aimed_at_the_store_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls were once counted from the start of the interpreter: on a machine that had compiled nothing yet, an error that was meant for
    the store hit the import of a module."""
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "nothing-compiled"))
    ground = Ground(tmp_path, "record")
    calls = record(scenario(ground), ground.log)
    assert (calls[0].name, "begin" in calls[0].text) == ("writev", True)
    assert [call.text for call in calls if ".py" in call.text or "nothing-compiled" in call.text] == []
    evidence = [call for call in calls if "/ledger/" in call.text]
    assert evidence
    assert {call.name for call in evidence} == {"writev", "close"}


@pytest.mark.parametrize("bug", CHEAP)
def test_a_planted_bug_is_found(bug: str) -> None:
    """The others are planted by `python -m ropeway.testing.proof planted`."""
    text = f"from ropeway.testing.proof.prove import find; print(len(find({bug!r}, {CHEAP[bug]!r})))"
    done = python("-c", text)
    if "LeftOut" in done.stderr and not in_ci():
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_every_bug_of_the_list_has_a_part_that_must_find_it() -> None:
    from ropeway.testing.proof.planted import BUGS
    from ropeway.testing.proof.prove import FINDERS

    assert {part for _, part in BUGS.values()} <= FINDERS.keys()
    assert {bug: part for bug, (_, part) in BUGS.items() if bug in CHEAP} == CHEAP
    assert len(BUGS) >= 14


def test_a_word_that_is_no_part_is_refused() -> None:
    done = proof("stepz")
    assert done.returncode == 2
    assert "stepz is no part of the proof" in done.stderr
