"""What the address of a page asks for before it is opened."""

from __future__ import annotations

from ..door import Address
from ..errors import ConfigError


def check(at: Address, *, token: str | None, no_auth: bool, cert: str, key: str, behind_proxy: bool) -> None:
    """Refuse what would leave a door open: ConfigError that says what is missing."""
    if bool(cert) != bool(key):
        raise ConfigError("cert and key belong together; nothing was opened")
    if token is not None and len(token) < 16:
        raise ConfigError(
            f"a token of {len(token)} characters can be guessed; take at least 16, or leave it to ropeway. Nothing was opened"
        )
    if no_auth and (token or not at.loopback):
        why = "a token was given" if token else f"anyone who reaches {at} could look into this process"
        raise ConfigError(f"no_auth is for loopback and unix sockets: {why}; nothing was opened")
    if not at.loopback and not (cert or behind_proxy):
        raise ConfigError(
            f"{at} can be reached from other machines, so it needs cert and key, or behind_proxy=True; nothing was opened. "
            "A worker can be looked into from anywhere without a page: ropeway inspect WORKER"
        )
