"""A missing service skips at home and fails in CI, and a process left behind fails the run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from .tree import HOME

TEST = """
import pytest

@pytest.mark.service("nats")
def test_with_it(service_url):
    assert service_url.startswith("nats://")
"""

LEAVER = """
import subprocess, sys

def test_leaves():
    waits = "print('up', flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
"""


def outcome(folder: Path, text: str, **env: str) -> str:
    """What pytest's last line says of that text, run as a test of this project with our conftest."""
    for name in ("conftest.py", "servers.py"):
        (folder / name).write_text((HOME / "tests" / name).read_text())
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    service: needs a running server\n")
    clean = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("ROPEWAY_TEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", str(folder)],
        capture_output=True, text=True, env={**clean, **env}, timeout=60, check=False, cwd=folder,
    )  # fmt: skip
    return run.stdout.strip().splitlines()[-1] + ("" if "left behind" not in run.stdout else " left behind")


def test_at_home_it_skips(tmp_path: Path) -> None:
    assert "1 skipped" in outcome(tmp_path, TEST)


def test_in_ci_it_fails(tmp_path: Path) -> None:
    assert "1 failed" in outcome(tmp_path, TEST, CI="true") or "1 error" in outcome(tmp_path, TEST, CI="true")


def test_with_the_service_it_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "1 passed" in outcome(tmp_path, TEST, CI="true", ROPEWAY_TEST_NATS=f"nats://127.0.0.1:{port}")


def test_a_dead_address_counts_as_missing(tmp_path: Path) -> None:
    assert "1 skipped" in outcome(tmp_path, TEST, ROPEWAY_TEST_NATS="nats://127.0.0.1:1")


def test_a_process_left_behind_fails_the_run(tmp_path: Path) -> None:
    said = outcome(tmp_path, LEAVER)
    assert "1 error" in said
    assert "left behind" in said
