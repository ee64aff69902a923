"""./dev: its help is read from its own comments and knows every command; mistakes are answered in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .tree import HOME


def dev(*args: str, home: Path = HOME, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(home / "dev"), *args], capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with the script and pyproject.toml in it, and no environment."""
    shutil.copy(HOME / "dev", tmp_path / "dev")
    shutil.copy(HOME / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def branches() -> set[str]:
    """The commands that the script really has: the labels of its last case."""
    text = (HOME / "dev").read_text().rpartition("case $command in")[2]
    labels = re.findall(r"^    ([a-z][a-z| -]*)\)$", text, re.MULTILINE)
    return {label.split(" | ")[0] for label in labels} - {"help"}


def test_help_lists_every_command_and_no_other() -> None:
    shown = dev()
    listed = set(re.findall(r"^    ([a-z]+)\b", shown.stdout, re.MULTILINE))
    assert shown.returncode == 0
    assert listed == branches()
    assert {"try", "test", "check", "bench", "docs", "serve", "proof"} <= listed


def test_an_unknown_command_is_a_usage_error_and_makes_nothing(bare: Path) -> None:
    answer = dev("tset", home=bare)
    assert answer.returncode == 2
    assert "no command 'tset'" in answer.stderr
    assert not (bare / ".venv").exists()


def test_an_old_python_is_refused_in_one_sentence(bare: Path) -> None:
    old = bare / "python3"
    old.write_text("#!/bin/sh\ncase $* in *version_info*) exit 1;; esac\necho Python 3.9.2\n")
    old.chmod(0o755)
    answer = dev("check", home=bare, PYTHON=str(old))
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "Python 3.11 or newer" in answer.stderr


def test_without_any_python_it_says_what_is_missing(bare: Path) -> None:
    tools = bare / "bin"
    tools.mkdir()
    for name in ("dirname", "cksum", "cat", "mkdir", "sed"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    sh = shutil.which("sh")
    assert sh
    answer = subprocess.run(
        [sh, str(bare / "dev"), "check"], capture_output=True, text=True, timeout=60, env={"PATH": str(tools)}, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr.strip().splitlines()[-1].startswith("./dev: ropeway needs Python 3.11 or newer and this machine has none")


def test_the_scripts_parse() -> None:
    for shell, script in (("sh", "dev"), ("bash", ".ci/run")):
        assert subprocess.run([shell, "-n", str(HOME / script)], check=False).returncode == 0
    assert os.access(HOME / "dev", os.X_OK)
    assert (HOME / "dev").read_text().startswith("#!/bin/sh\n")


def test_ci_runs_the_same_two_commands_as_people_do() -> None:
    text = (HOME / ".ci" / "run").read_text()
    assert re.search(r"^\./dev check\b", text, re.MULTILINE)
    assert re.search(r"^\./dev test\b", text, re.MULTILINE)
    assert "CI=true" in text
