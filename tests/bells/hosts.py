"""Two hosts on one machine: network namespaces with a cable between them. Needs root and iproute2."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NamedTuple
from uuid import uuid4


class Host(NamedTuple):
    """One of the two. `inside` goes before a command that is to run there."""

    space: str
    v4: str
    v6: str
    mac: str

    @property
    def inside(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.space)


def missing() -> str:
    """Why there can be no second host here; empty when there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a second host needs root, for a network namespace"
    if not shutil.which("ip"):
        return "a second host needs iproute2: no ip is installed"
    probe = f"rwp{uuid4().hex[:8]}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return "" if made.returncode == 0 else f"no network namespace can be made: {made.stderr.strip()}"


def connect() -> tuple[Host, Host]:
    """Two new hosts, each the other's way out."""
    name = uuid4().hex[:8]
    hosts = tuple(Host(f"rw{name}{n}", f"10.77.0.{n}", f"fd77::{n}", f"02:00:00:00:77:0{n}") for n in (1, 2))
    for host in hosts:
        run("ip", "netns", "add", host.space)
    first, second = hosts
    run("ip", "-n", first.space, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second.space)
    for host, other in ((first, second), (second, first)):
        run("ip", "-n", host.space, "link", "set", "cable", "address", host.mac)
        run("ip", "-n", host.space, "addr", "add", f"{host.v4}/24", "brd", "+", "dev", "cable")
        run("ip", "-n", host.space, "addr", "add", f"{host.v6}/64", "dev", "cable", "nodad")
        run("ip", "-n", host.space, "link", "set", "lo", "up")
        run("ip", "-n", host.space, "link", "set", "cable", "up")
        run("ip", "-n", host.space, "route", "add", "default", "via", other.v4)
    return first, second


def remove(host: Host) -> None:
    subprocess.run(["ip", "netns", "del", host.space], capture_output=True, check=False)


def swallow(host: Host, target: Host) -> None:
    """From now on all that this host sends to the other goes to a card that is not there: dropped without a word."""
    run("ip", "-n", host.space, "neigh", "replace", target.v4, "lladdr", "02:00:00:00:77:99", "dev", "cable", "nud", "permanent")


def received(host: Host) -> int:
    """How many IPv4 packets have come to that host; nothing but rings is ever sent there."""
    read = subprocess.run([*host.inside, "cat", "/proc/net/snmp"], check=True, capture_output=True, text=True).stdout
    names, values = (line.split() for line in read.splitlines() if line.startswith("Ip: "))
    return int(values[names.index("InDelivers")])


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
