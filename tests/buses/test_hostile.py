"""Garbage, floods, liars and notes that point elsewhere: whoever listens goes on hearing, and nobody is told what is not for him."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable

import msgspec
import pytest

from ropeway.buses import ear as ears
from ropeway.buses.frames import FRAME_LIMIT, Announcement, framed, pack
from ropeway.living import boot, identity
from ropeway.message import Message

from .conftest import Notebook, Two, message

Dial = Callable[[], socket.socket]
LEN = struct.Struct(">I").pack


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has closed it, once it has said what it says first."""
    try:
        while sock.recv(4096):
            continue
    except ConnectionError:
        return True
    return True


def still_hears(two: Two, book: Notebook, topic: str = "a.still") -> None:
    two.say(topic)
    book.until_topic(topic)


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 48, bytes(48), os.urandom(48), b"\xff" * 100_000],
    ids=["http", "zeros", "random", "many"],
)
def test_who_cannot_prove_himself_is_cut(two: Two, book: Notebook, dials: Dial, said: bytes) -> None:
    two.listener.listen(["a.*"], book)
    stranger = dials()
    try:
        stranger.sendall(said)
    except ConnectionError:
        pass
    assert is_closed(stranger)
    still_hears(two, book)
    assert book.gaps == []


def test_half_a_proof_and_a_good_bye(two: Two, book: Notebook, dials: Dial) -> None:
    two.listener.listen(["a.*"], book)
    for size in (0, 1, 47):
        stranger = dials()
        stranger.sendall(bytes(size))
        stranger.close()
    still_hears(two, book)
    assert book.gaps == []


def test_who_says_nothing_is_cut_in_time(two: Two, book: Notebook, dials: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "PATIENCE", 0.3)
    two.listener.listen(["a.*"], book)
    assert is_closed(dials())
    still_hears(two, book)


@pytest.mark.parametrize(
    "frame",
    [
        LEN(FRAME_LIMIT + 1),
        LEN(2**32 - 1) + b"x" * 100,
        LEN(3) + b"\xc1\xc1\xc1",
        LEN(1) + b"\x90",
        LEN(0),
        framed({}, [pack(["a.b", "no id", b"", "", {}, 0.0])], more=False),
        framed({}, [pack(["../b", "0" * 32, b"", "", {}, 0.0])], more=False),
        framed({}, [pack(["a.b", "0" * 32, b"", "", {"x\n": ""}, 0.0])], more=False),
        framed({}, [pack(["a.b", "0" * 32, "text", "", {}, 0.0])], more=False),
        framed({}, [pack(["a.b", "0" * 32, b"", "", {}, float("nan")])], more=False)[:-1] + b"\xc1",
        framed({"a.b": -5}, [], more=False),
        framed({"a.b": "many"}, [], more=False),  # type: ignore[dict-item]
        framed({}, [b"\xdd\xff\xff\xff\xff"], more=False),
    ],
    ids=lambda frame: frame[:12].hex(),
)
def test_frames_that_are_none_end_the_line(two: Two, book: Notebook, frame: bytes) -> None:
    """By somebody who has the secret: another release, or one who means harm."""
    two.listener.listen(["a.*"], book)
    line = two.proved()
    line.sendall(frame)
    assert is_closed(line)
    line.close()
    still_hears(two, book)
    assert book.topics() == ["a.still"]
    assert all(missed == -1 for _, missed in book.gaps)


def test_a_frame_that_comes_byte_by_byte(two: Two, book: Notebook) -> None:
    two.listener.listen(["a.*"], book)
    line = two.proved()
    sent = [message("a.b", os.urandom(100)) for _ in range(3)]
    for byte in framed({}, [pack(one) for one in sent], more=False):
        line.send(bytes([byte]))
    book.until(lambda book: len(book.heard) == 3)
    line.close()
    assert book.heard == sent
    still_hears(two, book)
    assert book.gaps == []


@pytest.mark.parametrize(
    "said", [framed({}, [pack(message("a.b"))], more=False)[:-3], framed({}, [pack(message("a.b"))], more=True)], ids=["half", "more"]
)
def test_a_publisher_that_dies_in_the_middle(two: Two, book: Notebook, said: bytes) -> None:
    """Some were on their way and nobody knows how many."""
    two.listener.listen(["a.*"], book)
    line = two.proved()
    line.sendall(said)
    line.close()
    book.until(lambda book: book.gaps)
    assert [missed for _, missed in book.gaps] == [-1]
    still_hears(two, book)


def test_what_is_missed_is_told_to_whom_it_concerns(two: Two, book: Notebook) -> None:
    other, all_of_it = Notebook(), Notebook()
    two.listener.listen(["a.*"], book)
    two.listener.listen(["b.*"], other)
    two.listener.listen(["#"], all_of_it)
    line = two.proved()
    line.sendall(framed({"a.x": 3, "a.y": 4, "b.x": 5}, [pack(message("a.end")), pack(message("b.end"))], more=False))
    book.until_topic("a.end")
    other.until_topic("b.end")
    all_of_it.until_topic("b.end")
    line.close()
    assert (book.gaps, other.gaps, all_of_it.gaps) == ([(0, 7)], [(0, 5)], [(0, 12)])


def test_a_thousand_connections(two: Two, book: Notebook, dials: Dial) -> None:
    two.listener.listen(["a.*"], book)
    before = len(os.listdir("/proc/self/fd"))
    strangers = []
    for number in range(1000):
        try:
            strangers.append(dials())
        except (OSError, TimeoutError):
            continue
        if number % 100 == 50:
            still_hears(two, book, f"a.{number}")
    still_hears(two, book)
    assert len(strangers) > 500
    assert len(os.listdir("/proc/self/fd")) - before - len(strangers) <= ears.STRANGERS + 10, "more strangers are kept than allowed"
    assert book.gaps == []


