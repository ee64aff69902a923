"""The measures, their rows, and the table of what came out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from ..report import table
from .servers import HOME, Served, bare, beanstalkd, ours

CONNECTIONS = 32
HELD = 1000
LUA = 'wrk.method = "POST"\nwrk.body = string.rep("x", 100)\nwrk.headers["Content-Type"] = "application/octet-stream"\n'

Told = dict[str, float]
Slice = Callable[[], Told]


def main(above: str, repeat: int, seconds: float = 3.0) -> int:
    """Measure, and print a table a measure."""
    folder = Path(tempfile.mkdtemp(prefix="ropeway-bench-http-", dir=above))
    try:
        with ExitStack() as stack:
            floor = stack.enter_context(bare())
            beans = stack.enter_context(beanstalkd(folder))
            known = [
                stack.enter_context(ours("memory", "memory:", folder)),
                stack.enter_context(ours("directory os", f"dir:{folder}/os?durability=os", folder)),
                stack.enter_context(ours("directory full", f"dir:{folder}/full?durability=full", folder)),
                stack.enter_context(ours("sqlite full", f"sqlite:{folder}/jobs.db?durability=full", folder)),
            ]
            print(f"{os.cpu_count()} cores; {CONNECTIONS} connections unless said; folders on {above}; {repeat} slices of {seconds:g} s")
            put_one(floor, beans, known, repeat, seconds, folder)
            put_many(floor, beans, known, repeat, seconds)
            drain(beans, known, repeat)
            sockets(known, repeat, seconds)
            waking(known, repeat)
            held(known)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def put_one(floor: Served, beans: Served | None, known: list[Served], repeat: int, seconds: float, folder: Path) -> None:
    rows: dict[str, Slice] = {floor.name: _load(floor, "put one", CONNECTIONS, seconds)}
    rows |= {one.name: _load(one, "put one", CONNECTIONS, seconds) for one in known}
    if beans:
        rows["beanstalkd"] = _load(beans, "beans put one", CONNECTIONS, seconds)
    _measure("POST one, by our own client", rows, repeat, [floor.name, *(["beanstalkd"] if beans else [])])
    wrk = shutil.which("wrk")
    if not wrk:
        print("\nwrk is not installed (Debian: apt-get install wrk): its measure is left out", flush=True)
        return
    script = folder / "post.lua"
    script.write_text(LUA)
    rows = {one.name: _wrk(wrk, one, script, seconds) for one in (floor, *known)}
    _measure("POST one, by wrk (target: half of the bare endpoint)", rows, repeat, [floor.name])


def put_many(floor: Served, beans: Served | None, known: list[Served], repeat: int, seconds: float) -> None:
    rows: dict[str, Slice] = {floor.name: _load(floor, "put 100", CONNECTIONS, seconds)}
    rows |= {one.name: _load(one, "put 100", CONNECTIONS, seconds) for one in known}
    if beans:
        rows["beanstalkd"] = _load(beans, "beans put 100", CONNECTIONS, seconds)
    _measure("POST bodies of 100 jobs: jobs a second", rows, repeat, [floor.name, *(["beanstalkd"] if beans else [])])


def drain(beans: Served | None, known: list[Served], repeat: int) -> None:
    """What the measures before have put, taken out again; each slice puts some more first, so that none runs dry."""
    rows: dict[str, Slice] = {one.name: _drained(one, "put 100", "claim and ack") for one in known}
    if beans:
        rows["beanstalkd"] = _drained(beans, "beans put 100", "beans claim and ack")
    _measure("claim and ack in batches of 100, 4 connections: jobs a second", rows, repeat, ["beanstalkd"] if beans else [])


def sockets(known: list[Served], repeat: int, seconds: float) -> None:
    rows = {one.name: _asked(one, kind="socket", connections=16, seconds=seconds) for one in known}
    _measure("WebSocket: put, claim, ack, one job after the other on each of 16 connections: jobs a second", rows, repeat, [])


def waking(known: list[Served], repeat: int) -> None:
    rows = {one.name: _asked(one, kind="wake", rounds=200) for one in known}
    _measure("a put wakes a waiting claim, all else idle", rows, max(1, repeat // 3), [])


def held(known: list[Served]) -> None:
    print(f"\n## {HELD:,} held requests\n")
    told = []
    for one in known[:2]:
        for what, path in (("claims", "/v1/queues/held/claims?wait=300"), ("streams of events", "/v1/events")):
            before = one.memory()
            given = {"kind": "hold", "port": one.port, "token": one.token, "path": path, "count": HELD}
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.http.client", json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=HOME,
            )
            assert process.stdout is not None
            opened = json.loads(process.stdout.readline())["open"]
            grown = one.memory() - before
            rate = _load(one, "put one", CONNECTIONS, 3.0)()
            process.communicate("")
            told.append(
                [one.name, what, f"{opened:,}", f"{grown / HELD / 1024:.0f} KiB", f"{rate['rate']:,.0f}", f"{rate['p99'] * 1e3:.1f} ms"]
            )
    print("\n".join(table(["store", "held", "open", "memory each", "POST one meanwhile", "p99"], told)), flush=True)


def _measure(title: str, rows: dict[str, Slice], repeat: int, beside: list[str]) -> None:
    taken: dict[str, list[Told]] = {name: [] for name in rows}
    for _ in range(repeat):
        for name, ask in rows.items():
            taken[name].append(ask())
    shown = []
    for name, slices in taken.items():
        row = [name, f"{median(one['rate'] for one in slices):,.0f}" if slices[0]["rate"] else ""]
        row += [f"{median(one[key] for one in slices) * 1e3:.2f}" if slices[0][key] else "" for key in ("p50", "p99")]
        for other in beside:
            row.append(f"{median(a['rate'] / b['rate'] for a, b in zip(slices, taken[other], strict=True)):.2f}" if name != other else "")
        shown.append(row)
    print(f"\n## {title}\n")
    print("\n".join(table(["", "a second", "p50 ms", "p99 ms", *(f"of {other}" for other in beside)], shown)), flush=True)


def _asked(one: Served, **given: object) -> Slice:
    def ask() -> Told:
        command = [sys.executable, "-m", "bench.http.client", json.dumps({**given, "port": one.port, "token": one.token})]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HOME)
        if done.returncode:
            raise RuntimeError(f"{one.name}: {done.stderr[-600:]}")
        told: Told = json.loads(done.stdout)
        return told

    return ask


def _load(one: Served, name: str, connections: int, seconds: float) -> Slice:
    return _asked(one, kind="load", name=name, connections=connections, seconds=seconds)


def _drained(one: Served, put: str, take: str) -> Slice:
    filled, drained = _load(one, put, 4, 1.0), _load(one, take, 4, 2.0)

    def ask() -> Told:
        filled()
        return drained()

    return ask


def _wrk(wrk: str, one: Served, script: Path, seconds: float) -> Slice:
    def ask() -> Told:
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(script)]
        command += ["-H", f"Authorization: Bearer {one.token}", f"http://127.0.0.1:{one.port}/v1/queues/bench/jobs"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said:
            raise RuntimeError(f"{one.name}: {said}")
        rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
        assert rate is not None, said
        return {"rate": float(rate[1]), "p50": _time(said, "50"), "p99": _time(said, "99")}

    return ask


def _time(said: str, share: str) -> float:
    found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)\b", said)
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]] if found else 0.0
