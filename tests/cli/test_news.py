"""`notify`, `listen`, `group`, `call` and `reply`: what one process can show, and real ones that hear each other."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.link import Link
from ropeway.message import Message
from ropeway.testing.clock import FakeClock

from .conftest import Process, Shell
from .test_process import PATIENCE, until


def heard(shell: Shell, group: str, *more: str) -> list[dict[str, Any]]:
    return shell.ok("listen", "--group", group, "--drain", *more).rows


# notify, and groups that keep what was said


def test_a_message_from_the_shell_to_a_group(shell: Shell) -> None:
    row = shell.ok("group", "add", "mailer", "orders.*", "--keep", "1h").row
    assert row == {
        "name": "mailer",
        "patterns": ["orders.*"],
        "queue": "_group.mailer",
        "ready": 0,
        "delayed": 0,
        "running": 0,
        "dead": 0,
        "done": 0,
        "oldest": None,
        "keep": 3600.0,
        "source": "operator",
    }
    sent = shell.ok("notify", "orders.new", '{"id": 1}', "--type", "application/json", "-H", "a=b").row
    shell.ok("notify", "users.new", "not meant")
    assert shell.ok("group", "ls", "mailer").row["ready"] == 1
    (row,) = heard(shell, "mailer")
    assert {name: row[name] for name in ("id", "topic", "headers", "content_type", "body")} == {
        **sent,
        "headers": {"a": "b"},
        "content_type": "application/json",
        "body": '{"id": 1}',
    }
    assert shell.ok("group", "ls").row["done"] == 1
    assert shell.ok("group", "replay", "mailer", "--since", "1h").row == {"replayed": 1}
    assert [row["body"] for row in heard(shell, "mailer", "-n", "1")] == ['{"id": 1}']
    assert heard(shell, "mailer") == []


def test_lines_become_messages_in_order(shell: Shell) -> None:
    shell.ok("group", "add", "all", "#")
    rows = shell.ok("notify", "t", "--lines", stdin=b"one\n\ntwo\n\xff\n").rows
    assert shell.ok("notify", "t", "-", stdin=b"a\nb").row["topic"] == "t"
    assert shell.ok("notify", "t", "--jsonl", stdin=b'{"a": 1}\n[2]\n', terminal=True).err == "published 2 messages on t\n"
    found = heard(shell, "all")
    assert [row["id"] for row in found[:3]] == [row["id"] for row in rows]
    assert [row.get("body", row.get("body_base64")) for row in found] == ["one", "two", "/w==", "a\nb", '{"a": 1}', "[2]"]
    assert found[-1]["content_type"] == "application/json"
    answer = shell("notify", "t", "--jsonl", stdin=b"1\n2\n{\n4\n")
    assert answer.code == 1
    assert "line 3 is no JSON" in answer.err
    assert shell.ok("listen", "--group", "all", "--drain", "--raw").out == "1\n2\n"


def test_a_notify_with_an_id_may_be_repeated(shell: Shell) -> None:
    shell.ok("group", "add", "all", "#")
    own = "0190a1b2c3d47e5f8000000000000001"
    for _ in range(2):
        assert shell.ok("notify", "t", "x", "--id", own, "-o", "id").out == f"{own}\n"
    assert len(heard(shell, "all")) == 1


def test_a_group_is_made_by_who_listens_and_its_patterns_stand(shell: Shell) -> None:
    assert heard(shell, "g", "orders.#") == []
    shell.ok("notify", "orders", "x")
    assert len(heard(shell, "g")) == 1
    answer = shell("listen", "users", "--group", "g", "--drain")
    assert answer.code == 6
    assert "hears orders.#" in answer.err
    assert shell("listen", "--group", "h", "--drain").code == 3
    assert shell.ok("group", "edit", "g", "users", "--keep", "5m").row["patterns"] == ["users"]
    assert shell("group", "add", "g", "#").code == 6
    assert shell.ok("group", "add", "g", "#", "--replace").row["patterns"] == ["#"]
    assert shell.ok("group", "rm", "g", "g").row == {"deleted": 1}  # named twice, it is one
    assert shell("group", "rm", "g").code == 3


def test_what_is_retained(shell: Shell, clock: FakeClock) -> None:
    assert shell.ok("group", "retain", "orders.#", "1d").row == {"pattern": "orders.#", "keep": 86400.0}
    shell.ok("notify", "orders.new", "early")
    clock.advance(3600)
    shell.ok("notify", "orders.new", "late")
    assert shell.ok("group", "add", "all", "#", "--since", "2h").row["ready"] == 2
    assert shell.ok("listen", "orders.*", "--replay", "30m", "-t", "0", "--raw").out == "late\n"
    assert [row["body"] for row in shell.ok("listen", "orders.*", "--replay", "2h", "-n", "1").rows] == ["early"]
    table = shell.ok("group", "ls", terminal=True).out
    assert "all" in table
    assert "orders.#  1d" in table
    assert shell.ok("group", "release", "orders.#", "orders.#").row == {"released": 1}
    assert shell("group", "release", "orders.#").code == 3


def test_a_person_reads_topics_headers_and_bodies_and_no_control_bytes(shell: Shell) -> None:
    shell.ok("group", "retain", "#", "1h")
    shell.ok("notify", "t", "evil \x1b[2J\x07", "-H", "a=b")
    out = shell.ok("listen", "#", "--replay", "1h", "-n", "1", terminal=True).out
    assert out.startswith("t  a=b  evil ")
    assert "\x1b" not in out
    assert "\x07" not in out


def test_nothing_was_heard(shell: Shell) -> None:
    assert shell("listen", "t", "-t", "5m").code == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["notify", "t"], "give a body"),
        (["notify", "t", "x", "--lines"], "give a body"),
        (["notify", "a b", "x"], "no name"),
        (["notify", "t", "x", "-H", "ab"], "no header"),
        (["notify", "t", "--lines", "--id", "0190a1b2c3d47e5f8000000000000001"], "one id"),
        (["listen"], "listen to what"),
        (["listen", "a.#b"], "no topic pattern"),
        (["listen", "t", "-j", "2"], "durable group"),
        (["listen", "t", "--drain"], "durable group"),
        (["listen", "--group", "g", "--buffer", "5"], "only listens"),
        (["listen", "--group", "g", "-j", "5"], "for a command"),
        (["listen", "t", "--run-timeout", "5"], "for a command"),
        (["listen", "t", "--raw", "--", "true"], "stdin"),
        (["listen", "t", "--group", "g", "-t", "5", "--", "true"], "-n or --drain"),
        (["group", "add", "g"], "NAME and PATTERN"),
        (["group", "add", "../g", "#"], "no name"),
        (["group", "ls", "--keep", "5"], "means nothing"),
        (["group", "edit", "g"], "takes NAME"),
        (["group", "retain", "t"], "takes PATTERN"),
        (["group", "rm"], "which group"),
        (["call", "add", "{"], "no JSON"),
        (["call", "a b"], "no name"),
        (["reply", "add"], "with what"),
    ],
)
def test_what_cannot_be_meant(shell: Shell, words: list[str], says: str) -> None:
    answer = shell(*words)
    assert answer.code == 2
    assert says in answer.err
    assert "nothing was" in answer.err
    assert shell.store.queues() == []


# Real processes


def published_until(process: Process, broker: Broker, topic: str, lines: list[bytes], reader: subprocess.Popen[bytes]) -> None:
    """Publish until the reader has said something: then it listens."""
    import select

    def there() -> bool:
        broker.topic(topic).publish("there?")
        return bool(select.select([reader.stdout], [], [], 0.1)[0])

    until(there, "it listens")
    assert reader.stdout
    lines.append(reader.stdout.readline())


def test_listen_prints_what_comes_and_ends_when_told(process: Process, spool: str) -> None:
    with Broker(Link(spool), config=False) as broker:
        listener = process.start("listen", "orders.#")
        lines: list[bytes] = []
        published_until(process, broker, "orders", lines, listener)
        assert process("notify", "orders.new", "hello").code == 0
        assert listener.stdout
        while (row := json.loads(listener.stdout.readline()))["body"] == "there?":
            continue
        assert (row["topic"], row["body"]) == ("orders.new", "hello")
        listener.send_signal(signal.SIGTERM)
        assert listener.wait(PATIENCE) == 143
        assert broker.queues() == []


def test_a_command_for_each_message(process: Process, spool: str) -> None:
    with Broker(Link(spool), config=False) as broker:
        script = 'echo "$ROPEWAY_TOPIC $(cat) $ROPEWAY_HEADERS"; test "$ROPEWAY_TOPIC" != bad'
        listener = process.start("listen", "#", "-n", "6", "--", "sh", "-c", script)
        lines: list[bytes] = []
        published_until(process, broker, "good", lines, listener)
        for _ in range(6):
            broker.topic("bad").publish("x", headers={"a": "b"})
        out, err = listener.communicate(timeout=PATIENCE)
        assert listener.returncode == 1
        assert b'bad x {"a":"b"}\n' in out
        assert b"the command ended with 1" in err


def test_a_command_of_a_group_is_tried_again(process: Process, spool: str, tmp_path: Path) -> None:
    broker = Broker(Link(spool), config=False)
    broker.groups.add("g", "#")
    sent = [broker.topic("t").publish("first"), broker.topic("t").publish("bad")]
    script = f'read x; echo "$ROPEWAY_TOPIC $ROPEWAY_MESSAGE $x" >> {tmp_path}/out; test "$x" = first'
    answer = process("listen", "--group", "g", "--retries", "1", "-j", "2", "--drain", "--", "sh", "-c", script)
    assert answer.code == 10, answer
    assert sorted((tmp_path / "out").read_text().splitlines()) == sorted(f"t {m.id} {m.data}" for m in sent)
    counts = broker.groups.counts()["g"]
    assert (counts.ready, counts.dead) == (0, 1)
    broker.close()


def test_killed_in_the_middle_a_group_hears_it_again(process: Process, spool: str, tmp_path: Path) -> None:
    with Broker(Link(spool), config=False) as broker:
        broker.groups.add("g", "#")
        broker.topic("t").publish("once")
        script = f"echo up > {tmp_path}/up; while kill -0 $PPID; do sleep 0.05; done"  # it ends when its worker has
        listener = process.start("listen", "--group", "g", "--", "sh", "-c", script)
        until((tmp_path / "up").exists, "it runs")
        listener.kill()
        listener.wait()
        answer = process("listen", "--group", "g", "-n", "1", "-t", "20s", "--raw")
        assert (answer.code, answer.out) == (0, "once\n")


def test_listeners_and_python_share_a_group(process: Process, spool: str) -> None:
    with Broker(Link(spool), config=False) as broker:
        found: list[Message] = []
        broker.subscribe("#", group="g")(found.append)
        broker.groups.add("g", "#")
        assert process("notify", "t", "--lines", stdin=b"1\n2\n3\n").code == 0
        assert process("listen", "--group", "g", "-n", "1", "--raw").out == "1\n"
        broker.worker("default", drain=True).run()
        assert sorted(message.data for message in found) == ["2", "3"]


# call and reply


def test_call_runs_a_task_of_a_program(process: Process, spool: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import ropeway\nbroker = ropeway.connect()\n"
        "@broker.task(retry=1)\ndef add(a: int, b: int = 10) -> int:\n    return a + b\n"
        "@broker.task(retry=1)\ndef fail():\n    raise ValueError('no such number')\n"
    )
    worker = process.start("work", "--app", "shop:broker", "default")
    assert (answer := process("call", "add", "[1, 2]")).out == "3\n", answer
    assert process("call", "add", '{"a": 5}').out == "15\n"
    assert process("call", "add", "-", stdin=b"7").out == "17\n"
    answer = process("call", "fail")
    assert (answer.code, answer.out) == (1, "")
    assert "no such number" in answer.err
    assert process("call", "add", '["x"]').code == 1
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    answer = process("call", "add", "[1, 2]", "--timeout", "200ms")
    assert answer.code == 124
    assert "no answer from add" in answer.err


def test_a_shell_script_answers_calls(process: Process, spool: str) -> None:
    script = (
        'read x; case "$x" in *bad*) echo "will not do" >&2; exit 3;; *text*) echo plain text;; *none*) ;; *) echo "{\\"got\\": $x}";; esac'
    )
    server = process.start("reply", "echo", "-Q", "tools", "-j", "2", "--", "sh", "-c", script)
    assert process("call", "echo", '[1, "a"]', "-Q", "tools").out == '{"got":[1,"a"]}\n'
    assert process("call", "echo", '{"a": 1}', "-Q", "tools").out == '{"got":{"a":1}}\n'
    assert process("call", "echo", '"text"', "-Q", "tools").out == '"plain text"\n'
    assert process("call", "echo", '"text"', "-Q", "tools", "--raw").out == "plain text"
    assert process("call", "echo", '"none"', "-Q", "tools").out == "null\n"
    answer = process("call", "echo", '"bad"', "-Q", "tools")
    assert answer.code == 1
    assert "exit 3: will not do" in answer.err
    answer = process("call", "other", "-Q", "tools")
    assert answer.code == 1
    assert "only echo" in answer.err
    with Broker(Link(spool), config=False) as broker:
        assert broker.call("echo", [1], {"b": 2}, queue="tools", timeout=PATIENCE) == {"got": {"args": [1], "kwargs": {"b": 2}}}
    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE) == 0


def test_a_server_that_says_too_much_or_runs_too_long(process: Process) -> None:
    process.start("reply", "flood", "-Q", "flood", "--", "sh", "-c", "head -c 40000000 /dev/zero | tr '\\0' x")
    process.start("reply", "sleep", "-Q", "sleep", "--timeout", "300ms", "--", "sleep", "60")
    answer = process("call", "flood", "-Q", "flood")
    assert answer.code == 1
    assert "over 1048576 bytes" in answer.err
    answer = process("call", "sleep", "-Q", "sleep")
    assert answer.code in (1, 124)  # the task's own TimeoutError
    assert "timed out" in answer.err
