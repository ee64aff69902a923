"""Real NFS: a guest kernel (user-mode-linux) with a file server and two clients of it, and hosts that share one store over these.

The kernel is Debian's package of that name; the tools of the file server are unpacked from theirs, so that no daemon starts here. The guest
sees the files of this machine and may write to its own scratch folder only; its network ends in itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from .mounts import command
from .report import LeftOut, Outcome, need, say

PACKAGES = ("nfs-kernel-server", "nfs-common", "rpcbind", "libtirpc3", "libtirpc-common", "libnfsidmap1", "libevent-core-2.1-7", "netbase")
MODULES = Path("/usr/lib/uml/modules")
OPTIONS = {"NFSv3": "vers=3,nolock,timeo=10", "NFSv4.2": "vers=4.2,timeo=10"}
PATIENCE = 1200.0


def tools(folder: Path) -> None:
    """The programs of file server and client, unpacked into this folder, not installed."""
    debs = folder.with_name("debs")
    debs.mkdir()
    folder.mkdir()
    done = subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=debs, capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise LeftOut(f"the tools of NFS cannot be fetched with apt-get ({done.stderr.decode(errors='replace').strip()[-200:]})")
    for deb in debs.iterdir():
        command("dpkg", "-x", str(deb), str(folder))


def guest(scratch: Path, options: str, amount: int) -> str:
    """Boot it, let it run to its end; what it said."""
    kernel = subprocess.run(["linux.uml", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if not (MODULES / kernel).is_dir():
        raise LeftOut(f"the guest's kernel {kernel} has no modules in {MODULES}")
    modules = scratch / "modules" / "lib" / "modules"
    modules.mkdir(parents=True)
    (modules / kernel).symlink_to(MODULES / kernel)
    disk, init = scratch / "disk", scratch / "init"
    with disk.open("wb") as file:
        file.truncate(256 << 20)
    command("mkfs.ext4", "-q", "-F", str(disk))
    here = Path(__file__)
    words = [here.with_name("guest.sh"), scratch, sys.executable, options, amount, here.parents[3]]
    init.write_text(f"#!/bin/sh\nexec bash {' '.join(map(str, words))}\n")
    init.chmod(0o755)
    line = [
        *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"),  # with us it ends, and its helpers with it
        *("linux.uml", f"ubd0={disk}", "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro", "mem=512M", f"init={init}"),
        *("con=null", "con0=null,fd:1", "ssl=null", "quiet", f"uml_dir={scratch}", "umid=guest"),
    ]
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        console = process.communicate(timeout=PATIENCE)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        console = f"the guest was not done in {PATIENCE:.0f} s"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    said = scratch / "said"
    return console + (said.read_text(errors="replace") if said.exists() else "")


def one_guest(version: str, amount: int) -> tuple[str, list[str]]:
    """One boot with this version of NFS; what was done, and what was violated."""
    with tempfile.TemporaryDirectory(prefix="ropeway-nfs-") as name:
        scratch = Path(name)
        tools(scratch / "tools")
        said = guest(scratch, OPTIONS[version], amount)
        result = scratch / "result"
        if not result.exists():
            if "GUEST: up" not in said:
                raise LeftOut(f"the guest did not come up: {said[-400:]}")
            return version, [f"{version}: the run in the guest came to no end: {said[-1500:]}"]
        told = msgspec.json.decode(result.read_bytes())
        say(said[-3000:])
    faults = f"{told['losses']} restarts with lost replies, {told['kills']} hosts killed"
    done = f"{version}: {told['put']:,} puts, {faults}, found after {told['latest']:.1f} s at most"
    return done, [f"{version}: {text}" for text in told["wrong"]]


def run(amount: int) -> Outcome:
    """`amount` is how many rounds of faults: in each the server is restarted with its replies lost, and a host is killed."""
    need("linux.uml", "modprobe", "apt-get", "dpkg", "mkfs.ext4", "setpriv", "ip", "tc", "unshare", "nsenter", root=True)
    if shutil.which("bash") is None:
        raise LeftOut("needs bash")
    done, wrong = [], []
    for version in OPTIONS:
        what, found = one_guest(version, amount)
        done.append(what)
        wrong += found
    return Outcome("nfs", "; ".join(done), wrong)
