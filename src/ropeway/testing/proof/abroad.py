"""In the guest, where two clients mount one file server: hosts at work on one store, replies lost, the server restarted, hosts killed.

A reply is lost like this: the way back to a client is cut, so that what it asks is done and not answered; the server is restarted, which
forgets what it did; the way is opened, and the client asks again. A host is killed with all its processes at once, and its jobs are taken
over by the other when their leases are over: no process of one host can see those of the other.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import msgspec

from ropeway.clock import SYSTEM
from ropeway.stores import open_store

from ..ledger import read
from . import across, audit, hosts
from .hosts import Folders
from .mounts import command

CLIENTS = ("one", "two")
ROUND = 2.0  # seconds between two faults
QUIET = 10.0  # seconds without faults, in which every job must be found in time
BUSY = 4000  # bytes of the ledger: some ten deeds
PATIENCE = 120.0


class Host:
    """A process namespace of its own on one of the clients."""

    def __init__(self, role: str, client: str, folders: Folders, above: Path, number: int) -> None:
        self.client, self.name = client, f"{role}-{client}-{number}"
        words = ["nsenter", f"--net=/run/netns/{client}", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        program = [sys.executable, "-m", "ropeway.testing.proof.hosts", role, url(client, role), str(above), self.name]
        self.process = subprocess.Popen([*words, *program])

    def kill(self, folders: Folders) -> None:
        for who in hosts.workers_of(self.name):
            audit.tell_kill(folders.ledger, who)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def url(client: str, role: str = "") -> str:
    return f"dir:/mnt/{client}/store{'?poll=0.05' if role == 'wait' else ''}"


def lose_replies(tools: Path, client: str) -> None:
    """Cut the way back to this client, let the server do and forget what it asks, and open the way again."""
    command("tc", "qdisc", "add", "dev", f"to-{client}", "root", "netem", "loss", "100%")
    time.sleep(0.3)
    command(f"{tools}/usr/sbin/rpc.nfsd", "0")
    command(f"{tools}/usr/sbin/rpc.nfsd", "4")
    command("tc", "qdisc", "del", "dev", f"to-{client}", "root")


class Run:
    """One run, as the process sees it that starts and kills the hosts."""

    def __init__(self, scratch: Path, rounds: int) -> None:
        self.above = Path("/run/abroad")
        self.above.mkdir()
        self.tools = scratch / "tools"
        self.rounds, self.folders, self.wrong = rounds, Folders(self.above).make(), list[str]()
        self.count = self.losses = self.kills = 0
        self.dice = Random(rounds)
        self.crew: list[Host] = []

    def hire(self, role: str, client: str) -> None:
        self.count += 1
        self.crew.append(Host(role, client, self.folders, self.above, self.count))

    def go(self) -> dict[str, object]:
        """All of it; what came of it."""
        self.wrong += across.run(*(open_store(f"dir:/mnt/{client}/across") for client in CLIENTS))
        if not self.rounds:
            return {"put": 0, "pings": 0, "latest": 0.0, "losses": 0, "kills": 0, "wrong": self.wrong}
        self.hire("wait", "one")
        self.hire("ping", "two")
        for client in CLIENTS:
            self.hire("storm", client)
        for _ in range(self.rounds):
            self._until_busy()
            lose_replies(self.tools, self.dice.choice(CLIENTS))
            self.losses += 1
            self._until_busy()
            self._kill_one()
        self._until_busy()
        self.folders.stop.touch()
        self._until_home("storm")
        since = SYSTEM.boot()  # what is put while a client cannot reach its server may be found when it can
        time.sleep(QUIET)
        self.folders.calm.touch()
        self._until_home("")
        count, latest, late = hosts.lateness(self.folders, since)
        self.wrong += late + [f"an answer was {text}" for text in self.folders.errors()]
        self.wrong += hosts.verdict(url("one"), Path("/mnt/one/store"), self.folders)
        put = sum(len(line.ids) for line in read(self.folders.ledger) if line.what == "put.ok")
        return {"put": put, "pings": count, "latest": latest, "losses": self.losses, "kills": self.kills, "wrong": self.wrong}

    def _until_busy(self) -> None:
        """A while, and until each host at work has done something in it: a client takes up to a minute to find its server again."""
        end = time.monotonic() + PATIENCE
        working = [one for one in self.crew if one.name.startswith("storm")]
        before = {one.name: self._written(one) for one in working}
        time.sleep(ROUND)
        for one in working:
            while self._written(one) < before[one.name] + BUSY:
                if time.monotonic() > end:
                    self.wrong.append(f"{one.name} stood still for {PATIENCE:.0f} s")
                    break
                time.sleep(0.1)

    def _written(self, one: Host) -> int:
        return sum(path.stat().st_size for path in self.folders.ledger.glob(f"{one.name}.*"))

    def _kill_one(self) -> None:
        victim = self.dice.choice([one for one in self.crew if one.name.startswith("storm")])
        victim.kill(self.folders)
        self.crew.remove(victim)
        self.kills += 1
        self.hire("storm", victim.client)

    def _until_home(self, role: str) -> None:
        end = time.monotonic() + PATIENCE
        for one in [one for one in self.crew if one.name.startswith(role)]:
            try:
                code = one.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.wrong.append(f"{one.name} did not come home in {PATIENCE:.0f} s")
                one.kill(self.folders)
            else:
                if code:
                    self.wrong.append(f"{one.name} ended with {code}")
            self.crew.remove(one)


def main(scratch: str, amount: str) -> None:
    """What the guest is started for: do it, and leave what came of it in the scratch folder."""
    answer = Run(Path(scratch), int(amount)).go()
    Path(scratch, "result").write_bytes(msgspec.json.encode(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
