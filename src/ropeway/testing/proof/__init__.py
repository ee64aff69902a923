"""The proof that the directory engine survives: faults are planted at every step, and what is left is held against what was answered.

`python -m ropeway.testing.proof [--short | --full] [part | part=amount ...]` runs it and ends with a table. Each part is a file of its own:

    steps     kill -9 before each system call of one scenario, then of whoever clears up behind it
    brings    kill -9 before each system call of a carry, which is then run again
    receipts  kill -9 before each call of whoever settles by the receipts of another
    errnos    every error number at every call
    syncs     each answered put was synced, file and folders, before it was answered
    replies   on a shared store: each call done, but answered with an error
    shared    two bad clients of a file server: answers lost and failed, stale listings, late contents
    nfs       real NFS in a guest kernel: the server restarted with its replies lost, hosts killed
    damage    files that were flipped, cut off, emptied
    full      full disks, no inodes, no directory blocks, file size limits, read-only mounts
    stops     workers stopped past their lease, then woken
    cuts      power cuts of a journaled ext4
    clocks    wall clock jumps under running workers
    kills     random kill -9 for long
    poison    one job in a hundred kills its worker
    backlog   a million waiting jobs
    planted   the proof is proven: bugs are planted, and each must be found by the part that is for it

Everything happens in a folder of its own, and on mounts of its own that are gone at the end.
"""
