"""Where a server may stand: what an address asks for before anything is opened there, and the socket that systemd hands over."""

from __future__ import annotations

import os
import socket

from .. import door
from ..door import Address
from ..errors import ConfigError

PORT = 8765
FIRST = 3  # the descriptor of the first socket that systemd hands over


def address(text: str) -> Address:
    """HOST:PORT, HOST, :PORT, [IPv6]:PORT, unix:PATH, or systemd: the socket that was handed over. Raises ConfigError."""
    return inherited() if text == "systemd" else door.address(text, PORT)


def inherited() -> Address:
    """Where the socket stands that systemd has opened for us (sd_listen_fds). Raises ConfigError when there is not exactly one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise ConfigError("systemd has handed over no socket, or several; nothing was started. Start the .socket unit, with one address")
    try:
        handed = socket.socket(fileno=os.dup(FIRST))
        name, unix = handed.getsockname(), handed.family == socket.AF_UNIX
        handed.close()
    except OSError as error:
        raise ConfigError(f"what systemd has handed over is no socket: {error}; nothing was started") from None
    return Address(path=str(name), fd=FIRST) if unix else Address(name[0], name[1], fd=FIRST)


def check(at: Address, *, token_file: str, cert: str, key: str, behind_proxy: bool, no_auth: bool) -> None:
    """Refuse what would leave a door open: ConfigError that says what is missing."""
    if bool(cert) != bool(key):
        raise ConfigError("--cert and --key belong together; nothing was started")
    if no_auth and (not at.loopback or token_file):
        why = "--token-file says otherwise" if token_file else f"anyone who reaches {at} could do everything"
        raise ConfigError(f"--no-auth is for loopback and unix sockets: {why}; nothing was started")
    if at.loopback:
        return
    missing = ([] if token_file else ["--token-file"]) + (
        [] if (cert and key) or behind_proxy else ["--cert and --key (or --behind-proxy)"]
    )
    if missing:
        raise ConfigError(
            f"{at} can be reached from other machines, so it needs {' and '.join(missing)}; nothing was started. "
            "For this machine alone: -b 127.0.0.1:8765"
        )
