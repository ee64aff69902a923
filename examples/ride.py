"""./dev try [DIR]: each file of DIR is a job, four workers hash them, one worker is killed half-way, and nothing may be missing.

A program as a user would write it: the public API of ropeway, the `ropeway` command, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import ropeway
from ropeway.store import Entry

HERE = Path(__file__).resolve().parent
WORKERS = 4
PATIENCE = 60.0  # seconds without any progress after which something is wrong
PAUSE = 0.1  # seconds between two looks
ALERT = 0.01  # the same, until one of the workers has been killed


class Failed(Exception):
    """The ride cannot start, or did not end as it should; the text says why."""


class File(NamedTuple):
    """One file as it stood when the ride began."""

    path: str
    size: int
    changed: int  # nanoseconds, as stat tells


# -- the files


def files_of(folder: Path, leave_out: frozenset[str]) -> tuple[list[File], Counter[str]]:
    """Every plain file below the folder, and how many others were passed over, by reason."""
    found: list[File] = []
    skipped: Counter[str] = Counter()

    def closed(error: OSError) -> None:
        skipped["folders that cannot be read"] += 1
        print(f"passed over: {error.filename}: {error.strerror}", file=sys.stderr)

    for here, folders, names in os.walk(folder, onerror=closed):
        skipped["linked folders"] += sum(Path(here, name).is_symlink() for name in folders)
        folders[:] = sorted(set(folders) - leave_out)
        for name in sorted(names):
            path = os.path.join(here, name)  # noqa: PTH118 - thousands of them
            try:
                about = os.lstat(path)
                path.encode()
            except OSError:
                skipped["files that cannot be read"] += 1
                continue
            except UnicodeEncodeError:
                skipped["names that are not UTF-8"] += 1
                continue
            if not stat.S_ISREG(about.st_mode):
                skipped["links" if stat.S_ISLNK(about.st_mode) else "pipes, sockets and devices"] += 1
            elif not os.access(path, os.R_OK):
                skipped["files that cannot be read"] += 1
            else:
                found.append(File(path, about.st_size, about.st_mtime_ns))
    return found, +skipped


def choose(args: list[str]) -> tuple[Path, frozenset[str]]:
    """The folder that was asked for; without one the standard library's own, without what others installed into it."""
    if len(args) > 1 or args[:1] in (["-h"], ["--help"]):
        raise Failed("usage: ./dev try [DIR]")
    if not args:
        return Path(sysconfig.get_path("stdlib")), frozenset({"site-packages", "dist-packages"})
    folder = Path(args[0]).resolve()
    if not folder.is_dir():
        raise Failed(f"{args[0]} is no folder; nothing was done. Name one: ./dev try DIR")
    return folder, frozenset()


# -- the workers


