"""A process on another host: listens, or publishes, over TCP, with the notes of a folder that both hosts see.

python -m tests.buses.program FOLDER listen COUNT       prints "up", then the body of each message, and ends
python -m tests.buses.program FOLDER publish BODY...    prints how long the publishing took, in seconds
"""

from __future__ import annotations

import queue
import sys
import time

from ropeway.bells.choice import read_choice
from ropeway.buses.places import Port
from ropeway.buses.stream import StreamBus
from ropeway.clock import SYSTEM
from ropeway.stores import open_store

from .conftest import message


def main(folder: str, act: str, *words: str) -> None:
    store = open_store(f"dir:{folder}")
    bus = StreamBus("test:", store.notes, Port(read_choice({"bell": "udp://0.0.0.0:4711"}), ""), SYSTEM)
    if act == "listen":
        heard: queue.Queue[bytes] = queue.Queue()
        bus.listen(["a.*"], lambda messages, _: [heard.put(one.body) for one in messages] and None)
        print("up", flush=True)
        for _ in range(int(words[0])):
            print(heard.get(timeout=60).decode(), flush=True)
    else:
        began = time.monotonic()
        for word in words:
            bus.publish([message("a.x", word.encode())])
        print(time.monotonic() - began, flush=True)
    bus.close()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
