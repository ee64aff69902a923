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
    "Run": {"work": "work"},
    "Look": {"ls": "look", "jobs": "look", "show": "show", "workers": "workers", "check": "check"},
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
    "Serve": {"serve": "serve"},
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
    "server": "serve",
    "http": "serve",
    "list": "ls",
    "queues": "ls",
    "status": "ls",
    "info": "show",
    "inspect": "show",
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
    "ps": "workers",
    "fleet": "workers",
}


def nearest(word: str, known: list[str]) -> str:
    """The one that was probably meant, or nothing."""
    if ELSEWHERE.get(word) in known:
        return ELSEWHERE[word]
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else ""
