"""What kind of file system a folder lies on: whether other hosts reach it too, and whether its metadata survives a power cut in order."""

from __future__ import annotations

import os

NETWORK = ("nfs", "cifs", "smb", "9p", "virtiofs", "fuse", "ceph", "gluster", "lustre", "afs", "ncpfs", "beegfs", "gpfs")
ORDERED = ("xfs", "btrfs", "zfs", "f2fs", "bcachefs")  # their metadata goes to the disk in order; ext4 only with its journal


class FileSystem:
    """What a folder lies on: its type, whether other hosts reach it too, and whether its metadata survives a power cut in order."""

    __slots__ = ("kind", "ordered", "shared")

    def __init__(self, kind: str, shared: bool, ordered: bool) -> None:
        self.kind, self.shared, self.ordered = kind, shared, ordered


def file_system(path: str) -> FileSystem:
    """Look it up in /proc/self/mountinfo: by device, else by the longest mount point above the path."""
    kind, source = "unknown", ""
    info = os.stat(path)
    device = f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"
    real, longest = os.path.realpath(path), -1
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields, _, rest = line.partition(" - ")
                parts, tail = fields.split(" "), rest.split(" ")
                point = parts[4].encode().decode("unicode_escape") if "\\" in parts[4] else parts[4]
                inside = real == point or real.startswith(point.rstrip("/") + "/")
                rank = len(point) + (100_000 if parts[2] == device else 0)
                if inside and rank > longest:
                    kind, source, longest = tail[0], tail[1], rank
    except OSError:
        pass
    shared = kind.startswith(NETWORK)
    ordered = _has_journal(source, info.st_dev) if kind in ("ext3", "ext4") else shared or kind in ORDERED
    return FileSystem(kind, shared, ordered)


def _has_journal(source: str, device: int) -> bool:
    """ext4 shows the journal of each mounted device as a folder of its statistics."""
    name = source.rpartition("/")[2]
    try:
        block = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
        journals = os.listdir("/proc/fs/jbd2")
    except OSError:
        return False
    return any(j.rpartition("-")[0] in (name, block) for j in journals)
