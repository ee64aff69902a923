"""Lines between clients, over real connections to a real process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import ropeway
from ropeway.message import Message

from .conftest import Client, Notifier


def test_a_line_reaches_all_others_in_order_and_not_its_sender(notifier: Notifier) -> None:
    one, two, three = (notifier.client() for _ in range(3))
    one.send(b"a\nb\r\n")
    assert two.lines(2) == [b"a\r\n", b"b\r\n"]
    two.send(b"c\n")
    assert one.line() == b"c\r\n"
    assert three.lines(3) == [b"a\r\n", b"b\r\n", b"c\r\n"]


def test_each_has_a_number_of_its_own(notifier: Notifier) -> None:
    greetings = [notifier.client(greeted=False).line() for _ in range(5)]
    assert greetings == [b"Connected.  (PID %d)\r\n" % number for number in range(1, 6)]


def test_a_line_in_pieces_is_one(notifier: Notifier) -> None:
    one, two, between = notifier.client(), notifier.client(), notifier.client()
    one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in (b"he", b"ll", b"o\r"):
        one.send(piece)
        between.send(b"-\n")  # so that they are segments of their own
        assert two.line() == b"-\r\n"
    one.send(b"\nwor")
    assert two.line() == b"hello\r\n"
    one.send(b"ld\n")
    assert two.line() == b"world\r\n"


@pytest.mark.parametrize("word", [b"quit\n", b"exit\r\n", b" quit \n", b"\x04", b"\x04\n"])
def test_words_that_end_it(notifier: Notifier, word: bytes) -> None:
    one, two = notifier.client(), notifier.client()
    one.send(b"last words\n" + word)
    assert two.line() == b"last words\r\n"
    rest = one.line()
    assert rest in (b"", b"Received EOF.  Closing connection...\r\n")
    assert bool(rest) is (b"\x04" in word)
    two.send(b"still here\n")
    assert one.line() == b""


def test_what_was_told_before_comes_before_the_end(notifier: Notifier) -> None:
    one, two = notifier.client(), notifier.client()
    two.send(b"".join(b"line %d\n" % number for number in range(1000)))
    assert one.line() == b"line 0\r\n"
    one.send(b"quit\n")
    rest = []
    while line := one.line():
        rest.append(line)
    assert rest == [b"line %d\r\n" % number for number in range(1, len(rest) + 1)]


@pytest.mark.parametrize("line", [b"next exit", b"quite", b"exit now", b"QUIT", b"a\x04b", b""])
def test_a_line_that_only_holds_them_is_passed_on(notifier: Notifier, line: bytes) -> None:
    one, two = notifier.client(), notifier.client()
    one.send(line + b"\n")
    assert two.line() == line.replace(b"\x04", b"?") + b"\r\n"
    two.send(b"back\n")
    assert one.line() == b"back\r\n"


def test_the_end_of_the_input_is_an_end_and_its_last_line_counts(notifier: Notifier) -> None:
    one, two = notifier.client(), notifier.client()
    one.send(b"without an end")
    one.socket.shutdown(socket.SHUT_WR)
    assert two.line() == b"without an end\r\n"
    assert one.line() == b""


def test_hostile_bytes(notifier: Notifier) -> None:
    one, two = notifier.client(), notifier.client()
    one.send(b"\x1b]0;title\x07\x00\xff\xfe\n" + b"x" * 200_000 + b"\nok\n")
    assert two.lines(2) == [b"?]0;title??\xff\xfe\r\n", b"ok\r\n"]
    assert one.line() == b"That line was too long, and was not passed on.\r\n"
    for _ in range(50):  # those who hang up in the middle
        rude = Client(notifier.port)
        rude.send(b"half a li")
        rude.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.close()
    one.send(b"alive\n")
    told = two.line()
    while told == b"half a li\r\n":
        told = two.line()
    assert told == b"alive\r\n"


def test_a_slow_reader_misses_and_is_told_how_many(notifier: Notifier) -> None:
    slow, quick, speaker = notifier.client(), notifier.client(), notifier.client()
    block = b"".join(b"%06d %s\n" % (number, b"x" * 1000) for number in range(1000))
    heard, rounds = 0, 24  # some 24 MB: more than sockets and buffer hold together
    for _ in range(rounds):
        speaker.send(block)
        heard += len(quick.lines(1000))
    assert heard == rounds * 1000
    got, missed = 0, None
    while missed is None:
        line = slow.line()
        if line.startswith(b"Missed "):
            missed = int(line.split()[1])
        else:
            got += 1
    assert missed > 0
    assert got + missed == rounds * 1000
    speaker.send(b"again\n")
    assert slow.line() == b"again\r\n"
    assert f"{missed} missed by slow readers" in notifier.end()


@pytest.mark.parametrize("notifier", [("--connections", "3")], indirect=True)
def test_more_than_there_is_room_for(notifier: Notifier) -> None:
    clients = [notifier.client() for _ in range(3)]
    assert notifier.client(greeted=False).line() == b"Full.  Try again later.\r\n"
    clients[0].send(b"quit\n")
    assert clients[0].line() == b""
    notifier.client()


def test_five_thousand(notifier: Notifier) -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 6000:
        pytest.skip(f"this machine allows {most} open files")
    clients = [notifier.client(greeted=False) for _ in range(5000)]
    for client in clients:
        assert client.line().startswith(b"Connected.")
    clients[0].send(b"hello, all\n")
    for client in clients[1:]:
        assert client.line() == b"hello, all\r\n"
    clients[-1].send(b"and back\n")
    assert clients[0].line() == b"and back\r\n"


def test_with_a_token(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    (tmp_path / "token").write_text(secret + "\n")
    notifier = Notifier("--token-file", str(tmp_path / "token"), "-v")
    try:
        known, stranger, silent = (notifier.client(greeted=False) for _ in range(3))
        assert [client.line() for client in (known, stranger, silent)] == [b"Token?\r\n"] * 3
        known.send(secret.encode() + b"\r\nfirst\n")
        assert known.line() == b"Connected.  (PID 1)\r\n"
        stranger.send(b"guess\nspam\n")
        assert stranger.line() == b"That is not the token.\r\n"
        assert stranger.line() == b""
        other = notifier.client(greeted=False)
        other.send(secret.encode() + b"\n")
        assert other.lines(2)[1].startswith(b"Connected.")
        other.send(b"hi\n")
        assert known.line() == b"hi\r\n"
        assert secret not in notifier.end()
    finally:
        notifier.close()


@pytest.mark.parametrize("args", [("-b", "0.0.0.0:0"), ("-b", "nonsense:port"), ("-b", "127.0.0.1:0", "--hear", "x")])
def test_what_is_refused(args: tuple[str, ...]) -> None:
    ended = subprocess.run([sys.executable, "-m", "ropeway", "notifier", *args], capture_output=True, timeout=30)
    assert ended.returncode in (1, 2, 4), ended
    assert b"nothing was started" in ended.stderr


def test_a_taken_port_is_told(notifier: Notifier) -> None:
    command = [sys.executable, "-m", "ropeway", "notifier", "-b", f"127.0.0.1:{notifier.port}"]
    ended = subprocess.run(command, capture_output=True, timeout=30)
    assert ended.returncode != 0
    assert b"cannot be opened: Address already in use" in ended.stderr


def test_in_the_file_system_for_its_owner_alone(tmp_path: Path) -> None:
    where = tmp_path / "lines"
    command = [sys.executable, "-m", "ropeway", "notifier", "-b", f"unix:{where}"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE) as process,
        socket.socket(socket.AF_UNIX) as one,
        socket.socket(socket.AF_UNIX) as two,
    ):
        assert process.stderr is not None
        assert f"unix:{where}" in process.stderr.readline().decode()
        assert where.stat().st_mode & 0o777 == 0o600
        for client in (one, two):
            client.settimeout(10)
            client.connect(str(where))
            assert client.recv(100).startswith(b"Connected.")
        one.sendall(b"hello\n")
        assert two.recv(100) == b"hello\r\n"
        process.terminate()


def test_nc_joins(notifier: Notifier) -> None:
    nc = shutil.which("nc") or shutil.which("ncat") or shutil.which("busybox")
    if nc is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no nc here: apt-get install netcat-openbsd")
    command = [nc, *(["nc"] if nc.endswith("busybox") else []), "127.0.0.1", str(notifier.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as joined:
        assert joined.stdin is not None
        assert joined.stdout is not None
        assert joined.stdout.readline().startswith(b"Connected.")
        other = notifier.client()
        joined.stdin.write(b"from nc\n")
        joined.stdin.flush()
        assert other.line() == b"from nc\r\n"
        other.send(b"to nc\n")
        assert joined.stdout.readline() == b"to nc\r\n"
        joined.stdin.write(b"quit\n")
        joined.stdin.close()  # some an nc stays until its own input ends
        assert joined.stdout.read() == b""


def test_joined_with_the_topics_of_a_store(tmp_path: Path) -> None:
    url = f"dir:{tmp_path}/spool"
    notifier = Notifier("--topic", "lines", "--hear", "orders.#", env={"ROPEWAY_URL": url})
    try:
        one, two = notifier.client(), notifier.client()
        with ropeway.connect(url) as broker, broker.listen("#") as news:
            one.send(b'plain\n@orders.created {"id": 1}\n@ no topic\n')
            assert two.lines(3) == [b"plain\r\n", b'@orders.created {"id": 1}\r\n', b"@ no topic\r\n"]
            heard: list[Message] = []
            while len(heard) < 3:
                message = news.get(20)
                assert message is not None
                heard.append(message)
            assert [(m.topic, m.body) for m in heard] == [("lines", b"plain"), ("orders.created", b'{"id": 1}'), ("lines", b"@ no topic")]
            broker.topic("lines").publish("from Python")
            broker.topic("orders.paid").publish({"id": 2})
            broker.topic("other").publish("not asked for")
            broker.topic("lines").publish("two\nlines \x1b[2J")
            expected = [b"from Python\r\n", b'@orders.paid {"id":2}\r\n', b"two\r\n", b"lines ?[2J\r\n"]
            assert one.lines(4) == expected  # and nothing of its own again
            assert two.lines(4) == expected
        notifier.end()
    finally:
        notifier.close()
