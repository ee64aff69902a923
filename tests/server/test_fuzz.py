"""The API against its own description: schemathesis asks whatever /openapi.json allows, and what it forbids. No server error, no status,
content type or shape that is not described, no method that is not listed, and nothing without a token.

A short run of the same questions each time. More, and new ones: ROPEWAY_FUZZ_EXAMPLES=500 ./dev test tests/server/test_fuzz.py

schemathesis lives in an environment of its own, in the user's cache: its plugin for pytest would meddle with every other test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from .conftest import Start

NEEDS = "schemathesis>=4.3,<5"
EXAMPLES = os.environ.get("ROPEWAY_FUZZ_EXAMPLES", "")


def _fuzzer() -> Path:
    """The command, made now if it is not there. Without a network the test is skipped at home, and fails in CI."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ropeway-tests"
    mark = sha256(f"{NEEDS} {sys.executable} {sys.version}".encode()).hexdigest()[:12]
    folder = cache / f"schemathesis-{mark}"
    if not (folder / "ready").exists():
        cache.mkdir(parents=True, exist_ok=True)
        python = folder / "bin" / "python"
        if uv := shutil.which("uv"):
            steps = [[uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(folder)]]
            steps += [[uv, "pip", "install", "-q", "--python", str(python), NEEDS]]
        else:
            steps = [[sys.executable, "-m", "venv", str(folder)]]
            steps += [[str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", NEEDS]]
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                why = f"schemathesis cannot be installed: {done.stderr.strip()[-300:]}"
                if os.environ.get("CI", "") in ("", "0", "false"):
                    pytest.skip(why)
                pytest.fail(why)
        (folder / "ready").touch()
    return folder / "bin" / "schemathesis"


@pytest.mark.timeout(3600 if EXAMPLES else 400)
def test_the_api_keeps_to_its_description(starter: Start, tmp_path: Path) -> None:
    fuzzer = _fuzzer()
    server = starter()
    for number in range(5):  # something to be found
        server.ask("POST", "/v1/queues/default/jobs", b'{"n": %d}' % number, Content_Type="application/json")
    command = [str(fuzzer), "run", f"{server.where}/openapi.json", "-H", f"Authorization: Bearer {server.token}", "-w", "2"]
    # What ends in /events has no end; a call that nobody answers is 504, as described. What a shape cannot say is no breach: a list of ids
    # that is empty.
    command += ["--exclude-path-regex", "/events$", "--exclude-path", "/v1/call/{task}", "--exclude-checks", "positive_data_acceptance"]
    command += ["--phases", "coverage,fuzzing", "--continue-on-failure", "--no-shrink", "--request-timeout", "20"]
    command += ["-n", EXAMPLES or "6", *([] if EXAMPLES else ["--seed", "1"])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    assert "Tested:" in done.stdout
    assert server.ask("GET", "/healthz").status == 200
    server.stop()
    assert not [line for line in server.said if "Traceback" in line or "failed" in line], server.said[-5:]
