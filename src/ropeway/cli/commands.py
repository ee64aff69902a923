"""The table of commands: what is typed, the room that holds it. One line each, by family, in the order of the help."""

from __future__ import annotations

FAMILIES: dict[str, dict[str, str]] = {
    "Hand over and take": {
        "put": "put",
        "get": "get",
        "peek": "get",
        "ack": "settle",
        "nack": "settle",
        "bury": "settle",
        "extend": "settle",
    },
    "News and calls": {"notify": "news", "listen": "news", "group": "group", "call": "ask", "reply": "ask"},
    "Run": {"work": "work", "run": "run", "wait": "run", "log": "run", "kill": "run", "watch": "watch"},
    "Look": {
        "ls": "look",
        "jobs": "look",
        "show": "show",
        "stats": "stats",
        "why": "why",
        "top": "top",
        "workers": "workers",
        "inspect": "inspect",
        "check": "check",
    },
    "Steer": {
        "requeue": "operate",
        "delete": "operate",
        "cancel": "operate",
        "move": "operate",
        "pause": "switches",
        "resume": "switches",
        "purge": "switches",
        "limit": "limit",
        "schedule": "schedule",
    },
    "Serve": {"serve": "serve", "notifier": "notifier", "bridge": "bridge"},
    "Carry": {"copy": "carry", "export": "carry", "import": "carry", "migrate": "migrate"},
    "Shell": {"completion": "completion"},
}

ROOMS = {name: room for family in FAMILIES.values() for name, room in family.items()}

# What people type who come from elsewhere, and what it is called here.
ELSEWHERE = {
    "enqueue": "put",
    "submit": "put",
    "push": "put",
    "add": "put",
    "send": "put",
    "take": "get",
    "pop": "get",
    "deque": "get",
    "dequeue": "get",
    "fetch": "get",
    "reserve": "get",
    "done": "ack",
    "finish": "ack",
    "release": "nack",
    "touch": "extend",
    "renew": "extend",
    "worker": "work",
    "nq": "run",
    "tsp": "run",
    "ts": "run",
    "exec": "run",
    "fq": "log",
    "logs": "log",
    "tail": "log",
    "join": "wait",
    "signal": "kill",
    "server": "serve",
    "http": "serve",
    "list": "ls",
    "queues": "ls",
    "status": "ls",
    "info": "show",
    "stacks": "inspect",
    "introspect": "inspect",
    "kick": "requeue",
    "retry": "requeue",
    "remove": "delete",
    "rm": "delete",
    "lprm": "delete",
    "topq": "move",
    "stop": "pause",
    "disable": "pause",
    "start": "resume",
    "enable": "resume",
    "clear": "purge",
    "flush": "purge",
    "throttle": "limit",
    "shovel": "copy",
    "dump": "export",
    "load": "import",
    "restore": "import",
    "doctor": "check",
    "cron": "schedule",
    "crontab": "schedule",
    "beat": "schedule",
    "metrics": "stats",
    "ps": "workers",
    "fleet": "workers",
    "explain": "why",
    "publish": "notify",
    "pub": "notify",
    "subscribe": "listen",
    "sub": "listen",
    "topics": "group",
    "groups": "group",
    "rpc": "call",
    "request": "call",
}


def nearest(word: str, known: list[str]) -> str:
    """The one that was probably meant, or nothing."""
    if ELSEWHERE.get(word) in known:
        return ELSEWHERE[word]
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else ""
