"""./dev try, as typed, on small folders: it ends well, it refuses clearly, and the commands that it tells to type next work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import HOME


def ride(*args: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, str(HOME / "examples" / "ride.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment, check=False, cwd=temporary)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where the ride keeps its store."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_a_folder_with_all_that_may_stand_in_it(tmp_path: Path, place: Path) -> None:
    folder = tmp_path / "files"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(3000):
        (folder / "deep" / f"{number}.bin").write_bytes(os.urandom(number * 10))
    (folder / "with space\nand line").write_text("x")
    (folder / "link").symlink_to("deep/1.bin")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).write_text("no text")
    answer = ride(str(folder), temporary=place)
    said = answer.stdout
    assert answer.returncode == 0, said + answer.stderr
    assert "3,001 of 3,001 agree" in said
    for passed in ("1 links", "1 linked folders", "1 pipes", "1 names that are not UTF-8"):
        assert f"passed over: {passed}" in said
    killed = re.search(r"it held (\d+)", said)
    recovered = re.search(r"recovered +(\d+) jobs", said)
    assert killed and recovered and int(killed[1]) == int(recovered[1]) > 0, said
    _type_what_it_says(said, place)


def _type_what_it_says(said: str, place: Path) -> None:
    lines = [line.strip() for line in said.partition("Type, for example:")[2].splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith("export")]) == 3
    for line in lines[1:]:
        typed = subprocess.run(
            ["sh", "-e", "-c", f"{lines[0]}\n{line}"], capture_output=True, text=True, timeout=60, cwd=place, check=False
        )
        assert typed.returncode == 0, f"{line}: {typed.stdout}{typed.stderr}"
        assert typed.stdout.strip()


@pytest.mark.parametrize(("make", "expected"), [(None, "is no folder"), ("file", "is no folder"), ("empty", "no file to read")])
def test_what_is_no_folder_of_files_is_refused_in_one_sentence(make: str | None, expected: str, tmp_path: Path, place: Path) -> None:
    folder = tmp_path / "it"
    if make == "file":
        folder.write_text("x")
    elif make == "empty":
        (folder / "sub").mkdir(parents=True)
    answer = ride(str(folder), temporary=place)
    assert answer.returncode == 1
    assert expected in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
    assert list(place.iterdir()) == []


def test_two_folders_are_too_many(place: Path) -> None:
    answer = ride("a", "b", temporary=place)
    assert answer.returncode == 1
    assert "usage" in answer.stderr
