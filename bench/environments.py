"""The peers' environments: one virtual environment a peer, since their clients' versions exclude one another.

They are made at the first run that needs them, in the user's cache folder, and made anew when what they need changes here. Only the
registry of Python packages is asked.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

# peer: what pip installs, with what the peer's own pages recommend for speed; the first is the peer itself
PEERS: dict[str, tuple[str, ...]] = {
    "arq": ("arq>=0.26", "redis[hiredis]>=4.2"),
    "celery": ("celery[redis]>=5.4", "hiredis>=2"),
    "dirq": ("dirq>=1.8",),
    "dramatiq": ("dramatiq[redis]>=1.17", "hiredis>=2"),
    "huey": ("huey>=3.5", "redis>=4", "hiredis>=2", "psycopg[binary]>=3.2", "peewee>=3.17", "pymysql>=1.1"),
    "kombu": ("kombu>=5.4", "sqlalchemy>=2", "pymysql>=1.1"),
    "litequeue": ("litequeue>=0.9",),
    "persist-queue": ("persist-queue>=1.0", "pymysql>=1.1", "dbutils>=3"),
    "pgqueuer": ("pgqueuer>=0.20", "asyncpg>=0.29", "uvloop>=0.19"),
    "procrastinate": ("procrastinate>=3", "psycopg[binary,pool]>=3.2"),
    "rq": ("rq>=2", "redis>=5", "hiredis>=2"),
    "saq": ("saq[postgres,redis]>=0.22", "psycopg[binary,pool]>=3.2", "hiredis>=2", "uvloop>=0.19"),
    "taskiq": ("taskiq>=0.11", "taskiq-redis>=1", "hiredis>=2", "uvloop>=0.19", "orjson>=3"),
}
# what beside the peer itself is worth naming with its version
CLIENTS = ("taskiq-redis", "redis", "hiredis", "psycopg", "asyncpg", "pymysql", "peewee", "sqlalchemy")


class NotMade(Exception):
    """An environment that could not be made."""


def cache() -> Path:
    """Where they are: the user's cache folder."""
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(above).expanduser() / "ropeway-bench"


def interpreter(peer: str) -> str:
    """The Python that has this peer; made now if it is not there. Raises NotMade, with the installer's last words."""
    needs = PEERS[peer]
    mark = sha256(" ".join((*needs, sys.executable, sys.version)).encode()).hexdigest()[:12]
    folder = cache() / f"{peer}-{mark}"
    python = folder / "bin" / "python"
    ready = folder / "versions.json"
    if ready.exists() and python.exists():
        return str(python)
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{peer}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            print(f"an environment for {peer}: {' '.join(needs)} (once)", flush=True)
            for old in cache().glob(f"{peer}-{'[0-9a-f]' * 12}"):
                shutil.rmtree(old, ignore_errors=True)
            _install(folder, python, needs)
            ready.write_text(json.dumps(_versions(python)))
    return str(python)


def _install(folder: Path, python: Path, needs: tuple[str, ...]) -> None:
    uv = shutil.which("uv")
    if uv:
        steps = [[uv, "venv", "-q", "--python", sys.executable, str(folder)], [uv, "pip", "install", "-q", "--python", str(python), *needs]]
    else:
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        steps = [[sys.executable, "-m", "venv", str(folder)], [*pip, *needs]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
            raise NotMade(f"{step[0]} failed: {words[:300]}")


def _versions(python: Path) -> dict[str, str]:
    code = "import json, importlib.metadata as m; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    told = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(told.stdout)
    return answer


def versions(peer: str) -> dict[str, str]:
    """The peer's version, and its client's; nothing when its environment is not there."""
    found = list(cache().glob(f"{peer}-{'[0-9a-f]' * 12}/versions.json"))
    if not found:
        return {}
    there: dict[str, str] = json.loads(found[0].read_text())
    asked = [re.match(r"[\w.-]+", need)[0] for need in PEERS[peer]]  # type: ignore[index]
    return {name: there[name] for name in asked if name in there and (name == asked[0] or name in CLIENTS)}
