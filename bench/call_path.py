"""Where the time of a call goes: a stamp at each hop between the caller's thread, the store, the worker's ferry and its slot.

    .venv/bin/python bench/call_path.py [URL] [CALLS] [--floor]

One caller asks back to back, one worker in another process answers; both stamp by the monotonic clock of the machine. Each row is a hop:
the median and the least time since the hop before, and the median since the call began. Then the processor time that a call costs on either
side, which other work on the machine changes least. The stamps themselves cost about a microsecond each.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

from ropeway.broker import Broker, connect

HOME = Path(__file__).resolve().parent.parent
QUEUE = "bench"
UNCOUNTED = 100
VERBS = ("put", "claim", "ack", "wait")

Stamp = tuple[int, str]


def stamped(stamps: list[Stamp], who: str, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with a stamp before and one after it."""
    before, after, now = f"{who}: {name} ...", f"{who}: ... {name}", time.monotonic_ns

    @wraps(verb)
    def doing(*args: Any, **kwargs: Any) -> Any:
        stamps.append((now(), before))
        try:
            return verb(*args, **kwargs)
        finally:
            stamps.append((now(), after))

    return doing


def watch(broker: Broker, who: str) -> list[Stamp]:
    """Stamp the verbs of its store."""
    stamps: list[Stamp] = []
    for name in VERBS:
        setattr(broker.store, name, stamped(stamps, who, name, getattr(broker.store, name)))
    return stamps


def answering(url: str) -> None:
    """The worker's side, until its standard input ends; then its stamps go to standard output."""
    broker = connect(url, config=False)
    stamps = watch(broker, "worker")

    @broker.task(queue=QUEUE)
    def answer(n: int) -> int:
        stamps.append((time.monotonic_ns(), "slot: the function"))
        return n

    worker = broker.worker(QUEUE)
    first: list[float] = []

    def until_told() -> None:
        for line in sys.stdin:
            if line == "cpu\n":
                first.append(time.process_time())
                print("counted", flush=True)
            else:
                break
        worker.stop()

    threading.Thread(target=until_told, daemon=True).start()
    print("waiting", flush=True)
    worker.run()
    print(json.dumps({"stamps": stamps, "cpu": time.process_time() - first[0], "switches": _switches()}), flush=True)
    broker.close()


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def main(url: str, calls: int) -> None:
    command = [sys.executable, __file__, url, "--answer"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOME) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        with connect(url, config=False) as broker:
            stamps = watch(broker, "caller")

            @broker.task(queue=QUEUE)
            def answer(n: int) -> int:
                return n

            ask = answer.options(timeout=30).call
            assert other.stdout.readline() == "waiting\n"
            for n in range(UNCOUNTED):
                ask(n)
            other.stdin.write("cpu\n")
            other.stdin.flush()
            assert other.stdout.readline() == "counted\n"
            stamps.clear()
            spans, cpu, switches = [], time.process_time(), _switches()
            for n in range(calls):
                began = time.monotonic_ns()
                ask(n)
                spans.append((began, time.monotonic_ns()))
            cpu, switches = time.process_time() - cpu, _switches() - switches
            other.stdin.write("end\n")
            other.stdin.flush()
            told = json.loads(other.stdout.readline())
    show(url, spans, sorted([*stamps, *((at, what) for at, what in told["stamps"])]), cpu / calls, told["cpu"] / calls, switches / calls)


def show(url: str, spans: list[tuple[int, int]], stamps: list[Stamp], ours: float, theirs: float, switches: float) -> None:
    """The hops, in the order of their medians."""
    since: dict[str, list[float]] = defaultdict(list)
    at = 0
    for began, ended in spans:
        while at < len(stamps) and stamps[at][0] < began:
            at += 1
        seen: dict[str, int] = defaultdict(int)
        while at < len(stamps) and stamps[at][0] <= ended:
            when, what = stamps[at]
            seen[what] += 1
            since[what if seen[what] == 1 else f"{what} ({seen[what]})"].append((when - began) / 1e3)
            at += 1
        since["caller: the answer is here"].append((ended - began) / 1e3)
    print(f"{len(spans)} calls on {url}, microseconds{'':14} since it began       least    in how many")
    before = 0.0
    for what, took in sorted(since.items(), key=lambda item: median(item[1])):
        if len(took) >= len(spans) / 2:
            print(f"{what:42} {median(took) - before:+9.0f} {median(took):9.0f} {min(took):9.0f} {len(took) / len(spans):9.0%}")
            before = median(took)
    whole = sorted((ended - began) / 1e6 for began, ended in spans)
    shares = ", ".join(f"{name} {whole[int(len(whole) * share)]:.2f}" for name, share in (("p10", 0.1), ("p50", 0.5), ("p99", 0.99)))
    print(
        f"whole: {shares} ms; processor: caller {ours * 1e6:.0f}, worker {theirs * 1e6:.0f} us a call; {switches:.1f} sleeps of the caller"
    )


if __name__ == "__main__":
    if "--answer" in sys.argv:
        answering(sys.argv[1])
    else:
        given = [word for word in sys.argv[1:] if not word.startswith("--")]
        with tempfile.TemporaryDirectory(prefix="ropeway-bench-") as folder:
            main(given[0] if given else f"dir:{folder}", int(given[1]) if len(given) > 1 else 1000)
