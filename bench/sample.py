"""One side of a comparison, in a process of its own. `python -m bench.sample SPEC` prepares, says "ready", then does a slice a line.

All sides of a measure are started together and then asked in turn, slice by slice of a tenth of a second: A B C A B C. So whatever else the
machine does hits all of them alike, and none warms or spoils another, as they would in one process.
"""

from __future__ import annotations

import gc
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random
from time import perf_counter, process_time
from typing import Any

from .systems import load
from .systems.serving import Starts
from .work import Item, item, items

Spec = dict[str, Any]
Slice = Callable[[], dict[str, Any]]
WARM_UP = 200
UNCOUNTED = 50  # calls before the first that counts
ENOUGH = 0.5  # seconds: a slice that has taken as long ends before all its jobs are done
PATIENCE = 60.0  # seconds, for another process to begin
STEPS = 10  # in how many parts it looks at the clock


def _timed(work: list[Item], do: Callable[[list[Item]], object], step: int) -> dict[str, Any]:
    """Jobs a second, and the microseconds of processor time that each took here (what a busy machine spoils less)."""
    gc.collect()
    cpu, began = process_time(), perf_counter()
    done, took = 0, 0.0
    while done < len(work) and took < ENOUGH:
        do(work[done : done + step])
        done, took = min(done + step, len(work)), perf_counter() - began
    return {"rate": done / took, "cpu": (process_time() - cpu) / done * 1e6}


def _made(spec: Spec) -> Any:
    return load(spec["engine"], spec["system"])(spec["place"], spec["durability"])


