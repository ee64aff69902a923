"""What `serve` does: check what was asked for, find the tokens, say where it is, serve."""

from __future__ import annotations

from ..broker import Broker
from ..config import state_folder
from ..errors import ConfigError
from ..log import setup
from .output import say
from .session import Session
from .verdict import DONE


def serve(
    session: Session,
    bind: str,
    token_file: str,
    no_auth: bool,
    read_only: bool,
    cert: str,
    key: str,
    behind_proxy: bool,
    names: tuple[str, ...],
    connections: int,
) -> int:
    """Serve until stopped; the exit code."""
    try:
        from ..server.grants import Keys, first_token
        from ..server.place import address, check
        from ..server.running import serve as run
    except ImportError as error:
        raise ConfigError(f"the server needs {error.name}, which is not installed; type: pip install 'ropeway[server]'") from None
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    at = address(bind)
    check(at, token_file=token_file, cert=cert, key=key, behind_proxy=behind_proxy, no_auth=no_auth)
    broker, secret = Broker(session.link), ""
    keys = None
    if not no_auth:
        path = token_file or f"{state_folder()}/server-token"
        if not token_file:
            token, made = first_token(path)
            secret = token if made else ""
        keys = Keys(path, broker.link.clock)

    def ready(where: str) -> None:
        say(f"serving {broker.url} at {where}")
        if secret and not session.quiet:
            say(f"the token, said once and kept in {path}: {secret}")
        elif keys is not None:
            say(f"for the tokens of {path}")

    run(
        broker,
        at,
        keys.grant if keys is not None else lambda _: None,
        names,
        no_auth=no_auth,
        read_only=read_only,
        cert=cert,
        key=key,
        behind_proxy=behind_proxy,
        connections=connections,
        ready=ready,
    )
    return DONE
