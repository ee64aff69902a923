"""Database servers of the tests' own, from Debian's packages: on a free port, in a folder in memory, gone with the process of the tests.

A service that ROPEWAY_TEST_<NAME> does not name is started here on first use, so a test never meets what others left in a server.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from glob import glob
from pathlib import Path

import psutil

PACKAGES = {"postgresql": "postgresql", "mariadb": "mariadb-server", "redis": "redis-server"}
PATIENCE = 90.0  # seconds until a server must answer

_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_running: dict[str, Server] = {}


class Missing(Exception):
    """The programs are not there; the text says which package has them."""


class Server:
    """One server. `restart` and `kill` are for tests that take it away from under others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"ropeway-{name}-", dir=_MEMORY))
        self.port = _free_port()
        self._command, self.url, self._user = _PLANS[name](self)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, again too, with what its folder holds; back when it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                _as(self._user, ["setpriv", "--pdeathsig", "SIGKILL"]) + self._command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), cwd=self.folder,
            )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        ready = {
            "postgresql": lambda: [f"{_postgres_bin()}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            "mariadb": lambda: ["mariadb-admin", "--no-defaults", "-h127.0.0.1", f"-P{self.port}", "-uroot", "--silent", "ping"],
            "redis": lambda: ["redis-cli", "-p", str(self.port), "ping"],
        }[self.name]()
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """In good order, or by another signal: SIGKILL is a crash, SIGQUIT an immediate stop of PostgreSQL."""
        if self._process is not None:
            if self.name == "postgresql" and how is signal.SIGTERM:
                how = signal.SIGINT  # fast: it does not wait for its clients
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGKILL if self.name != "postgresql" else signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def own(name: str) -> Server:
    """A server of one test's own, to be stopped by it. Raises Missing."""
    _find(name)
    return Server(name)


def shared(name: str) -> str:
    """The URL of the one server that all tests of this run share. Raises Missing."""
    if name not in _running:
        _find(name)
        _running[name] = Server(name)
    return _running[name].url


def children() -> list[psutil.Process]:
    """The processes that this one has started and that still run, these servers aside."""
    own_pids = {server.pid for server in _running.values()}
    return [child for child in psutil.Process().children() if child.pid not in own_pids]


@atexit.register
def remove_all() -> None:
    """End what `shared` has started."""
    while _running:
        _running.popitem()[1].remove()


# -- how each is made


def _postgres(server: Server) -> tuple[list[str], str, str]:
    data, user = server.folder / "data", "postgres" if os.getuid() == 0 else ""
    _owned(server.folder, user)
    make = [f"{_postgres_bin()}/initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"]
    _made(make, user, server.folder)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(server.port),
        "unix_socket_directories": str(server.folder),
        "max_connections": "200",
        "shared_buffers": "64MB",
        "dynamic_shared_memory_type": "mmap",
    }
    command = [f"{_postgres_bin()}/postgres", "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command, f"postgresql://postgres@127.0.0.1:{server.port}/postgres", user


def _mariadb(server: Server) -> tuple[list[str], str, str]:
    data, user = server.folder / "data", "mysql" if os.getuid() == 0 else ""
    _owned(server.folder, user)
    _made(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-name-resolve"],
        user,
        server.folder,
    )
    command = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--port={server.port}", "--bind-address=127.0.0.1"]
    command += [f"--socket={server.folder}/socket", f"--pid-file={server.folder}/pid", "--skip-name-resolve", "--skip-log-bin"]
    command += ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--max-connections=200"]
    return command, f"mysql://root@127.0.0.1:{server.port}/test", user


def _redis(server: Server) -> tuple[list[str], str, str]:
    command = [
        "redis-server",
        "--port",
        str(server.port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(server.folder),
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    return command, f"redis://127.0.0.1:{server.port}/0", ""


_PLANS: Mapping[str, Callable[[Server], tuple[list[str], str, str]]] = {"postgresql": _postgres, "mariadb": _mariadb, "redis": _redis}


def _find(name: str) -> None:
    if name not in _PLANS:
        raise Missing(f"no {name}: set ROPEWAY_TEST_{name.upper()} to its URL")
    program = {"postgresql": _postgres_bin() and f"{_postgres_bin()}/initdb", "mariadb": "mariadbd", "redis": "redis-server"}[name]
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    if not program or not shutil.which(program, path=path):
        raise Missing(f"no {name}: apt-get install {PACKAGES[name]}, or set ROPEWAY_TEST_{name.upper()} to the URL of one")


def _postgres_bin() -> str:
    """The newest that Debian has installed."""
    found = glob("/usr/lib/postgresql/*/bin")
    return max(found, key=lambda path: int(path.split("/")[-2])) if found else ""


def _as(user: str, command: list[str]) -> list[str]:
    """The command as that user: database servers refuse to run as root."""
    return [*command, f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else command


def _owned(folder: Path, user: str) -> None:
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)


def _made(command: list[str], user: str, folder: Path) -> None:
    done = subprocess.run(
        _as(user, ["setpriv"]) + command if user else command, capture_output=True, text=True, env=_environment(), cwd=folder, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")


def _environment() -> dict[str, str]:
    """Ours, without the mark by which the tests find processes that were left behind: these are ended at the very end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ROPEWAY_", "PG", "MYSQL"))}
    return clean | {"PATH": os.pathsep.join((clean.get("PATH", ""), "/usr/sbin")), "TZ": "UTC", "HOME": "/nonexistent"}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
