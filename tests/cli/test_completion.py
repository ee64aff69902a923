"""Shell completion: the scripts, and what they are answered."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ropeway.cli.commands import ROOMS
from ropeway.cli.completion import SHELLS
from ropeway.job import Job
from ropeway.link import Link

from .conftest import ENTRY, Shell


def asked(environment: dict[str, str], spool: str, line: str) -> tuple[list[str], str]:
    """What bash is told to offer for this command line; and what was said besides."""
    words = line.split(" ")
    more = {"_ROPEWAY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "ROPEWAY_URL": spool}
    done = subprocess.run(ENTRY, capture_output=True, text=True, env=environment | more, timeout=60, check=False)
    return [answer.partition(",")[2] for answer in done.stdout.splitlines()], done.stderr


def test_commands_options_and_queues(environment: dict[str, str], spool: str) -> None:
    link = Link(spool, name="test")
    link.store.put([Job(link.new_id(), queue) for queue in ("mails", "maps", "other")])
    link.close()
    assert asked(environment, spool, "ropeway pu") == (["put", "purge"], "")
    assert asked(environment, spool, "ropeway put --li") == (["--lines"], "")
    assert asked(environment, spool, "ropeway put ma") == (["mails", "maps"], "")
    assert asked(environment, "memory:", f"ropeway -u {spool} put ma") == (["mails", "maps"], "")
    assert asked(environment, spool, "ropeway jobs --state de") == (["delayed", "dead"], "")
    assert asked(environment, spool, "ropeway completion f") == (["fish"], "")


def test_a_store_that_cannot_be_reached_says_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for url in (f"dir:{tmp_path}/file", "nonsense"):
        assert asked(environment, url, "ropeway put ma") == ([], "")


@pytest.mark.parametrize("name", SHELLS)
def test_the_script_of_each_shell(shell: Shell, name: str) -> None:
    script = shell.ok("completion", name).out
    assert "_ROPEWAY_COMPLETE" in script
    assert "ropeway" in script
    if path := shutil.which(name):
        assert subprocess.run([path, "-n"], input=script, text=True, capture_output=True, timeout=60, check=False).returncode == 0


def test_another_shell_is_usage(shell: Shell) -> None:
    answer = shell("completion", "cmd")
    assert answer.code == 2
    assert "bash" in answer.err


def test_bash_itself_completes(environment: dict[str, str], spool: str, tmp_path: Path) -> None:
    """The script in a real bash, with `ropeway` on the path."""
    bash = shutil.which("bash")
    assert bash
    (tmp_path / "ropeway").write_text(f'#!/bin/sh\nexec {ENTRY[0]} -m ropeway "$@"\n')
    (tmp_path / "ropeway").chmod(0o755)
    script = (
        'eval "$(ropeway completion bash)"\nCOMP_WORDS=(ropeway req)\nCOMP_CWORD=1\n_ropeway_completion ropeway\necho "${COMPREPLY[@]}"\n'
    )
    path = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, env=environment | {"PATH": path}, timeout=60, check=False)
    assert done.stdout.split() == ["requeue"], done.stderr
    assert "requeue" in ROOMS
