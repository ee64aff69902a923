"""Which URL is meant and why; what the file may say; and that a wrong word is named with its file and with what is possible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway import config
from ropeway.config import Config, current, find, load, table, where
from ropeway.errors import ConfigError
from ropeway.retry import Retry


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory three deep in a home without any configuration."""
    for name in ("ROPEWAY_URL", "ROPEWAY_CONFIG", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    deep = tmp_path / "project" / "src" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_order_of_who_says_where(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, why = where()
    assert url == f"dir:{home}/.local/state/ropeway/spool"
    assert "folder of your own" in why
    assert (home / ".local/state/ropeway").stat().st_mode & 0o777 == 0o700

    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert where()[0] == f"dir:{home}/state/ropeway/spool"

    write(home / ".config/ropeway/ropeway.toml", '[contexts.default]\nurl = "dir:/far"\n')
    assert where() == ("dir:/far", f"context default of {home}/.config/ropeway/ropeway.toml")

    write(home / "project/pyproject.toml", '[tool.ropeway.contexts.default]\nurl = "dir:/mid"\n')
    assert where()[0] == "dir:/mid"

    write(home / "project/ropeway.toml", '[contexts.default]\nurl = "dir:/near"\n')
    assert where()[0] == "dir:/near"

    write(home / "project/src/ropeway.toml", '[contexts.default]\nurl = "dir:/nearest"\n')
    assert where()[0] == "dir:/nearest"

    monkeypatch.setenv("ROPEWAY_CONFIG", str(write(home / "own.toml", '[contexts.default]\nurl = "dir:/own"\n')))
    assert where()[0] == "dir:/own"

    monkeypatch.setenv("ROPEWAY_URL", "memory:env")
    assert where() == ("memory:env", "$ROPEWAY_URL says so")
    assert where("memory:given") == ("memory:given", "it was given")


def test_contexts(home: Path) -> None:
    file = write(home / "ropeway.toml", 'context = "work"\n[contexts.home]\nurl = "memory:a"\n[contexts.work]\nurl = "memory:b"\n')
    assert where()[0] == "memory:b"
    file.write_text('context = "work"\n[contexts.home]\nurl = "memory:a"\n')
    with pytest.raises(ConfigError, match=r"no context .work.*home"):
        where()
    file.write_text('[contexts.home]\nurl = "memory:a"\n')
    with pytest.raises(ConfigError, match="no context 'default'"):
        where()
    file.write_text("[worker]\nconcurrency = 2\n")
    assert "names no context" in where()[1]


def test_a_folder_in_a_file_is_meant_from_the_file(home: Path) -> None:
    file = write(home / "ropeway.toml", "")
    for written, meant in (
        ("dir:spool", f"dir:{home}/spool"),
        ("dir:spool?durability=os", f"dir:{home}/spool?durability=os"),
        ("dir:~/jobs", f"dir:{home}/jobs"),
        ("dir:/abs", "dir:/abs"),
        ("postgresql://h/db", "postgresql://h/db"),
    ):
        file.write_text(f'[contexts.default]\nurl = "{written}"\n')
        assert where()[0] == meant


def test_a_file_of_somebody_else_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(home / "project/ropeway.toml", '[contexts.default]\nurl = "dir:/trap"\n')
    real = os.stat

    class Foreign:
        st_uid = os.getuid() + 1

    monkeypatch.setattr(config.os, "stat", lambda path, **k: Foreign if str(path) == str(file) else real(path, **k))
    url, why = where()
    assert "trap" not in url
    assert f"{file} belongs to another user" in why


def test_a_named_file_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_CONFIG", str(home / "missing.toml"))
    with pytest.raises(ConfigError, match=r"ROPEWAY_CONFIG names .*, which is no file"):
        where()


def test_a_pyproject_of_another_trade_is_no_configuration(home: Path) -> None:
    write(home / "project/pyproject.toml", '[project]\ndependencies = ["ropeway"]\n')
    assert find() == ("", "")
    write(home / "project/pyproject.toml", "this is [ not toml, ropeway")
    assert find() == ("", "")
    assert current() == Config()


def test_every_setting_is_taken(home: Path) -> None:
    file = write(
        home / "ropeway.toml",
        """
        context = "a"
        [contexts.a]
        url = "memory:"
        [queues.mails]
        retry = { attempts = 8, base = "2s", cap = 60, factor = 3, jitter = 0.5 }
        lease = "1m"
        keep = "1h"
        dead_keep = "7d"
        priority = 10
        [worker]
        concurrency = 8
        pool = "thread"
        lease = "45s"
        grace = 5
        max_jobs = 100
        """,
    )
    read = load(str(file))
    mails = read.queue("mails")
    assert repr(mails.retry) == repr(Retry(8, base=2, cap=60, factor=3, jitter=0.5))
    assert (mails.lease, mails.keep, mails.dead_keep, mails.priority) == (60, 3600, 7 * 86400, 10)
    assert read.worker.options() == {"concurrency": 8, "pool": "thread", "lease": "45s", "grace": 5.0, "max_jobs": 100}
    assert read.queue("other").keep == 0
    assert load(str(write(file, ""))).worker.options() == {}


@pytest.mark.parametrize(
    ("text", "named", "possible"),
    [
        ("contxt = 'a'", "contxt", "contexts"),
        ("[queues.mails]\nleese = '1m'", "[queues.mails]", "lease"),
        ("[queues.mails.retry]\ntries = 1", "[queues.mails.retry]", "attempts"),
        ("[contexts.a]\nurl = 'memory:'\nuser = 'bob'", "user", "url"),
        ("[worker]\nthreads = 4", "threads", "concurrency"),
    ],
)
def test_an_unknown_setting_is_named_with_its_file_and_what_there_is(home: Path, text: str, named: str, possible: str) -> None:
    file = write(home / "ropeway.toml", text)
    with pytest.raises(ConfigError) as caught:
        load(str(file))
    for word in (str(file), named, possible, "nothing was opened"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[queues.mails]\nlease = 'soon'",
        "[queues.mails]\npriority = 100",
        "[queues.mails]\nkeep = -1",
        "[queues.mails]\nkeep = true",
        "[queues.mails.retry]\nattempts = 0",
        "[queues.mails.retry]\njitter = 2",
        "[queues.'no/name']\nkeep = 1",
        "[worker]\ngrace = 'soon'",
        "[worker]\nconcurrency = 'many'",
        "[contexts.a]",
        "contexts = 5",
        "queues = ['mails']",
        "= what",
        "x = '" + "y" * (1 << 20) + "'",
    ],
)
def test_a_wrong_value_is_said_with_its_file(home: Path, text: str) -> None:
    file = write(home / "ropeway.toml", text)
    with pytest.raises(ConfigError, match=r"ropeway\.toml"):
        load(str(file))


def test_a_file_that_is_no_text(home: Path) -> None:
    (home / "ropeway.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not TOML"):
        where()


def test_the_table_has_a_meaning_for_every_setting() -> None:
    rows = table()
    names = [row.name for row in rows]
    assert len(names) == len(set(names)) >= 20
    assert {"contexts.<name>.url", "queues.<name>.retry.attempts", "queues.<name>.dead_keep", "worker.grace"} <= set(names)
    assert all(row.meaning and row.type for row in rows)
    assert next(row for row in rows if row.name == "worker.grace").default == "25s"


def test_a_parser_is_only_loaded_for_a_file(home: Path) -> None:
    code = "import sys; from ropeway.config import where; where(); print('tomllib' in sys.modules)"
    for expected in ("False", "True"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
        assert done.stdout.strip() == expected
        write(home / "ropeway.toml", "[contexts.default]\nurl = 'memory:'\n")
