"""The line notifier: anyone who can open a TCP connection joins, and every line reaches all the others."""

from .hub import Hub, Rules
from .running import serve

__all__ = ["Hub", "Rules", "serve"]
