"""What the second processes of these tests run: `python -m tests.bells.program WHAT ARGS`, one line of output a happening."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

from ropeway.bells.bell import UdpBell
from ropeway.bells.choice import BellChoice, read_choice
from ropeway.bells.udp import UdpRinger, UdpSleeper

from .boards import FileBoard


def say(*words: object) -> None:
    print(*words, flush=True)


def choice(text: str) -> BellChoice:
    """`udp://...` or `on`, its secret behind a blank."""
    bell, _, secret = text.partition(" ")
    return read_choice({"bell": bell} | ({"bell_secret": secret} if secret else {}))


def sleep(host: str, port: str, seconds: str) -> None:
    """Say the address, and whether it was rung."""
    place = UdpSleeper(host, int(port), int(port) + 8 if int(port) else 0)
    say(place.address)
    say(place.wait(float(seconds)))


def ring(address: str, far: str = "") -> None:
    """Ring one address, `far` if it may be of another host; say how many were rung."""
    say(UdpRinger(far=bool(far)).ring([address], 1))


def work(board: str, bell: str, poll: str, toward: str = "") -> None:
    """Wait for one job, take it, say when."""
    store = FileBoard(Path(board))
    rung = UdpBell(store, choice(bell), toward=toward)
    say("up")
    while not store.claim("mails"):
        rung.wait(["mails"], 60.0, lambda: 0.0 if store.due("mails") else 1e9, float(poll))
    say(time.time())
    rung.claimed(["mails"], 1, more=False)
    rung.close()


def put(board: str, bell: str) -> None:
    """Put one job, ring, say when it was put and how many still wait."""
    store = FileBoard(Path(board))
    store.put("mails")
    say(time.time())
    UdpBell(store, choice(bell)).ring(["mails"], 1)
    say(len(store.waiting(["mails"], 100)))


def flood(host: str, port: str, rate: str, seconds: str, content: str) -> None:
    """Send so many datagrams a second, and say how many they were, and how many answers came."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.settimeout(0)
    begin, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begin) < float(seconds):
        while sent < passed * float(rate):
            out.sendto(bytes.fromhex(content), (host, int(port)))
            sent += 1
        time.sleep(0.001)
    try:
        answers = len(out.recv(1))
    except BlockingIOError:
        answers = 0
    say(sent, answers)


if __name__ == "__main__":
    {"sleep": sleep, "ring": ring, "work": work, "put": put, "flood": flood}[sys.argv[1]](*sys.argv[2:])