class Crew:
    """Four `ropeway work` processes on one store, each with a log of its own."""

    def __init__(self, url: str, logs: Path) -> None:
        command = shutil.which("ropeway", path=str(Path(sys.executable).parent)) or shutil.which("ropeway")
        if not command:
            raise Failed("the ropeway command is not installed beside this Python; nothing was done. Type: pip install -e .")
        self.logs = logs
        self.members: list[subprocess.Popen[bytes]] = []
        environment = {**os.environ, "ROPEWAY_URL": url, "PYTHONPATH": str(HERE)}
        for number in range(WORKERS):
            with (logs / f"worker-{number + 1}.log").open("wb") as log:
                work = [command, "work", "--app", "hashes:broker", "files", "--concurrency", "1"]
                self.members.append(subprocess.Popen(work, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def check(self, but: int = 0) -> None:
        """Raises Failed when a worker other than `but` (a pid) has ended by itself."""
        for number, member in enumerate(self.members):
            if member.poll() is not None and member.pid != but:
                log = self.logs / f"worker-{number + 1}.log"
                raise Failed(f"worker {number + 1} ended with {member.returncode}; its last words ({log}):\n{log.read_text()[-2000:]}")

    def kill_one(self, queue: ropeway.Queue[object]) -> tuple[int, set[str]] | None:
        """SIGKILL a worker that holds jobs: its pid and their ids; None when none held any at this moment."""
        for member in self.members:
            member.send_signal(signal.SIGSTOP)  # so that it still holds, when it dies, what we see it hold
            held = {entry.job.id for entry in queue.browse(state="running", limit=None) if entry.holder.split(":")[1] == str(member.pid)}
            if held:
                member.kill()
                member.wait()
                return member.pid, held
            member.send_signal(signal.SIGCONT)
        return None

    def stop(self) -> None:
        """SIGTERM: finish what runs, and go."""
        for member in self.members:
            if member.poll() is None:
                member.terminate()
        for member in self.members:
            try:
                member.wait(30)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()


# -- the ride


class Ride(NamedTuple):
    """What happened on the way."""

    seconds: float
    killed: int  # pid
    killed_at: int  # jobs done by then
    held: set[str]  # ids of the jobs that the killed worker held
    took: float  # seconds until all of those had ended


def ride(queue: ropeway.Queue[object], crew: Crew, total: int) -> Ride:
    """Watch the queue until every job has ended; kill one worker when half of them have."""
    started = moved = time.monotonic()
    ended, killed, killed_at, killed_when, took = -1, 0, 0, 0.0, 0.0
    held: set[str] = set()
    left: set[str] = set()
    while ended < total:
        counts = queue.counts()
        now = time.monotonic()
        if counts.done + counts.dead > ended:
            ended, moved = counts.done + counts.dead, now
        show(ended, total, now - started)
        crew.check(but=killed)
        if not killed and ended * 2 >= total - 1:
            victim = crew.kill_one(queue)
            if victim:
                (killed, held), killed_at, killed_when = victim, ended, now
                left = set(held)
        if left:
            left -= {entry.job.id for entry in queue.browse(ids=sorted(left), limit=None) if entry.state in ("done", "dead")}
            took = time.monotonic() - killed_when
        if now - moved > PATIENCE:
            raise Failed(f"no job has ended for {PATIENCE:.0f} s: {counts}; see the workers' words in {crew.logs}")
        if ended < total:
            time.sleep(PAUSE if killed else ALERT)
    return Ride(time.monotonic() - started, killed, killed_at, held, took)


def _result(entry: Entry) -> str | None:
    """What the task returned; None when its job is dead."""
    return None if entry.result is None else entry.result.decode()


def show(ended: int, total: int, seconds: float) -> None:
    """A bar on a terminal; elsewhere a line at each tenth."""
    share = ended / total
    if sys.stderr.isatty():
        bar = "#" * int(share * 40)
        print(f"\r  {bar:<40} {ended:,} of {total:,}  {seconds:.0f} s ", end="" if ended < total else "\n", file=sys.stderr, flush=True)
    elif int(share * 10) > _shown[0]:
        _shown[0] = int(share * 10)
        print(f"  {ended:,} of {total:,} after {seconds:.1f} s", file=sys.stderr, flush=True)


_shown = [0]


# -- the comparison


def compare(files: list[File], results: dict[str, str | None]) -> tuple[int, int, list[str]]:
    """How many agree with the hash computed here, how many files changed meanwhile, and which differ."""
    agree, changed, differ = 0, 0, []
    for file in files:
        try:
            with open(file.path, "rb") as stream:
                direct = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            direct = None
        if results.get(file.path) == direct and file.path in results:
            agree += 1
        elif _has_changed(file):
            changed += 1
        else:
            differ.append(file.path)
    return agree, changed, differ


def _has_changed(file: File) -> bool:
    try:
        about = os.lstat(file.path)
    except OSError:
        return True
    return (about.st_size, about.st_mtime_ns) != (file.size, file.changed)


def main(args: list[str]) -> int:
    """Ride, compare, tell. 0 when every job was done and every hash agrees."""
    folder, leave_out = choose(args)
    files, skipped = files_of(folder, leave_out)
    if not files:
        raise Failed(f"there is no file to read in {folder}; nothing was done. Name another folder: ./dev try DIR")
    told("files", f"{len(files):,} in {folder}, {sum(file.size for file in files) / 1e6:,.0f} MB")
    for reason, count in sorted(skipped.items()):
        told("", f"passed over: {count:,} {reason}")

    place = Path(tempfile.mkdtemp(prefix="ropeway-ride-"))
    url = "dir:" + quote(str(place / "store"))
    os.environ["ROPEWAY_URL"] = url
    from hashes import broker, digest

    told("store", url)
    before = time.monotonic()
    handles = digest.map(file.path for file in files)
    seconds = time.monotonic() - before
    told("put", f"{len(files):,} jobs in {seconds:.2f} s, {len(files) / seconds:,.0f} a second, synced to the disk")

    queue = broker.queue("files")
    crew = Crew(url, place)
    try:
        done = ride(queue, crew, len(files))
    finally:
        crew.stop()
    told("done", f"{len(files):,} jobs in {done.seconds:.1f} s by {WORKERS} workers, {len(files) / done.seconds:,.0f} a second")
    if done.killed:
        told("killed", f"worker process {done.killed} with SIGKILL when {done.killed_at:,} jobs were done; it held {len(done.held):,}")
        told("recovered", f"{len(done.held):,} jobs taken over from it and ended by the others after {done.took:.1f} s")
    else:
        told("killed", "nobody: no worker held a job for long enough; give it a larger folder")

    ended = {entry.job.id: entry for entry in queue.browse(state=["done", "dead"], limit=None)}
    results = {file.path: _result(ended[handle.id]) for file, handle in zip(files, handles, strict=True) if handle.id in ended}
    agree, changed, differ = compare(files, results)
    told(
        "compared",
        f"{agree:,} of {len(files):,} agree with the hash computed directly"
        + (f", {changed:,} files changed meanwhile" if changed else ""),
    )
    for path in differ[:10]:
        told("", f"differs: {path}")

    command = shlex.quote(_command())
    print(f"\nThe store is left where it is; rm -r {shlex.quote(str(place))} removes it. Type, for example:\n")
    print(f"  export ROPEWAY_URL={shlex.quote(url)}")
    print(f"  {command} ls")
    print(f"  {command} show {max(done.held, default=handles[0].id)}")
    print(f"  {command} check\n")
    return 1 if differ or not agree else 0


def _command() -> str:
    """The `ropeway` command as one would type it from here."""
    beside = Path(sys.executable).parent / "ropeway"
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)


def told(what: str, text: str) -> None:
    """One line of the report."""
    print(f"{what:<10} {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as error:
        sys.exit(f"./dev try: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
