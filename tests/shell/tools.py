"""nq, task-spooler and ropeway behind one face, so that one recipe is run with each of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from .conftest import Store, Yard, until


class Tool(Protocol):
    """What the recipes of their manuals do."""

    def put(self, *argv: str, queue: str = "", label: str = "", after: str = "", takes: int = 1) -> str: ...
    def wait(self, *ids: str) -> int: ...
    def wait_all(self) -> None: ...
    def over(self, job: str) -> bool: ...
    def code(self, job: str) -> int: ...  # killed and never run: 255
    def output(self, job: str) -> str: ...
    def kill(self, job: str) -> None: ...
    def remove(self, job: str) -> None: ...
    def urgent(self, job: str) -> None: ...
    def slots(self, number: int) -> None: ...
    def foreground(self, *argv: str) -> int: ...
    def again(self, job: str) -> None: ...
    def listing(self) -> str: ...


def needed(program: str) -> None:
    """Skip without that program, and fail in CI."""
    if shutil.which(program):
        return
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        pytest.skip(f"there is no {program} here; ./dev test installs it on Debian")
    pytest.fail(f"there is no {program}, which CI needs")


def _run(*argv: str, env: dict[str, str], check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done
    return done


class Nq:
    """The real nq."""

    def __init__(self, yard: Yard) -> None:
        needed("nq")
        self._yard = yard
        self._queues = {""}

    def _env(self, queue: str = "") -> dict[str, str]:
        self._queues.add(queue)
        return {"NQDIR": str(self._yard.folder / f"nq{queue}")}

    def put(self, *argv: str, queue: str = "", label: str = "", after: str = "", takes: int = 1) -> str:
        return f"{queue}/{_run('nq', *argv, env=self._env(queue)).stdout.strip()}"

    def _file(self, job: str) -> Path:
        queue, _, name = job.partition("/")
        return self._yard.folder / f"nq{queue}" / name

    def wait(self, *ids: str) -> int:
        for job in ids:
            queue, _, name = job.partition("/")
            _run("nq", "-w", name, env=self._env(queue))
        return self.code(ids[0])

    def wait_all(self) -> None:
        for queue in list(self._queues):
            if (self._yard.folder / f"nq{queue}").exists():
                _run("nq", "-w", env=self._env(queue))

    def over(self, job: str) -> bool:
        queue, _, name = job.partition("/")
        return _run("nq", "-t", name, env=self._env(queue), check=False).returncode == 0

    def code(self, job: str) -> int:
        text = self._file(job).read_text()
        found = re.search(r"^\[exited with status (\d+)\.\]$", text, re.MULTILINE)
        return int(found[1]) if found else 255 if "[killed by signal" in text else 0

    def output(self, job: str) -> str:
        lines = self._file(job).read_text().split("\n")[2:]
        return "\n".join(line for line in lines if not line.startswith("[exited")).strip()

    def kill(self, job: str) -> None:
        _run("kill", "--", f"-{job.rpartition('.')[2]}", env={})

    def remove(self, job: str) -> None:
        _run("kill", job.rpartition(".")[2], env={})

    def again(self, job: str) -> None:
        _run("sh", str(self._file(job)), env=self._env(), check=False)


class Tsp:
    """The real task-spooler."""

    def __init__(self, yard: Yard) -> None:
        needed("tsp")
        self._yard = yard
        self._queues = {""}

    def _env(self, queue: str = "") -> dict[str, str]:
        self._queues.add(queue)
        return {"TS_SOCKET": str(self._yard.folder / f"tsp{queue}"), "TMPDIR": str(self._yard.folder)}

    def _tsp(self, *args: str, queue: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        return _run("tsp", *args, env=self._env(queue), check=check)

    def put(self, *argv: str, queue: str = "", label: str = "", after: str = "", takes: int = 1) -> str:
        options = [*(["-L", label] if label else []), *(["-D", after] if after else []), *(["-N", str(takes)] if takes > 1 else [])]
        return self._tsp(*options, *argv, queue=queue).stdout.strip()

    def wait(self, *ids: str) -> int:
        return next((code for code in [self._tsp("-w", job, check=False).returncode for job in ids] if code), 0)

    def wait_all(self) -> None:
        for queue in list(self._queues):
            ids = [line.split()[0] for line in self._tsp("-l", queue=queue).stdout.splitlines()[1:]]
            for job in ids:
                self._tsp("-w", job, queue=queue, check=False)

    def over(self, job: str) -> bool:
        return self._tsp("-s", job).stdout.strip() in ("finished", "skipped")

    def code(self, job: str) -> int:
        return self.wait(job)

    def output(self, job: str) -> str:
        where = self._tsp("-o", job, check=False).stdout.strip()  # there is none before it begins
        return Path(where).read_text().strip() if where else ""

    def kill(self, job: str) -> None:
        self._tsp("-k", job)

    def remove(self, job: str) -> None:
        self._tsp("-r", job)

    def urgent(self, job: str) -> None:
        self._tsp("-u", job)

    def slots(self, number: int) -> None:
        self._tsp("-S", str(number))

    def foreground(self, *argv: str) -> int:
        return self._tsp("-f", *argv, check=False).returncode

    def listing(self) -> str:
        return self._tsp("-l").stdout

    def end(self) -> None:
        for queue in self._queues:
            self._tsp("-K", queue=queue, check=False)


class Ours:
    """ropeway on one store."""

    def __init__(self, store: Store, *, limited: bool = False) -> None:
        self._store = store
        self._own = os.environ.get("ROPEWAY_QUEUE", "default")
        self._queues = {self._own}
        self._limited = limited

    def put(self, *argv: str, queue: str = "", label: str = "", after: str = "", takes: int = 1, apart: bool = False) -> str:
        options = [*(["-L", label] if label else []), *(["--after", after] if after else []), *(["-Q", queue] if queue else [])]
        options += ["--apart"] if apart else []
        options += ["-N", str(takes)] if takes > 1 else []
        self._queues.add(queue or self._own)
        if self._limited and queue:
            self._store.shell.ok("limit", queue, "--running", "1")
        return self._store.run(*options, "--", *argv)

    def wait(self, *ids: str) -> int:
        return _as_tsp(self._store("wait", *ids).code)

    def wait_all(self) -> None:
        for queue in self._queues:
            self._store("wait", "-Q", queue)

    def over(self, job: str) -> bool:
        return self._store("wait", "--test", job).code == 0

    def code(self, job: str) -> int:
        return self.wait(job)

    def output(self, job: str) -> str:
        return self._store.shell.ok("log", job).out.strip()

    def errors(self, job: str) -> str:
        return self._store.shell.ok("log", job, "--stderr").out.strip()

    def kill(self, job: str) -> None:
        self._store.shell.ok("kill", job)

    def remove(self, job: str) -> None:
        self._store.shell.ok("kill", job)

    def urgent(self, job: str) -> None:
        self._store.shell.ok("move", job, "--top")

    def slots(self, number: int) -> None:
        self._store.shell.ok("limit", self._own, "--running", str(number))

    def foreground(self, *argv: str) -> int:
        return self._store("run", "-f", "--", *argv).code

    def again(self, job: str) -> None:
        self._store.shell.ok("requeue", job)
        until(lambda: self.over(job), "it was run again")

    def listing(self) -> str:
        return self._store.shell.ok("jobs", "-o", "table").out


def _as_tsp(code: int) -> int:
    """What tsp answers for what was killed or never run is 255."""
    return 255 if code > 128 or code == 10 else code