def put(spec: Spec) -> Slice:
    """Put `count`, one by one or `size` a call."""
    system = _made(spec)
    work, size = items(spec["count"]), spec.get("size", 1)
    system.put(items(min(WARM_UP, len(work))))
    step = max(1, len(work) // STEPS // size) * size
    return lambda: _timed(work, system.put if size == 1 else lambda some: system.bulk(some, size), step)


def aput(spec: Spec) -> Slice:
    """Put `count`, by `callers` async tasks."""
    system = _made(spec)
    work = items(spec["count"])
    system.put(items(WARM_UP))
    return lambda: _timed(work, lambda some: system.aput(some, spec["callers"]), len(work))


def drain(spec: Spec) -> Slice:
    """Take and settle `most`, up to `limit` a claim, while `count` wait; what was taken is put again before the next slice."""
    system = _made(spec)
    if hasattr(system, "serve"):
        return served(spec, system)
    filler = system if hasattr(system, "alone") else _made(spec)
    size, most, waiting = spec.get("size", 1), min(spec["count"], spec["most"]), 0
    step = most if hasattr(system, "span") else max(spec.get("limit", 1), most // STEPS)  # a worker is started once a slice

    def a_slice() -> dict[str, Any]:
        nonlocal waiting
        fill(filler, spec["count"] - waiting, size)
        gc.collect()
        cpu, done, took = process_time(), 0, 0.0
        while done < most and took < ENOUGH:
            some, span = system.drain(spec.get("limit", 1), step)
            if some < step:
                raise AssertionError(f"{spec['system']} gave {done + some} of {most}")
            done, took = done + some, took + span
        cpu = process_time() - cpu
        waiting = spec["count"] - done
        return {"rate": done / took, "cpu": cpu / done * 1e6}

    return a_slice


def served(spec: Spec, filler: Any) -> Slice:
    """A peer whose worker runs for ever: a process of it for each slice, which finds `most` jobs. From the first start to the last."""
    one = [sys.executable, "-m", "bench.sample", json.dumps(spec | {"act": "serve", "count": spec["most"]})]

    def a_slice() -> dict[str, Any]:
        fill(filler, spec["most"], spec.get("size", 1))
        worker = subprocess.run(one, input="go\n", stdout=subprocess.PIPE, text=True, timeout=spec.get("timeout", 120), check=True)
        answer: dict[str, Any] = json.loads(worker.stdout.splitlines()[-1])
        if answer.pop("extra"):
            raise AssertionError(f"{spec['system']} started jobs that were done before")
        return answer

    return a_slice


def serve(spec: Spec) -> Slice:
    """The peer's worker, in the main thread as it is used to; the process ends by itself after `count` starts."""
    system = _made(spec)

    def a_slice() -> dict[str, Any]:
        system.serve(Starts(spec["count"], latencies=bool(spec.get("latencies"))))
        raise AssertionError(f"the worker of {spec['system']} ended by itself")

    return a_slice


def fill(filler: Any, count: int, size: int) -> None:
    """What a drain will find; for the worker these are calls of its task."""
    for start in range(0, count, 10_000):
        work = items(min(10_000, count - start))
        if hasattr(filler, "fill"):
            filler.fill(work, size)
        elif size == 1:
            filler.put(work)
        else:
            filler.bulk(work, size)


def idle(spec: Spec) -> Slice:
    """Milliseconds from just before the put, here, to the start of the job in another process, with a pause of 20-50 ms before each put."""

    def a_slice() -> dict[str, Any]:
        teller = _made(spec)
        if hasattr(teller, "serve"):
            teller.put([item(0)])  # whose start tells that the worker is there
            more = {"act": "serve", "latencies": True}
        else:
            more = {"act": "starts"}
        one = [sys.executable, "-m", "bench.sample", json.dumps(spec | more)]
        waiter = subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert waiter.stdin is not None and waiter.stdout is not None
        try:
            _expect(waiter, "ready")
            waiter.stdin.write("go\n")
            waiter.stdin.flush()
            _expect(waiter, "waiting")
            random = Random(1)
            for _ in range(spec["count"]):
                time.sleep(random.uniform(0.02, 0.05))
                teller.tell(item(time.perf_counter_ns()))
            told, _ = waiter.communicate(timeout=60)
        finally:
            waiter.kill()
            waiter.wait()
            teller.close()
        answer: dict[str, Any] = json.loads(told.splitlines()[-1])
        return answer

    return a_slice


def starts(spec: Spec) -> Slice:
    """The waiting side of `idle`. The first few are not counted."""
    system = _made(spec)

    def a_slice() -> dict[str, Any]:
        latencies = system.starts(spec["count"])
        system.close()
        return {"ms": [one / 1e6 for one in latencies[5:]]}

    return a_slice


def call(spec: Spec) -> Slice:
    """Milliseconds from a call, made here, to its answer from another process; the next call at once."""

    def a_slice() -> dict[str, Any]:
        caller = _made(spec)
        one = [sys.executable, "-m", "bench.sample", json.dumps(spec | {"act": "answers"})]
        other = subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            _expect(other, "ready")
            assert other.stdin is not None
            other.stdin.write("go\n")
            other.stdin.flush()
            _expect(other, "waiting")
            ask, took = caller.ask, []
            for number in range(UNCOUNTED):
                ask(item(number))
            gc.collect()
            cpu = process_time()
            for number in range(spec["count"]):
                one_item, began = item(number), perf_counter()
                ask(one_item)
                took.append((perf_counter() - began) * 1e3)
            cpu = process_time() - cpu
        finally:
            other.kill()
            other.wait()
            caller.close()
        return {"ms": took, "cpu": cpu / spec["count"] * 1e6}

    return a_slice


def answers(spec: Spec) -> Slice:
    """The other side of `call`, until it is killed."""
    system = _made(spec)

    def a_slice() -> dict[str, Any]:
        system.answers()
        raise AssertionError("whoever answers ended by itself")

    return a_slice


def crowd(spec: Spec) -> Slice:
    """`workers` processes on one queue: all its jobs, from the first start anywhere to the last."""
    filler = _made(spec)
    one = [sys.executable, "-m", "bench.sample", json.dumps(spec | {"act": "join"})]

    def a_slice() -> dict[str, Any]:
        fill(filler, spec["count"], spec["size"])
        crew = [subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(spec["workers"])]
        try:
            for member in crew:
                _expect(member, "ready")
            for member in crew:
                assert member.stdin is not None
                member.stdin.write("go\n")
                member.stdin.flush()
            told = [json.loads(member.communicate(timeout=300)[0].splitlines()[-1]) for member in crew]
        finally:
            for member in crew:
                member.kill()
                member.wait()
        done = sum(one["done"] for one in told)
        if done != spec["count"]:
            raise AssertionError(f"{spec['workers']} workers did {done} of {spec['count']}")
        busy = [one for one in told if one["done"]]
        span = max(one["last"] for one in busy) - min(one["first"] for one in busy)
        return {"rate": done / span, "cpu": sum(one["cpu"] for one in told) / done * 1e6}

    return a_slice


def join(spec: Spec) -> Slice:
    """One worker of a crowd."""
    system = _made(spec)

    def a_slice() -> dict[str, Any]:
        cpu = process_time()
        done, _ = system.drain(0, None)
        cpu = process_time() - cpu
        first, last = system.span
        system.close()
        return {"done": done, "first": first, "last": last, "cpu": cpu}

    return a_slice


def _expect(process: subprocess.Popen[str], word: str) -> None:
    out = process.stdout
    assert out is not None
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        if not selector.select(PATIENCE) or out.readline().strip() != word:
            raise AssertionError(f"a process that should have been {word} was not")


ACTS: dict[str, Callable[[Spec], Slice]] = {
    "put": put,
    "aput": aput,
    "drain": drain,
    "idle": idle,
    "starts": starts,
    "serve": serve,
    "call": call,
    "answers": answers,
    "crowd": crowd,
    "join": join,
}


def main() -> None:
    spec: Spec = json.loads(sys.argv[1])
    a_slice = ACTS[spec["act"]](spec)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(a_slice()), flush=True)


if __name__ == "__main__":
    main()
