"""The public names are typed: a strict checker understands a user's program, and refuses what is wrong in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is a tool of development")

SAMPLE = Path(__file__).with_name("typed_sample.py")


def test_a_strict_checker_agrees(tmp_path: Path) -> None:
    """Each line marked `type: ignore` there must be an error, or mypy says that the mark is unused."""
    assert SAMPLE.read_text().count("# type: ignore[") >= 10
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(SAMPLE)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=SAMPLE.parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
