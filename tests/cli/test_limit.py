"""`limit`: the operator's verb for how many jobs run at once; shown by `ls`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Shell


def test_limits_are_set_one_by_one_and_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    shell.put("thumbs", "a")
    assert shell.ok("ls").row["limits"] == {"running": 0, "lane": 1}
    assert "LIMITS" not in shell.ok("ls", terminal=True).out
    assert shell.ok("limit", "thumbs", "--running", "10").row["limits"] == {"running": 10, "lane": 1}
    assert shell.ok("limit", "thumbs", "--lane", "2").row["limits"] == {"running": 10, "lane": 2}
    assert "running 10, lane 2" in shell.ok("ls", terminal=True).out
    assert shell.ok("limit", "thumbs").row["limits"] == {"running": 10, "lane": 2}
    assert shell.ok("limit", "thumbs", "--running", "0", "--lane", "1").row["limits"] == {"running": 0, "lane": 1}
    assert shell.ok("-q", "limit", "thumbs", "--running", "1").out == ""


def test_a_limit_holds_for_get(shell: Shell) -> None:
    shell.put("q", "1")
    shell.put("q", "2")
    shell.ok("limit", "q", "--running", "1")
    assert shell.ok("get", "q", "--lease", "60s").row["body"] == "1"
    assert shell("get", "q", "--lease", "60s").code == 3


def test_many_queues_and_what_is_wrong(shell: Shell) -> None:
    for queue in "ab":
        shell.put(queue, "x")
    assert [row["limits"]["running"] for row in shell.ok("limit", "*", "--running", "3").rows] == [3, 3]
    assert shell("limit", "nothing-*", "--running", "3").code == 3
    assert shell("limit").code == 2
    assert shell("limit", "a", "--running", "-1").code == 2
    assert shell("limit", "a", "--lane", "0").code == 2
    assert shell("limit", "a", "--config", "--lane", "2").code == 2


def test_the_configuration_can_be_brought_in(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[queues.a.limits]\nrunning = 4\n")
    monkeypatch.setenv("ROPEWAY_CONFIG", str(file))
    shell.put("a", "x")
    shell.put("b", "x")
    shell.ok("limit", "a", "--running", "9")
    assert shell.ok("limit", "a", "--config").row["limits"] == {"running": 4, "lane": 1}
    refused = shell("limit", "a", "b", "--config")
    assert refused.code == 2
    assert "no limits for b" in refused.err


def test_jobs_of_a_lane(shell: Shell) -> None:
    shell.ok("put", "q", "a", "--lane", "x")
    shell.ok("put", "q", "b", "--lane", "y")
    assert [row["body"] for row in shell.ok("jobs", "q", "--lane", "x").rows] == ["a"]
    assert shell.ok("jobs", "q", "--lane", "x").row["lane"] == "x"


def test_check_tells_where_the_configuration_is_not_what_holds(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[queues.a.limits]\nrunning = 4\n[queues.b.limits]\nrunning = 2\nlane = 3\n[queues.c.limits]\nrunning = 1\n")
    monkeypatch.setenv("ROPEWAY_CONFIG", str(file))
    shell.ok("limit", "b", "--running", "9")
    shell.ok("limit", "c", "--config")
    texts = [finding["text"] for finding in shell.ok("check").row["findings"]]
    assert "queue a has no limits yet: the next worker sets running 4, as configured" in texts
    assert "queue b: running 9 holds, the configuration says running 2, lane 3. To take that: ropeway limit b --config" in texts
    assert not [text for text in texts if "queue c" in text]
