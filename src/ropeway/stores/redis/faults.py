"""The one door for what the server and the driver say when something is wrong: each told as ours, with what to do about it."""

from __future__ import annotations

from ...errors import StoreError

# the first word of a reply: (whether it is known that nothing was done, what it means and what to do)
_REPLIES: dict[str, tuple[bool, str]] = {
    "WRONGTYPE": (True, "a key of this queue was made by another program. Use a namespace= of your own, or another database"),
    "OOM": (True, "the server is at its maxmemory. Jobs that are here can still be finished; give it more memory, or delete what is done"),
    "READONLY": (True, "this server is a replica. Name the primary, or use redis+sentinel:// so that it is found after a fail-over"),
    "LOADING": (True, "the server is still loading its data. It answers when that is done"),
    "NOAUTH": (True, "the server wants a password: redis://:PASSWORD@HOST, or user:password"),
    "WRONGPASS": (True, "the user name or the password is wrong"),
    "NOPERM": (False, "this user may not do that. It needs: +@all -@dangerous +info ~ropeway* &ropeway* (the guide to Redis has the list)"),
    "BUSY": (True, "a script of somebody else is running for long. Wait, or end it with SCRIPT KILL"),
    "MISCONF": (True, "the server cannot save to its disk and therefore refuses to write. Look at its log and its disk"),
    "NOREPLICAS": (True, "fewer replicas are connected than min-replicas-to-write asks for"),
    "MASTERDOWN": (True, "this replica has lost its primary. Wait for the fail-over"),
    "CLUSTERDOWN": (True, "the cluster has lost the node for this queue. Wait for the fail-over, or repair it"),
    "TRYAGAIN": (True, "the slot of this queue is on its way to another node. Repeat it"),
    "CROSSSLOT": (True, "this server is a node of a cluster. Use redis+cluster://"),
    "MOVED": (True, "this server is a node of a cluster. Use redis+cluster://"),
    "NOPROTO": (True, "the server does not speak this protocol: Redis 6 or newer, or Valkey, is needed"),
}
GONE = frozenset({"READONLY", "MASTERDOWN", "LOADING"})  # not the server that we want: look for it anew


def first_word(reply: object) -> str:
    """What the server calls its error. In a script it stands behind "ERR" or in front of the script's own words."""
    text = str(reply)
    word = text.partition(" ")[0].strip("-:")
    if word == "ERR":
        for known in _REPLIES:
            if f"-{known} " in text or f" {known} " in text:
                return known
    told = text.lower()  # redis-py leaves the first word of some away
    if "authentication required" in told:
        return "NOAUTH"
    if "invalid password" in told or "invalid username" in told:
        return "WRONGPASS"
    return "NOPERM" if "has no permissions" in told else word


def refused(where: str, reply: object) -> StoreError:
    """The server answered with an error."""
    text = " ".join(str(reply).split())[:200]
    definite, advice = _REPLIES.get(first_word(reply), (False, "It is unknown whether it was done; the same call may be repeated"))
    done = "; nothing was done" if definite else ""
    return StoreError(f"{where} refused{done}: {text}. {advice}", definite=definite)


def unreached(where: str, text: str, reply: str) -> StoreError:
    """No connection could be made."""
    if reply:
        error = refused(where, reply)
        error.definite = True
        return error
    return StoreError(f"{where}: {text}; nothing was done. Is the server up, and the address right?", definite=True)


def broken(where: str, text: str) -> StoreError:
    """The connection broke under a call."""
    return StoreError(f"{where}: the connection broke: {text}; it is unknown whether it was done, the same call may be repeated")