BROKEN = {
    "empty": b"",
    "no code": b"\xc1",
    "random": os.urandom(100),
    "short": pack([1, 2]),
    "a short secret": pack(["x", b"short", ["#"]]),
    "no pattern": pack(["x", bytes(32), []]),
    "a long address": pack(["x" * 1000, bytes(32), ["#"]]),
    "a bad pattern": pack(["x", bytes(32), ["a b"]]),
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_broken_notes_are_passed_over(two: Two, book: Notebook, value: bytes) -> None:
    two.listener.listen(["a.*"], book)
    two.notes.note("listen/broken", value, 60.0)
    still_hears(two, book)


@pytest.mark.parametrize("address", ["192.0.2.1:9", "10.0.0.1:80@{host}", "169.254.169.254:80", "localhost:{port}", "127.0.0.1:{port}",
                                     "127.0.0.1:{port}@elsewhere", "[::1]:{port}", "0.0.0.0:{port}", "unix:../../../tmp/x@{boot}",
                                     "unix:{zeros}@{boot}/../x", "http://127.0.0.1:{port}/", "127.0.0.1:{port}\n", "{port}"])  # fmt: skip
def test_a_note_that_points_elsewhere_leads_nowhere(two: Two, book: Notebook, address: str) -> None:
    """Who may write to the store makes nobody connect to what is no listener of this host."""
    two.listener.listen(["a.*"], book)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        text = address.format(port=trap.getsockname()[1], host=os.uname().nodename, boot=boot(), zeros="0" * 32)
        two.notes.note("listen/trap", pack(Announcement(text, bytes(32), ["#"], identity())), 60.0)
        still_hears(two, book)
        still_hears(two, book, "a.again")
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_stranger_on_a_port_of_ours_learns_nothing(two: Two, book: Notebook) -> None:
    """The listener has died and the port is somebody else's: he is told no message, and not the secret."""
    if two.kind != "tcp":
        pytest.skip("a socket in the store's folder is nobody else's")
    two.listener.listen(["a.*"], book)
    secret = b"s" * 32
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(10)
        mark = two.announced().address.partition("@")[2]
        address = f"127.0.0.1:{stranger.getsockname()[1]}@{mark}"
        two.notes.note("listen/reused", pack(Announcement(address, secret, ["#"], identity())), 60.0)
        two.publisher.publish([message("a.secret", b"the body")])
        line, _ = stranger.accept()
        line.settimeout(10)
        line.sendall(os.urandom(16) + os.urandom(32))
        said = b""
        try:
            while data := line.recv(4096):
                said += data
        except ConnectionError:
            pass
        line.close()
    assert len(said) == 48
    assert b"body" not in said
    assert secret not in said
    book.until_topic("a.secret")


def test_the_note_of_one_who_died_is_forgotten(two: Two, book: Notebook) -> None:
    other = two.bus()
    other.listen(["a.*"], Notebook())
    ear = other._ear
    assert ear is not None
    ear.close()  # as a process dies: its socket is gone and its note stands
    assert len(two.notes.notes("listen/")) == 1
    two.listener.listen(["a.*"], book)
    end = time.monotonic() + 60
    while len(two.notes.notes("listen/")) > 1:
        assert time.monotonic() < end
        two.say("a.knock")
        time.sleep(0.05)
    still_hears(two, book)


def test_a_line_that_the_listener_cut_is_told(two: Two, book: Notebook) -> None:
    """It may have held something: some are missing, and then it goes on."""
    two.listener.listen(["a.*"], book)
    still_hears(two, book, "a.first")
    ear = two.listener._ear
    assert ear is not None
    for peer in list(ear._peers.values()):
        peer.sock.shutdown(socket.SHUT_RDWR)
    end = time.monotonic() + 60
    while not book.gaps:
        assert time.monotonic() < end
        two.say("a.knock")
        time.sleep(0.02)
    assert [missed for _, missed in book.gaps] == [-1]
    still_hears(two, book)


def test_the_note_is_said_again_before_it_is_forgotten(two: Two, book: Notebook) -> None:
    two.listener.listen(["a.*"], book)
    (key,) = two.notes.notes("listen/")
    two.notes.forget(key)
    two.listener._renew = 0.0  # the time has come
    assert two.listener._tick() > 1.0
    assert list(two.notes.notes("listen/")) == [key]
    still_hears(two, book)


def test_the_secret_is_never_shown(two: Two, book: Notebook) -> None:
    two.listener.listen(["a.*"], book)
    secret = two.announced().secret
    assert repr(secret)[2:-1] not in f"{two.listener!r} {two.listener.__dict__['_ear']!r}"


def test_a_message_is_read_as_it_was_packed() -> None:
    """The format on the wire: what releases to come must still read."""
    old = bytes.fromhex(
        "96a161d9203031323334353637383961626364656630313233343536373839616263646566c40178aa746578742f706c61696e80cb4029000000000000"
    )
    read = msgspec.msgpack.decode(old, type=Message)
    assert read == Message("a", "0123456789abcdef" * 2, b"x", "text/plain", {}, 12.5)
    assert pack(read) == old
    assert msgspec.msgpack.decode(pack(["a", "0" * 32]), type=Message) == Message("a", "0" * 32)
